-- Stores and publishes the updates of a batch that are newer than the stored quote, in one atomic step.
--
-- KEYS: one key per symbol.
-- ARGV: TTL in ms, channel prefix, length of the key prefix. Then for each key: the count of its updates, timestamp and
-- seq_id of the first update, timestamp and seq_id of the last one, and the updates, in ascending order.
-- Returns how many updates were published.

-- The rule of feeds/stale.py.
local function newer(timestamp, seq_id, than_timestamp, than_seq_id)
  return timestamp > than_timestamp or (timestamp == than_timestamp and seq_id > than_seq_id)
end

-- Returns timestamp and seq_id of a stored value, or -1, -1 if it is not an update, so that any update replaces it.
local function order(value)
  local timestamp, seq_id =
    string.match(value, '^{"symbol":"[^"]*","price":[%d.eE+-]+,"timestamp":(%d+),"seq_id":(%d+)}$')
  if not timestamp then
    -- Another program may have written other spaces or another order of keys.
    local valid, update = pcall(cjson.decode, value)
    if not valid or type(update) ~= 'table' then return -1, -1 end
    timestamp, seq_id = update.timestamp, update.seq_id
    if type(timestamp) ~= 'number' or type(seq_id) ~= 'number' then return -1, -1 end
  end
  return tonumber(timestamp), tonumber(seq_id)
end

local function value_newer(value, than_timestamp, than_seq_id)
  local timestamp, seq_id = order(value)
  return newer(timestamp, seq_id, than_timestamp, than_seq_id)
end

local ttl, channel_prefix, key_prefix_length = ARGV[1], ARGV[2], tonumber(ARGV[3])
local published, at = 0, 4
for i = 1, #KEYS do
  local count = tonumber(ARGV[at])
  local first, last = at + 5, at + 4 + count
  local stored = redis.pcall('GET', KEYS[i])
  if type(stored) == 'string' then
    local timestamp, seq_id = order(stored)
    if not newer(tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), timestamp, seq_id) then
      if newer(tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), timestamp, seq_id) then
        while first < last and not value_newer(ARGV[first], timestamp, seq_id) do first = first + 1 end
      else
        first = last + 1
      end
    end
  end
  if first <= last then
    redis.call('SET', KEYS[i], ARGV[last], 'PX', ttl)
    local channel = channel_prefix .. string.sub(KEYS[i], key_prefix_length + 1)
    for j = first, last do redis.call('PUBLISH', channel, ARGV[j]) end
    published = published + last - first + 1
  end
  at = last + 1
end
return published
