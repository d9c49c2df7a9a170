"""The doctor names the fault of each Redis that is set up wrong. All servers are real."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
import redis

from stockwatch.doctor.clocks import check_clocks
from stockwatch.doctor.finding import failed
from stockwatch.doctor.redis_checks import check_redis, describe_failure
from stockwatch.doctor.redis_rights import list_commands
from stockwatch.local.redis_server import RedisServer, free_port
from tests.support.servers.commands import ROOT
from tests.support.servers.doctor import PASSWORD, diagnose, expect_fault, run_doctor
from tests.support.servers.redis_cluster import RedisCluster
from tests.support.servers.secure_redis import SentinelSetup
from tests.support.waiting import wait_until

Address = dict[str, Any]
SCRIPTS = (".py", ".lua")
"""The endings of the files that may contain scripts for Redis."""


@pytest.fixture
def start_redis() -> Iterator[Callable[..., Address]]:
    """A function that starts a Redis with options, and returns its address."""
    with ExitStack() as stack:

        def start(*options: str) -> Address:
            server = RedisServer(options=options)
            stack.callback(server.close)
            server.launch()
            wait_until(lambda: listens(server), what="Redis")
            return {"host": server.host, "port": server.port, "password": None, "db": 0}

        yield start


def listens(server: RedisServer) -> bool:
    assert server.process.poll() is None, server.log.read_text()
    with redis.Redis(server.host, server.port, protocol=2) as client:
        try:
            client.ping()
        except redis.AuthenticationError:
            return True
        except redis.ConnectionError:
            return False
        return True


def start_node(start_redis: Callable[..., Address]) -> Address:
    """Starts a node that serves no slots. Returns the address of a cluster of this node alone."""
    node = start_redis("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    return {"nodes": ((node["host"], node["port"]),), "password": None}


def check(address: Address) -> Callable:
    return partial(check_redis, address)


def test_a_redis_with_its_defaults_has_no_fault(redis_server: RedisServer, redis_client: redis.Redis):
    before = redis_client.dbsize()
    diagnosis = diagnose(check({"host": redis_server.host, "port": redis_server.port, "password": None, "db": 0}))
    assert [line.split(":")[0] for line in diagnosis.lines("ok")] == [
        *("redis", "redis version", "redis memory", "redis buffers", "redis rights")
    ]
    assert len(diagnosis.findings) == 5
    assert redis_client.dbsize() == before


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        (
            ("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"),
            ("redis memory", "policy allkeys-lru", "set maxmemory-policy noeviction"),
        ),
        (("--maxmemory", "1mb"), ("redis memory", "raise maxmemory")),
        (("--client-output-buffer-limit", "pubsub 1mb 256kb 5"), ("redis buffers", "set client-output-buffer-limit")),
        (("--cluster-enabled", "yes"), ("redis role", "is a node of a cluster", "set REDIS_CLUSTER=true")),
        (("--replicaof", "127.0.0.1 1"), ("redis role", "is a replica, which refuses writes", "name the master")),
    ],
    ids=["evicts keys", "memory full", "small buffers", "a node of a cluster", "a replica"],
)
def test_a_redis_with_wrong_options_is_named(start_redis, options: tuple[str, ...], texts: tuple[str, ...]):
    expect_fault(diagnose(check(start_redis(*options))), *texts)


def test_a_policy_that_deletes_keys_is_a_warning_without_a_limit_of_memory(start_redis):
    diagnosis = diagnose(check(start_redis("--maxmemory-policy", "volatile-ttl")))
    expect_fault(diagnosis, "policy volatile-ttl", "noeviction", level="warn")


def test_a_wrong_password_of_redis_is_named(start_redis):
    address = start_redis("--requirepass", "another")
    diagnosis = run_doctor("redis", REDIS_URL=f"redis://:{PASSWORD}@127.0.0.1:{address['port']}/0")
    expect_fault(diagnosis, "refuses user or password", "correct REDIS_URL or REDIS_PASSWORD")


def test_a_user_of_redis_without_rights_is_named(start_redis):
    address = start_redis()
    with redis.Redis(address["host"], address["port"], protocol=2) as client:
        rights = ("~stock:*", "&*", "+@read", "+ping", "+del")
        client.execute_command("ACL SETUSER", "reader", "on", f">{PASSWORD}", *rights)
    diagnosis = diagnose(check(address | {"username": "reader", "password": PASSWORD}))
    expect_fault(diagnosis, "redis rights", "may not run SET, ", "EVAL", "PUBLISH", "grant the user")
    expect_fault(diagnosis, "redis rights", "may not change keys: ratelimit:*", "ring:1m:*", "throttle:*", "owners:*")
    assert "stock:" not in str(diagnosis.findings)
    expect_fault(diagnosis, "may not run INFO", "grant the user +info", level="warn")


def test_the_rights_to_all_commands_of_the_scripts_are_checked():
    files = [path for folder in ("feeds", "watchlist") for path in (ROOT / folder).rglob("*") if path.suffix in SCRIPTS]
    used = {name for path in files for name in re.findall(r"redis\.call\('([A-Z]+)'", path.read_text())}
    tried = {command[0] for command in list_commands("unused", sharded=False)}
    assert {"ZADD", "SETRANGE"} < used <= {*tried, "TIME"}


def test_a_redis_that_is_not_there_is_named():
    expect_fault(run_doctor("redis", REDIS_ADDR="127.0.0.1:1"), "127.0.0.1:1 cannot be used", "start Redis")


def test_a_database_number_of_redis_is_a_warning(redis_server: RedisServer):
    diagnosis = run_doctor("redis", REDIS_ADDR=redis_server.address, REDIS_DB="3")
    expect_fault(diagnosis, "redis database", "the number is 3", "its own Redis", level="warn")
    assert diagnosis.status == 0


def test_a_server_that_is_no_node_of_a_cluster_is_named(redis_server: RedisServer):
    nodes = ((redis_server.host, redis_server.port),)
    expect_fault(diagnose(check({"nodes": nodes, "password": None})), "is no cluster", "set REDIS_CLUSTER=false")


def test_a_cluster_has_no_fault_until_a_node_is_lost(redis_cluster: RedisCluster):
    def is_sound() -> bool:
        diagnosis = diagnose(check(redis_cluster.address))
        return not diagnosis.lines("fail") and any("3 nodes serve all slots" in line for line in diagnosis.lines("ok"))

    # Nodes of a busy machine may take each other for lost for a moment.
    wait_until(is_sound, what="a diagnosis without a fault")


def test_a_cluster_without_slots_is_named(start_redis):
    cluster = start_node(start_redis)
    expect_fault(diagnose(check(cluster)), "redis cluster: no node serves some of the slots", "redis-cli --cluster")
    diagnosis = diagnose(partial(check_clocks, cluster, False, {}))
    expect_fault(diagnosis, "the clock of Redis cannot be read (ClusterDownError)", level="warn")


def test_a_master_of_a_cluster_without_a_replica_is_a_warning(start_redis):
    cluster = start_node(start_redis)
    ((host, port),) = cluster["nodes"]
    with redis.Redis(host, port, protocol=2) as client:
        client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        wait_until(lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok", what="a sound cluster")
    expect_fault(
        diagnose(check(cluster)), "redis cluster: some masters have no replica", "add a replica to each", level="warn"
    )


def test_a_redis_that_loads_its_data_is_named():
    error = redis.BusyLoadingError("Redis is loading the dataset in memory")
    assert describe_failure(error, "r:1") == failed("redis", "r:1 is still loading its data", "wait until it answers")


def test_sentinels_that_can_replace_the_master_have_no_fault():
    with SentinelSetup() as sentinels:
        places = [f"redis sentinel: 127.0.0.1:{port} reaches enough sentinels" for port in sentinels.ports]

        def is_sound() -> bool:
            diagnosis = diagnose(check(sentinels.address))
            lines = diagnosis.lines("ok")
            return not diagnosis.lines("fail") and all(any(place in line for line in lines) for place in places)

        # Sentinels of a busy machine may take the master for lost for a moment.
        wait_until(is_sound, what="a diagnosis without a fault")


def test_sentinels_that_do_not_answer_are_named():
    address = {"host": "127.0.0.1", "port": 1, "password": None, "db": 0}
    address |= {"sentinels": (("127.0.0.1", 1),), "service": "mymaster", "sentinel_password": PASSWORD}
    diagnosis = diagnose(check(address))
    expect_fault(diagnosis, "redis sentinel: 127.0.0.1:1", "check REDIS_SENTINELS")
    expect_fault(diagnosis, "redis: the master mymaster cannot be used")
