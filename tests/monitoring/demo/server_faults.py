"""Causes faults of programs, Kafka, Redis and the relay.

Faults that the stack itself cannot show use more programs beside it: other gateways, three real brokers, a Redis
Cluster.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import redis
from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic
from websockets.exceptions import WebSocketException

from feeds.store.cluster.slots import key_slot, tag_prefix
from feeds.wire import Update, encode
from tests.monitoring.demo.added_programs import run_command, run_gateway
from tests.monitoring.demo.stack import SYMBOL, DemoStack
from tests.monitoring.demo.steps import Step, do_nothing
from tests.support.gateway.process import find_relay
from tests.support.kafka.brokers import Brokers
from tests.support.servers.processes import is_open
from tests.support.servers.redis_cluster import RedisCluster
from tests.support.waiting import wait_until

SUBSCRIBE = f'["{SYMBOL}"]'
SCRAPES_SECONDS = 5.0
"""In this time, Prometheus reads the metrics of each program at least once."""
MAX_FILES = 120
SLOW_PATH_CLIENTS = 110
UNREAD_RECORDS = 100_000
"""More records than the embedded Kafka keeps of one partition."""


@contextmanager
def restart_generator(stack: DemoStack) -> Iterator[Step]:
    def restart() -> None:
        stack.kill("generator")
        stack.start_program("generator")
        wait_until(lambda: is_open(f"127.0.0.1:{stack.targets['generator']}"), 120, "start of the generator")
        time.sleep(SCRAPES_SECONDS)

    yield restart


@contextmanager
def use_up_files(stack: DemoStack) -> Iterator[Step]:
    """Runs a gateway that may open MAX_FILES files, and connects more and more clients."""
    with run_gateway(stack, max_files=MAX_FILES) as gateway, ExitStack() as clients:

        def connect_more() -> None:
            with suppress(OSError, WebSocketException):  # it refuses clients before it has no files left
                for _ in range(5):
                    clients.enter_context(gateway.connect())

        yield connect_more


@contextmanager
def run_other_version(stack: DemoStack) -> Iterator[Step]:
    """Runs a second sender, which says that it is of another commit."""
    with run_command(stack, "delivery", "rundelivery", "DELIVERY_METRICS_PORT", BUILD_COMMIT="0123456789abcdef"):
        yield do_nothing


@contextmanager
def freeze_kafka(stack: DemoStack) -> Iterator[Step]:
    """Freezes the program that runs the embedded brokers. Updates are lost after two minutes in the queue."""
    stack.freeze("runstack")
    try:
        yield do_nothing
    finally:
        stack.thaw("runstack")


@contextmanager
def delete_unread_records(stack: DemoStack) -> Iterator[Step]:
    """Writes more records than the topic keeps, while the processor is frozen."""
    stack.freeze("processor")
    try:
        write_old_updates(stack.environment["KAFKA_BROKERS"], UNREAD_RECORDS)
    finally:
        stack.thaw("processor")
    yield do_nothing


def write_old_updates(brokers: str, count: int) -> None:
    """Writes updates of one symbol that are older than its quote, so that no client sees them."""
    producer = Producer({"bootstrap.servers": brokers, "partitioner": "murmur2_random", "linger.ms": 20})
    minute_ago = int((time.time() - 60) * 1e6)
    for number in range(count):
        producer.produce("market_ticks", encode(Update(SYMBOL, 100.0, minute_ago + number, number + 1)), SYMBOL)
        if number % 10_000 == 0:
            producer.flush(60)
    producer.flush(60)


@contextmanager
def kill_broker(stack: DemoStack) -> Iterator[Step]:
    """Kills one of three real brokers, which a second processor reads: an embedded broker cannot die alone."""
    with Brokers() as brokers:
        brokers.admin.create_topics([NewTopic("market_ticks", 4, 3)])["market_ticks"].result(60)
        kafka = {"KAFKA_BROKERS": brokers.addresses, "KAFKA_SESSION_TIMEOUT": "6s"}
        with run_command(stack, "processor", "runprocessor", "PROCESSOR_METRICS_PORT", **kafka):
            brokers.await_in_sync("market_ticks")
            brokers.nodes[0].kill()
            yield do_nothing


@contextmanager
def end_subscriptions(stack: DemoStack) -> Iterator[Step]:
    """Makes Redis close the connections of subscribers, as it does if they read too slowly."""
    host, _, port = stack.environment["REDIS_ADDR"].rpartition(":")
    with redis.Redis(host=host, port=int(port), protocol=2) as client:
        yield lambda: client.client_kill_filter(_type="pubsub")


@contextmanager
def kill_relay(stack: DemoStack) -> Iterator[Step]:
    """Kills the relay of a gateway with two processes as soon as the processes use it."""
    with run_gateway(stack, GATEWAY_PROCESSES="2") as gateway, ExitStack() as clients:
        for _ in range(10):  # both processes get some of them
            clients.enter_context(gateway.connect()).send(SUBSCRIBE)

        def kill() -> None:
            with suppress(OSError):  # the gateway is busy, or the relay has just ended
                if gateway.metric("relay_connected") > 0 and (relay := find_relay(gateway)):
                    os.kill(relay, signal.SIGKILL)

        yield kill


@contextmanager
def serve_with_uvicorn(stack: DemoStack) -> Iterator[Step]:
    with run_gateway(stack, "uvicorn") as gateway, ExitStack() as clients:
        for _ in range(SLOW_PATH_CLIENTS):
            clients.enter_context(gateway.connect())
        yield do_nothing


@contextmanager
def kill_redis_node(stack: DemoStack) -> Iterator[Step]:
    """Kills the master of one symbol in a Redis Cluster without replicas, which a second gateway uses."""
    with (
        RedisCluster(masters=3, replicas=0) as cluster,
        run_gateway(stack, **cluster.variables) as gateway,
        gateway.connect() as client,
    ):
        client.send(SUBSCRIBE)
        wait_until(lambda: gateway.metric("channel_layer_connected") == 1, 60, "subscription to the cluster")
        time.sleep(SCRAPES_SECONDS)
        cluster.kill(cluster.owner(key_slot(tag_prefix(SYMBOL).encode())))
        yield do_nothing
