"""Causes the faults of the demonstration, each with the alerts that must fire."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass

import redis
from confluent_kafka import Producer
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from feeds.wire import Update, channel_name, encode
from tests.monitoring.demo import server_faults
from tests.monitoring.demo.delivery_faults import (
    lock_database,
    refuse_database_writes,
    refuse_webhooks,
    starve_engine,
)
from tests.monitoring.demo.stack import SYMBOL, DemoStack
from tests.monitoring.demo.steps import Step, do_nothing
from tests.monitoring.demo.trade_faults import audit_lost_day, lose_trades
from tests.support.gateway.raw_socket import TEXT, make_frame, make_upgrade

SUBSCRIBE = b'{"action":"subscribe","payload":{"symbols":["%s"]}}' % SYMBOL.encode()
SLOW_CLIENTS = 5
LATE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault, and the alerts that must fire.

    `cause` begins the fault and ends it. It yields a function, which is called again and again during the fault.
    """

    text: str
    cause: Callable[[DemoStack], AbstractContextManager[Step]]
    alerts: tuple[str, ...]


@contextmanager
def kill_generator(stack: DemoStack) -> Iterator[Step]:
    """Kills the only program whose prices the watcher reads, and freezes the exchange, so that no price is left."""
    stack.kill("generator")
    stack.freeze("exchange")
    try:
        yield do_nothing
    finally:
        stack.thaw("exchange")
        stack.start_program("generator")


def freeze(name: str) -> Callable[[DemoStack], AbstractContextManager[Step]]:
    @contextmanager
    def cause(stack: DemoStack) -> Iterator[Step]:
        stack.freeze(name)
        try:
            yield do_nothing
        finally:
            stack.thaw(name)

    return cause


@contextmanager
def delay_processor(stack: DemoStack) -> Iterator[Step]:
    stack.freeze("processor")
    time.sleep(LATE_SECONDS)
    stack.thaw("processor")
    yield do_nothing


@contextmanager
def send_invalid_records(stack: DemoStack) -> Iterator[Step]:
    producer = Producer({"bootstrap.servers": stack.environment["KAFKA_BROKERS"]})
    for number in range(5):
        producer.produce("market_ticks", key=SYMBOL, value=f"not a price {number}")
    producer.flush(60)
    yield do_nothing


@contextmanager
def connect_too_many(stack: DemoStack) -> Iterator[Step]:
    with ExitStack() as clients:

        def connect_more() -> None:
            with suppress(OSError, WebSocketException):
                for _ in range(160):
                    clients.enter_context(open_socket(stack))

        yield connect_more


@contextmanager
def connect_at_once(stack: DemoStack) -> Iterator[Step]:
    """Disconnects all clients and connects them again, as after the loss of a network."""

    def reconnect() -> None:
        with ExitStack() as clients, suppress(OSError, WebSocketException):
            for _ in range(120):
                clients.enter_context(open_socket(stack))

    yield reconnect


@contextmanager
def read_nothing(stack: DemoStack) -> Iterator[Step]:
    """Opens sockets that read nothing, and publishes more than their buffers hold."""
    host, _, port = stack.environment["REDIS_ADDR"].rpartition(":")
    client = redis.Redis(host=host, port=int(port), protocol=2)
    with ExitStack() as sockets:
        for _ in range(SLOW_CLIENTS):
            sockets.enter_context(open_slow_socket(stack))

        def publish() -> None:
            now = int(time.time() * 1e6)
            with client.pipeline(transaction=False) as pipeline:
                for number in range(5000):
                    update = Update(SYMBOL, 100.0, now + number, now + number)
                    pipeline.publish(channel_name(SYMBOL), encode(update))
                pipeline.execute()

        yield publish


def open_slow_socket(stack: DemoStack) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", stack.port))
    sock.sendall(make_upgrade(f"127.0.0.1:{stack.port}"))
    sock.recv(1024)
    sock.sendall(make_frame(TEXT, SUBSCRIBE))
    return sock


def open_socket(stack: DemoStack) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{stack.port}/ws", compression=None, ping_interval=None, open_timeout=60)


FAULTS = {
    "source": Fault("the exchange sends nothing", freeze("exchange"), ("SourceSilent",)),
    "records": Fault("a producer writes invalid records", send_invalid_records, ("DeadLetters",)),
    "reconnect": Fault("all clients connect again at once", connect_at_once, ("ReconnectSurge",)),
    "limit": Fault("more connections than the limit", connect_too_many, ("ConnectionsRefused",)),
    "late": Fault("the processor is stopped for 10 s", delay_processor, ("DeliverySlow", "ProcessorSlow")),
    "slow": Fault("clients do not read", read_nothing, ("UpdatesDropped", "ClientsTooSlow")),
    "processor": Fault("the processor hangs", freeze("processor"), ("TargetDown", "NoTicks")),
    "redis": Fault(
        "Redis hangs",
        freeze("redis"),
        ("RedisRefusesWrites", "WorkerStuck", "PricesDisconnected", "NoTicks"),
    ),
    "generator": Fault("generator and exchange are dead", kill_generator, ("TargetDown", "NoTicks")),
    "restarts": Fault("a program dies again and again", server_faults.restart_generator, ("Restarting",)),
    "files": Fault("a gateway may open few files", server_faults.use_up_files, ("FilesAlmostUsedUp",)),
    "versions": Fault("an upgrade is half done", server_faults.run_other_version, ("MixedVersions",)),
    "kafka": Fault("Kafka hangs for two minutes", server_faults.freeze_kafka, ("UpdatesNotSent",)),
    "retention": Fault(
        "Kafka deletes records that are not read", server_faults.delete_unread_records, ("RecordsLost",)
    ),
    "broker": Fault("one of three brokers dies", server_faults.kill_broker, ("ReplicasMissing",)),
    "subscription": Fault(
        "Redis ends the subscriptions again and again", server_faults.end_subscriptions, ("RedisConnectionLosses",)
    ),
    "relay": Fault("the relay dies again and again", server_faults.kill_relay, ("RelayFallbacks",)),
    "server": Fault("uvicorn serves the gateway", server_faults.serve_with_uvicorn, ("SlowPath",)),
    "node": Fault("a node of a Redis Cluster dies", server_faults.kill_redis_node, ("RedisNodesLost",)),
    "database": Fault("the database is locked", lock_database, ("DatabaseDown", "PagesFail", "AlertsBlind")),
    "engine": Fault("the alert engine is too slow", starve_engine, ("AlertEngineBehind", "AlertsBlind")),
    "writes": Fault(
        "nothing can write to the database", refuse_database_writes, ("DeliveryStuck", "AlertsBlind", "LagGrowing")
    ),
    "webhooks": Fault("a receiver refuses webhooks", refuse_webhooks, ("DeliveryFailing",)),
    "trades": Fault("the exchange loses trades", lose_trades, ("TradesMissed",)),
    "audit": Fault("an audit of a day without a feeder", audit_lost_day, ("AuditFoundLosses",)),
}
