"""A pipeline on real brokers, with a ledger of all that passes."""

from datetime import timedelta
from pathlib import Path
from threading import Event
from uuid import uuid4

import redis

from feeds.kafka.topic import Topic
from feeds.wire import stock_key
from stockwatch.local.redis_server import RedisServer
from tests.support.kafka.brokers import Brokers, Guard, steady_port
from tests.support.kafka.fixtures import committed
from tests.support.kafka.programs import Program
from tests.support.kafka.traffic import Feed, UpdateListener, read_log
from tests.support.update_ledger import Ledger, Report
from tests.support.waiting import wait_until

SECONDS = 120.0
"""How long the pipeline may take to come to rest once nothing is wrong any more, on a busy machine."""


class Pipeline:
    """One pipeline on real brokers: a topic, a group and a Redis of its own, and a ledger of all that passes."""

    def __init__(self, brokers: Brokers, guard: Guard, folder: Path, database: Path) -> None:
        self.brokers = brokers
        self.topic = f"ticks-{uuid4().hex[:12]}"
        self.group = f"group-{self.topic}"
        self.folder = folder
        self.redis = RedisServer(steady_port())
        self._guard = guard
        self.start_redis()
        self.address: dict[str, object] = {"host": self.redis.host, "port": self.redis.port}
        self.client = redis.Redis(**self.address, protocol=2)
        self.client.config_set("client-output-buffer-limit", "pubsub 0 0 0")
        self.ledger = Ledger()
        self.ear = UpdateListener(self.address, self.ledger)
        self.programs: list[Program] = []
        self.feeds: list[Feed] = []
        self._database = database

    def start_redis(self) -> None:
        """At first, and after a kill: empty, at the same address."""
        self.redis.start()
        self._guard.watch(self.redis.process.pid)

    def kill_redis(self) -> None:
        self.redis.kill()
        self._guard.forget(self.redis.process.pid)

    def make_topic(self) -> None:
        Topic(self.brokers.addresses, self.topic).ensure(timedelta(hours=24), Event().wait)

    def run(self, *command: str, **variables: str) -> Program:
        """A command of manage.py, or a script of Python, on this pipeline."""
        self.folder.mkdir(exist_ok=True)
        where = {
            "KAFKA_BROKERS": self.brokers.addresses,
            "KAFKA_TOPIC": self.topic,
            "KAFKA_GROUP_ID": self.group,
            "REDIS_ADDR": self.redis.address,
            "DATABASE_URL": f"sqlite:///{self._database}",
            "LOGGER_FORMAT": "json",
        }
        if not command[0].endswith(".py"):
            command = ("manage.py", *command)
        self.programs.append(Program(self._guard, list(command), where | variables))
        return self.programs[-1]

    def processor(self, name: str = "", **variables: str) -> Program:
        """`name` makes its membership static."""
        return self.run("runprocessor", KAFKA_GROUP_INSTANCE_ID=name, **variables)

    def generator(self, **variables: str) -> Program:
        return self.run("runkafkagen", **variables)

    def feed(self, **options: tuple[str, ...]) -> Feed:
        self.feeds.append(Feed(self.brokers.addresses, self.topic, self.ledger, **options))
        return self.feeds[-1]

    def stored(self) -> dict[str, bytes | None]:
        symbols = list(self.ledger.newest())
        return dict(zip(symbols, self.client.mget(map(stock_key, symbols)), strict=True)) if symbols else {}

    def read_log(self) -> int:
        """Books as acknowledged what the topic holds, where others than a feed have produced. How many updates.

        One that lies there twice counts once: a producer that takes a new epoch while a leader changes may write again
        what it got no answer for (https://github.com/confluentinc/librdkafka/issues/4953). The second may not be
        published, which the report watches.
        """
        known, count = set(), 0
        for update, offset in read_log(self.brokers.addresses, self.topic):
            self.ledger.acked(update, offset)
            known.add((update.symbol, update.order))
            count += 1
        if count > len(known):
            print(f"{count - len(known)} updates lie in the log twice")
        return len(known)

    def committed(self) -> int:
        return committed(self.brokers.addresses, self.topic, self.group)

    def settle(self, seconds: float = SECONDS) -> Report:
        """Waits until each symbol's newest due update was published and all of that was heard; the report then."""
        newest = self.ledger.newest()

        def done() -> bool:
            heard = self.ear.newest
            return all(symbol in heard and heard[symbol].order >= order for symbol, order in newest.items())

        try:
            wait_until(done, seconds, "the newest updates were published; that")
        except AssertionError as error:
            report = self.ledger.report(self.stored())
            raise AssertionError(f"{error}; {report}") from error
        self.ear.drain()
        report = self.ledger.report(self.stored())
        print(report)
        return report

    def close(self) -> None:
        for feed in self.feeds:
            feed.close()
        for program in self.programs:
            if program.running:
                program.proceed()
                program.kill()
        self.ear.close()
        self.client.close()
        self.redis.close()
        self._guard.forget(self.redis.process.pid)
