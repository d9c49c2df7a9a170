"""Checks Redis: one server, a cluster, or a master that Sentinel names."""

from collections.abc import Iterator, Mapping
from typing import Any

import redis

from feeds.store.cluster.client import ClusterClient
from feeds.store.connection import PROBE, connect
from stockwatch.doctor.finding import Finding, failed, passed, warned
from stockwatch.doctor.redis_rights import check_rights
from stockwatch.doctor.redis_server import check_server

Address = Mapping[str, Any]
UNSERVED_ADVICE = "let nodes serve all slots: redis-cli --cluster create, or redis-cli --cluster fix"
TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


def check_redis(address: Address) -> Iterator[Finding]:
    """Checks the Redis at `address`, which has the shape of the setting REDIS."""
    if "sentinels" in address:
        yield from check_sentinels(address)
    client = connect(address, PROBE)
    try:
        client.ping()
    except redis.RedisError as error:
        yield describe_failure(error, describe_place(address))
        if not isinstance(client, ClusterClient) or not client.slots.owners:
            client.close()
            return
    else:
        yield passed("redis", f"{describe_place(address)} answers")
    try:
        yield from _check_servers(client)
        yield from check_rights(client)
    finally:
        client.close()
    if address.get("db"):
        advice = "give each installation its own Redis: all databases of a server share their channels"
        yield warned("redis database", f"the number is {address['db']}", advice)


def _check_servers(client: Any) -> Iterator[Finding]:
    if not isinstance(client, ClusterClient):
        yield from check_server(client, is_cluster=False)
        return
    yield from _check_slots(client)
    for node in client.slots.owners:
        yield from check_server(client.node_client(node), is_cluster=True, place=str(node))


def _check_slots(client: ClusterClient) -> Iterator[Finding]:
    """Checks that all nodes answer, that all slots are served, and that each master has a replica."""
    lost = client.lost_nodes()
    if lost:
        yield failed(
            "redis cluster", f"{', '.join(lost)} do not answer", "start these nodes, or let replicas take over"
        )
    node = next((node for node in client.slots.owners if str(node) not in lost), None)
    if node is None:
        return
    try:
        state = client.node_client(node).execute_command("CLUSTER INFO")
        slots = client.node_client(node).execute_command("CLUSTER SLOTS")
    except redis.RedisError as error:
        yield warned("redis cluster", f"{node} does not tell its state ({error})", "grant the user +cluster")
        return
    fields = state if isinstance(state, dict) else {}
    if fields.get("cluster_state") != "ok" or fields.get("cluster_slots_ok") != "16384":
        found = f"state {fields.get('cluster_state')}, {fields.get('cluster_slots_ok')} of 16384 slots are served"
        yield failed("redis cluster", found, UNSERVED_ADVICE)
    else:
        yield passed("redis cluster", f"{len(client.slots.owners)} nodes serve all slots")
    # An entry of the reply is a list: first slot, last slot, master, replicas.
    if any(len(entry) < 4 for entry in slots):
        yield warned(
            "redis cluster", "some masters have no replica", "add a replica to each: its symbols wait if it dies"
        )


def check_sentinels(address: Address) -> Iterator[Finding]:
    """Asks each sentinel whether it knows the master and reaches enough other sentinels to replace the master."""
    tls = {name: address[name] for name in TLS_FILES if name in address}
    if address.get("ssl"):
        tls["ssl"] = True
    for host, port in address["sentinels"]:
        own = {"host": host, "port": port, "password": address.get("sentinel_password"), **tls}
        client: Any = connect(own, PROBE)
        try:
            client.execute_command("SENTINEL CKQUORUM", address["service"])
        except redis.RedisError as error:
            advice = "start it, or check REDIS_SENTINELS, REDIS_SENTINEL_SERVICE and REDIS_SENTINEL_PASSWORD"
            yield failed("redis sentinel", f"{host}:{port}: {error}", advice)
        else:
            yield passed("redis sentinel", f"{host}:{port} reaches enough sentinels to replace the master")
        finally:
            client.close()


def describe_place(address: Address) -> str:
    """Returns the address without user and password."""
    if "nodes" in address:
        return ", ".join(f"{host}:{port}" for host, port in address["nodes"])
    if "sentinels" in address:
        return f"the master {address['service']}"
    return str(address.get("path") or f"{address['host']}:{address['port']}")


def describe_failure(error: redis.RedisError, place: str) -> Finding:
    """Returns the failed result for a server that cannot be used."""
    text = str(error)
    if isinstance(error, redis.exceptions.NoPermissionError):
        return failed("redis", f"{place}: the user may not run PING ({text})", "correct the rights of the user")
    if isinstance(error, redis.AuthenticationError):
        return failed("redis", f"{place} refuses user or password ({text})", "correct REDIS_URL or REDIS_PASSWORD")
    if isinstance(error, redis.BusyLoadingError):
        return failed("redis", f"{place} is still loading its data", "wait until it answers")
    if isinstance(error, redis.exceptions.ClusterDownError):
        return failed("redis cluster", text, UNSERVED_ADVICE)
    if "cluster support disabled" in text:
        return failed("redis role", f"{place} is no cluster", "set REDIS_CLUSTER=false")
    advice = "start Redis, or correct REDIS_ADDR or REDIS_URL; check firewall and TLS"
    return failed("redis", f"{place} cannot be used ({type(error).__name__}: {text})", advice)
