"""The only writer to Redis on this side: prices in one atomic step, and the generator's lease.

It knows no Kafka and decides nothing: what is newer is compared in Redis itself, so that no two writers can disagree.
"""

from datetime import timedelta
from typing import Any

import redis
import structlog

from feeds.processor.batch import Batch
from feeds.store.connection import Script
from feeds.wire import CHANNEL_PREFIX, STOCK_PREFIX, stock_key

log = structlog.get_logger(__name__)

WRITE = f"""
-- KEYS: one a symbol. ARGV: TTL in ms; then for each key how many updates, time and number of the first and of the
-- last, and the updates themselves, each newer than the one before. Returns how many were published.
local function order(text)
  local time, seq =
    string.match(text, '^{{"symbol":"[^"]*","price":[%d.eE+-]+,"timestamp":(%d+),"seq_id":(%d+)}}$')
  if not time then
    -- Written by another program: other spaces, another order of keys, or no update at all, which anything replaces.
    local fine, value = pcall(cjson.decode, text)
    if not fine or type(value) ~= 'table' then return -1, -1 end
    time, seq = value.timestamp, value.seq_id
    if type(time) ~= 'number' or type(seq) ~= 'number' then return -1, -1 end
  end
  return tonumber(time), tonumber(seq)
end

local function newer(time, seq, than_time, than_seq)
  return time > than_time or (time == than_time and seq > than_seq)
end

local function passed(text, than_time, than_seq)
  local time, seq = order(text)
  return newer(time, seq, than_time, than_seq)
end

local published, at = 0, 2
for i = 1, #KEYS do
  local count = tonumber(ARGV[at])
  local first, last = at + 5, at + 4 + count
  local stored = redis.pcall('GET', KEYS[i])
  if type(stored) == 'string' then
    local time, seq = order(stored)
    if not newer(tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), time, seq) then
      if newer(tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), time, seq) then
        while first < last and not passed(ARGV[first], time, seq) do first = first + 1 end
      else
        first = last + 1
      end
    end
  end
  if first <= last then
    redis.call('SET', KEYS[i], ARGV[last], 'PX', ARGV[1])
    local channel = '{CHANNEL_PREFIX}' .. string.sub(KEYS[i], {len(STOCK_PREFIX) + 1})
    for j = first, last do redis.call('PUBLISH', channel, ARGV[j]) end
    published = published + last - first + 1
  end
  at = last + 1
end
return published
"""


class QuoteWriter:
    """Writes prices through one connection; each thread has a store of its own."""

    def __init__(self, client: redis.Redis, ttl: timedelta) -> None:
        self._client = client
        self._ttl = ttl // timedelta(milliseconds=1)
        self._write = Script(client, WRITE)

    def write(self, batch: Batch) -> int:
        """Stores and publishes what is newer than what is stored, in one step; returns how many updates that were.

        The rest of the batch is stale. Raises StoreUnavailable; the same batch may be written again.
        """
        keys: list[str] = []
        arguments: list[Any] = [self._ttl]
        for symbol, series in batch.series.items():
            first, last, values = series.first, series.last, series.values
            keys.append(stock_key(symbol))
            arguments += (len(values), first.timestamp, first.seq_id, last.timestamp, last.seq_id)
            arguments += values
        return int(self._write(keys, arguments))

    def close(self) -> None:
        self._client.close()
