"""Runs a pipeline on real brokers. A ledger holds every update of the pipeline."""

from datetime import timedelta
from pathlib import Path
from threading import Event
from uuid import uuid4

import redis

from feeds.kafka.topic import Topic
from feeds.wire import stock_key
from stockwatch.local.redis_server import RedisServer, free_port
from tests.support.kafka.brokers import Brokers
from tests.support.kafka.fixtures import committed
from tests.support.kafka.programs import Program
from tests.support.kafka.traffic import Feed, UpdateListener, read_log
from tests.support.servers.processes import ProcessReaper
from tests.support.update_ledger import Ledger, Report
from tests.support.waiting import wait_until

SETTLE_SECONDS = 120.0
"""How long the pipeline may take to process all updates after the last fault.

The time is long, because the machine may be busy.
"""


class Pipeline:
    """A pipeline with its own topic, consumer group, Redis, and ledger of updates."""

    def __init__(self, brokers: Brokers, reaper: ProcessReaper, folder: Path, database: Path) -> None:
        self.brokers = brokers
        self.topic = f"ticks-{uuid4().hex[:12]}"
        self.group = f"group-{self.topic}"
        self.folder = folder
        self.redis = RedisServer(free_port())
        self._reaper = reaper
        self.start_redis()
        self.address: dict[str, object] = {"host": self.redis.host, "port": self.redis.port}
        self.client = redis.Redis(**self.address, protocol=2)
        self.client.config_set("client-output-buffer-limit", "pubsub 0 0 0")
        self.ledger = Ledger()
        self.listener = UpdateListener(self.address, self.ledger)
        self.programs: list[Program] = []
        self.feeds: list[Feed] = []
        self.database = database

    def start_redis(self) -> None:
        """Starts an empty Redis, always at the same address."""
        self.redis.start()
        self._reaper.watch(self.redis.process.pid)

    def kill_redis(self) -> None:
        self.redis.kill()
        self._reaper.forget(self.redis.process.pid)

    def create_topic(self) -> None:
        Topic(self.brokers.addresses, self.topic).ensure(timedelta(hours=24), Event().wait)

    def run(self, *command: str, **variables: str) -> Program:
        """Starts a command of manage.py, or a Python script, with the settings of this pipeline."""
        self.folder.mkdir(exist_ok=True)
        settings = {
            "KAFKA_BROKERS": self.brokers.addresses,
            "KAFKA_TOPIC": self.topic,
            "KAFKA_GROUP_ID": self.group,
            "REDIS_ADDR": self.redis.address,
            "DATABASE_URL": f"sqlite:///{self.database}",
            "LOGGER_FORMAT": "json",
        }
        if not command[0].endswith(".py"):
            command = ("manage.py", *command)
        self.programs.append(Program(self._reaper, list(command), settings | variables))
        return self.programs[-1]

    def processor(self, name: str = "", **variables: str) -> Program:
        """Starts a processor. If `name` is not empty, the processor is a static member of the consumer group."""
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
        """Adds the updates of the topic to the ledger as acknowledged. Returns the number of different updates.

        A test needs this method if the generator produced the updates. If the leader changes, an idempotent producer
        may write an update twice (https://github.com/confluentinc/librdkafka/issues/4953). The report checks that the
        update is published once.
        """
        known, count = set(), 0
        for update, offset in read_log(self.brokers.addresses, self.topic):
            self.ledger.add_acknowledged(update, offset)
            known.add((update.symbol, update.order))
            count += 1
        if count > len(known):
            print(f"{count - len(known)} updates are in the log twice")
        return len(known)

    def committed(self) -> int:
        return committed(self.brokers.addresses, self.topic, self.group)

    def settle(self, seconds: float = SETTLE_SECONDS) -> Report:
        """Waits until the listener has received the newest due update of each symbol. Returns the ledger's report."""
        newest = self.ledger.newest()

        def done() -> bool:
            received = self.listener.newest
            return all(symbol in received and received[symbol].order >= order for symbol, order in newest.items())

        try:
            wait_until(done, seconds, "publication of the newest updates")
        except AssertionError as error:
            report = self.ledger.report(self.stored())
            raise AssertionError(f"{error}; {report}") from error
        self.listener.drain()
        report = self.ledger.report(self.stored())
        print(report)
        return report

    def close(self) -> None:
        for feed in self.feeds:
            feed.close()
        for program in self.programs:
            if program.running:
                program.resume()
                program.kill()
        self.listener.close()
        self.client.close()
        self.redis.close()
        self._reaper.forget(self.redis.process.pid)
