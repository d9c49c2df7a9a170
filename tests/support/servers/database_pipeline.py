"""Runs all programs on one database, and adds tickers and alerts while the programs run."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import redis

from feeds import bar_layout
from stockwatch.local.redis_server import RedisServer
from tests.exchanges.server import Exchange
from tests.support.delivery.receiver import WebhookReceiver
from tests.support.gateway.process import ROOT, SYMBOLS, GatewayProcess, receive_frame
from tests.support.kafka.traffic import read_log
from tests.support.servers.commands import migrate
from tests.support.servers.pipeline import Programs, SocketClient, now
from tests.support.waiting import wait_until

ADD = """
from django.contrib.auth.models import User
from feeds.history.past_bars import complete_past
from feeds.models import Tape, Ticker
from tests.support.delivery.rows import add_account
from watchlist.alert_kinds import Side
from watchlist.alert_models import Alert
owner = User.objects.filter(username="ada").first() or add_account("ada", {url!r})
for symbol, source in {tickers!r}.items():
    ticker = Ticker.objects.create(symbol=symbol, name=symbol, base_price=100.0, source=source)
    complete_past(Tape.objects.create(symbol=symbol, source=source).pk)  # a simulated past takes long on a busy machine
    Alert.objects.create(owner=owner, ticker=ticker, kind="up", level=1.0, side=Side.BELOW.value, by_webhook=True)
"""
COUNT_RECORDED = """
from django.db.models import Sum
from feeds.models import DayBar, Origin
rows = DayBar.objects.filter(origin=Origin.RECORDED).values_list("tape__symbol").annotate(Sum("count"))
import json; print(json.dumps(dict(rows)))
"""


class DatabasePipeline:
    """Generator, feeder, processor, recorder, alert engine, sender and gateway, each in its own process.

    `variables` describe the database. Each ticker has an alert that fires at the first update and goes to the webhook.
    """

    def __init__(
        self,
        variables: Mapping[str, str],
        brokers: str,
        exchange: Exchange,
        receiver: WebhookReceiver,
        run_gateway: Callable[..., GatewayProcess],
        redis_server: RedisServer,
        folder: Path,
    ) -> None:
        self._brokers, self._receiver, self._redis = brokers, receiver, redis_server
        self.environment = {
            **variables,
            **exchange.settings(),
            "FEEDS": exchange.name,
            "REDIS_ADDR": redis_server.address,
            "SITE_URL": "https://stocks.example.org",
            "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
        }
        migrate(os.environ | self.environment)
        self.tickers: dict[str, str] = {}
        self.add(dict.fromkeys(SYMBOLS, "simulated"))
        self.gateway = run_gateway("rungateway", redis_server, **variables)
        self.programs = Programs(brokers, "unused", folder, self.environment)
        self.feeder, self.alerts, self.sender = map(self.programs.start, ("runfeed", "runalerts", "rundelivery"))

    def add(self, tickers: Mapping[str, str]) -> None:
        """Adds active tickers with an alert each. `tickers` maps symbols to sources."""
        self._run(ADD.format(url=self._receiver.url, tickers=dict(tickers)))
        self.tickers |= tickers

    def _run(self, code: str) -> str:
        """Runs Python code with the database. Returns what the code prints."""
        command = [sys.executable, "manage.py", "shell", "-v0", "-c", code]
        environment = os.environ | self.environment
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout

    def wait_for_prices(self) -> None:
        """Waits until a client of `/ws` gets an update of each ticker."""
        wait_until(self._gateway_has_all, 60, "the tickers of the gateway", interval=1.0)
        with self.gateway.connect(max_queue=None) as socket:
            SocketClient(socket, self.tickers).receive_until(*self.tickers, after=0)

    def _gateway_has_all(self) -> bool:
        """Returns whether a client can subscribe to each ticker. The gateway reads the tickers every half second."""
        with self.gateway.connect() as socket:
            SocketClient(socket, self.tickers)
            while (frame := receive_frame(socket)).get("type") not in ("ack", "error"):
                pass
            return set(frame.get("symbols") or ()) == set(self.tickers)

    def wait_for_webhooks(self) -> None:
        """Waits until the alert of each ticker has been delivered."""
        wait_until(lambda: len(set(self._receiver.keys())) == len(self.tickers), 60, "the webhooks")

    def end(self) -> list[int]:
        """Ends the programs: first those that publish, last those that read. Returns their exit statuses."""
        programs = self.programs
        statuses = [programs.generator.end(), self.feeder.end()]
        in_kafka = self.count_in_kafka()
        wait_until(lambda: self._count_newest_days() == in_kafka, 60, "the recorder")
        return [*statuses, *(each.end() for each in (programs.recorder, programs.processor, self.alerts, self.sender))]

    def _count_newest_days(self) -> dict[str, int]:
        """Returns the number of updates of each symbol in the day bars of Redis."""
        with redis.Redis(host=self._redis.host, port=self._redis.port) as client:
            values = client.mget([bar_layout.day_key(symbol) for symbol in self.tickers])
        days = [msgspec.json.decode(value, type=bar_layout.NewestDay) for value in values if value]
        return {day.symbol: day.count for day in days}

    def count_in_kafka(self) -> dict[str, int]:
        """Returns the number of updates of each symbol in the topic."""
        counts: dict[str, int] = {}
        for update, _ in read_log(self._brokers, "market_ticks"):
            counts[update.symbol] = counts.get(update.symbol, 0) + 1
        return counts

    def count_recorded(self) -> dict[str, int]:
        """Returns the number of updates of each symbol that the recorder has counted in day bars."""
        counts: dict[str, int] = json.loads(self._run(COUNT_RECORDED))
        return counts

    def logs(self) -> str:
        """Returns the logs of all programs."""
        texts = (each.read_text() for each in sorted(self.programs.folder.glob("run*.log")))
        return self.gateway.log.read_text() + "".join(texts)

    def close(self) -> None:
        self.programs.close()
        for each in (self.feeder, self.alerts, self.sender):
            each.kill()


def receive_for(client: SocketClient, seconds: float) -> None:
    """Receives updates of all symbols again and again, for at least `seconds` seconds."""
    end = time.monotonic() + seconds
    while True:
        client.receive_until(*client.numbers, after=now())
        if time.monotonic() >= end:
            return
