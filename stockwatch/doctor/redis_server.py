"""Checks each Redis server: version, memory, role, disk, and the buffers of subscribers."""

from collections.abc import Iterator, Mapping
from typing import Any

import redis

from stockwatch.doctor.finding import Finding, failed, judge, passed, warned
from stockwatch.doctor.redis_limits import find_buffer_fault, find_memory_fault, read_version

OLDEST_VERSION, OLDEST_CLUSTER_VERSION = (6, 0), (7, 0)
NO_CONFIG = "grant the user +config|get, or compare on the server"


def check_server(client: Any, is_cluster: bool, place: str = "") -> Iterator[Finding]:
    """Checks one server. `place` is the address of the node in a cluster; empty for a single server."""
    at = f" of {place}" if place else ""
    try:
        info: Mapping[str, Any] = client.info()
    except redis.exceptions.NoPermissionError:
        yield warned("redis", f"the user may not run INFO{at}", "grant the user +info")
        return
    except redis.RedisError as error:
        yield failed("redis", f"{place or 'the server'} does not answer INFO ({error})", "check the server and its log")
        return
    yield _check_version(info, is_cluster, at)
    yield _check_memory(info, at)
    yield from _check_role(info, is_cluster, at)
    yield _check_buffers(client, at)


def _check_version(info: Mapping[str, Any], is_cluster: bool, at: str) -> Finding:
    oldest = OLDEST_CLUSTER_VERSION if is_cluster else OLDEST_VERSION
    text = str(info.get("redis_version", ""))
    name = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {text}"
    advice = f"install Redis {oldest[0]}.{oldest[1]} or newer, or Valkey"
    return judge("redis version", read_version(text) < oldest, f"{name}{at}", advice)


def _check_memory(info: Mapping[str, Any], at: str) -> Finding:
    limit, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    policy = str(info.get("maxmemory_policy", ""))
    found = f"maxmemory {limit}, {used} used, policy {policy}{at}"
    level, advice = find_memory_fault(limit, used, policy)
    return Finding("redis memory", level, found, advice)


def _check_role(info: Mapping[str, Any], is_cluster: bool, at: str) -> Iterator[Finding]:
    """Checks that the server accepts writes, and that REDIS_CLUSTER is true if the server is a node of a cluster."""
    if info.get("role") == "slave":
        yield failed("redis role", f"the server{at} is a replica, which refuses writes", "name the master, or Sentinel")
    if info.get("cluster_enabled") and not is_cluster:
        yield failed("redis role", "the server is a node of a cluster", "set REDIS_CLUSTER=true")
    for name in ("rdb_last_bgsave_status", "aof_last_write_status"):
        if info.get(name) == "err":
            yield failed("redis disk", f"{name} is err{at}", "look at its log and its disk: it may refuse all writes")


def _check_buffers(client: Any, at: str) -> Finding:
    try:
        limits = client.config_get("client-output-buffer-limit")["client-output-buffer-limit"]
    except (redis.RedisError, KeyError):
        return warned("redis buffers", f"client-output-buffer-limit is not readable{at}", NO_CONFIG)
    found = f"client-output-buffer-limit is {limits}{at}"
    if advice := find_buffer_fault(str(limits)):
        return failed("redis buffers", found, advice)
    return passed("redis buffers", found)
