"""Defines the Redis keys and scripts through which an operator reaches all gateway processes.

- `clients:processes` is a sorted set: the name of each running process, with the time when it last ran TURN_SCRIPT.
- `clients:refused` is a sorted set: each refused subject, as in `Kicks`, with the end of the refusal.
- `clients:request` holds the id of the newest request for a list of connections.
- `clients:reply:ID` is a hash: the answer of each process to the request with this id.

All times are unix milliseconds of the clock of Redis. In a cluster, all these keys have the same slot.
"""

from typing import Any

from feeds.store.keys import group_prefix

CONTROL_GROUP = "clients"
KEEP_SECONDS = 30
"""How long requests and answers stay in Redis."""
GONE_AFTER_MS = 5000
"""A process that has not run TURN_SCRIPT for this time counts as ended."""
MAX_SUBJECTS = 1000
"""The most subjects that can be refused at the same time."""

TURN_SCRIPT = f"""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - {GONE_AFTER_MS})
redis.call('PEXPIRE', KEYS[1], {GONE_AFTER_MS})
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
return {{now, redis.call('GET', KEYS[3]) or '', redis.call('ZRANGE', KEYS[2], 0, {MAX_SUBJECTS - 1}, 'WITHSCORES')}}
"""
"""Stores that the process ARGV[1] runs. Returns the time, the id of the newest request, and the refused subjects."""

ANSWER_SCRIPT = f"""
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], {KEEP_SECONDS})
"""
"""Stores the answer ARGV[2] of the process ARGV[1]."""

REQUEST_SCRIPT = f"""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', KEYS[2], ARGV[1], 'EX', {KEEP_SECONDS})
return redis.call('ZRANGEBYSCORE', KEYS[1], now - {GONE_AFTER_MS}, '+inf')
"""
"""Stores ARGV[1] as the id of the newest request. Returns the names of the running processes."""

REFUSE_SCRIPT = f"""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) + #ARGV - 1 > {MAX_SUBJECTS} then return 0 end
for position = 2, #ARGV do redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[position]) end
return 1
"""
"""Refuses the subjects ARGV[2] and so on for ARGV[1] milliseconds. Returns 0 if too many are refused already."""


def control_keys(client: Any) -> tuple[str, str, str]:
    """Returns the keys `clients:processes`, `clients:refused` and `clients:request`, in a cluster with a hash tag."""
    prefix = group_prefix(client, CONTROL_GROUP)
    return f"{prefix}clients:processes", f"{prefix}clients:refused", f"{prefix}clients:request"


def reply_key(client: Any, request: str) -> str:
    """Returns the key of the answers to a request."""
    return f"{group_prefix(client, CONTROL_GROUP)}clients:reply:{request}"
