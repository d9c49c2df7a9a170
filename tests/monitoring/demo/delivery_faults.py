"""Causes faults of the alerts of people: of the database, the alert engine and deliveries."""

import fcntl
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from urllib.request import ProxyHandler, build_opener

from confluent_kafka import Producer

from feeds.wire import Update, encode
from tests.monitoring.demo.stack import DemoStack
from tests.monitoring.demo.steps import Step, do_nothing
from tests.support.delivery.receiver import OK, WebhookReceiver, status
from tests.support.waiting import wait_until

OPENER = build_opener(ProxyHandler({}))
VISITORS = 8
REFUSED_FIRINGS = 12
BACKLOG = 100_000
LOAD_SYMBOLS = [f"LOAD{number}" for number in range(100)]
TURN_UPDATES = BACKLOG // 40
"""How many updates the starved alert engine may evaluate in one turn. It is stopped for a second after each turn."""

MIN_TURN_SECONDS, MAX_TURN_SECONDS, STOPPED_SECONDS = 0.005, 0.5, 0.5

SHM_LOCKS_START, SHM_LOCKS = 120, 8
"""The bytes of the file `-shm` whose locks readers and writers of an SQLite database in WAL mode take."""

ADD_FIRINGS = """
from datetime import UTC, datetime
from tests.support.delivery.rows import add_account, fire
from watchlist.alert_kinds import Channel
fire(add_account({name!r}, {url!r}), Channel.WEBHOOK, datetime.now(UTC), {count})
"""


@contextmanager
def lock_database(stack: DemoStack) -> Iterator[Step]:
    """Locks the database for all programs, while people load pages and one of them has an alert."""
    add_alert(stack)
    ended = threading.Event()
    visitors = [threading.Thread(target=load_pages, args=(stack.port, ended)) for _ in range(VISITORS)]
    with stack.database.with_name(f"{stack.database.name}-shm").open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, SHM_LOCKS, SHM_LOCKS_START)
        for visitor in visitors:
            visitor.start()
        try:
            yield do_nothing
        finally:
            ended.set()
    for visitor in visitors:
        visitor.join()


@contextmanager
def refuse_database_writes(stack: DemoStack) -> Iterator[Step]:
    """Leaves a transaction open, so that no program can write, while a delivery waits for its next attempt.

    The receiver takes the delivery only afterwards.
    """
    ended = threading.Event()

    def answer(connection: socket.socket) -> None:
        (OK if ended.is_set() else status(503))(connection)

    with WebhookReceiver(answer) as receiver:
        add_firings(stack, receiver.url, 1)
        wait_until(lambda: receiver.requests, 120, "the first attempt")
        with closing(sqlite3.connect(stack.database, timeout=120, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield do_nothing
            finally:
                attempts = len(receiver.requests)
                ended.set()
        wait_until(lambda: len(receiver.requests) > attempts, 300, "the last attempt")


@contextmanager
def refuse_webhooks(stack: DemoStack) -> Iterator[Step]:
    """Refuses the webhooks of a person for good, as a receiver does that is not there any more."""
    with WebhookReceiver(status(404)) as receiver:
        add_firings(stack, receiver.url, REFUSED_FIRINGS)
        yield do_nothing


@contextmanager
def starve_engine(stack: DemoStack) -> Iterator[Step]:
    """Lets the alert engine run for a part of the time, while many updates come."""
    add_alert(stack)
    brokers = stack.environment["KAFKA_BROKERS"]
    seconds, evaluated, caught_up_at = MIN_TURN_SECONDS, 0.0, 0.0

    def run_shortly() -> None:
        nonlocal seconds, evaluated, caught_up_at
        before = evaluated
        stack.thaw("alerts")
        time.sleep(seconds)
        evaluated = read_metric(stack, "alerts", "stockwatch_alerts_read_total")
        stack.freeze("alerts")
        # A fast machine gets shorter turns than a slow one.
        wanted = seconds * TURN_UPDATES / max(evaluated - before, 1.0)
        seconds = min(max(wanted, MIN_TURN_SECONDS), MAX_TURN_SECONDS)
        if evaluated >= caught_up_at:
            send_updates(brokers, BACKLOG)
            caught_up_at = evaluated + BACKLOG
        time.sleep(STOPPED_SECONDS)

    try:
        yield run_shortly
    finally:
        stack.thaw("alerts")


def add_firings(stack: DemoStack, url: str, count: int) -> None:
    """Adds a person with a webhook and an alert that has fired `count` times."""
    code = ADD_FIRINGS.format(name=f"person-{time.time_ns()}", url=url, count=count)
    stack.manage("shell", "-v0", "-c", code)


def add_alert(stack: DemoStack) -> None:
    """Adds a person with an alert, and waits until the alert engine knows the alert."""
    add_firings(stack, "http://127.0.0.1:9/", 0)
    wait_until(lambda: read_metric(stack, "alerts", "stockwatch_alerts_active"), 120, "an active alert in the engine")


def read_metric(stack: DemoStack, program: str, metric: str) -> float:
    """Returns the value of a metric without labels."""
    with OPENER.open(f"http://127.0.0.1:{stack.targets[program]}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    return float(re.findall(rf"^{metric} (\S+)$", text, re.MULTILINE)[0])


def load_pages(port: int, ended: threading.Event) -> None:
    """Loads the page again and again, as a person does."""
    while not ended.wait(0.5):
        with suppress(OSError), OPENER.open(f"http://127.0.0.1:{port}/", timeout=60) as answer:
            answer.read()


def send_updates(brokers: str, count: int) -> None:
    """Writes updates of symbols that nobody watches to the topic."""
    producer = Producer({"bootstrap.servers": brokers, "queue.buffering.max.messages": count})
    now = int(time.time() * 1e6)
    for number in range(count):
        symbol = LOAD_SYMBOLS[number % len(LOAD_SYMBOLS)]
        update = Update(symbol, 100.0, now, number)
        producer.produce("market_ticks", key=symbol, value=encode(update))
    producer.flush(120)
