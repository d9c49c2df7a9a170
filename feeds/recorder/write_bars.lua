-- Writes the changed bars of some symbols: slots of their rings, and their days.
--
-- KEYS: for each symbol its ring of seconds, its ring of minutes and its day.
-- ARGV: first five numbers: size in bytes and TTL in ms of a ring of seconds, the same two of a ring of minutes, and the
--   TTL in ms of a day. Then for each symbol: a group of slots for its ring of seconds, a group for its ring of minutes,
--   and the value of its day. A group is the number of slots, then the offset and the bytes of each slot. An empty value
--   leaves the day unchanged.
-- Returns for each symbol 1 if its ring of minutes did not exist, else 0.
local position = 6

local function write_slots(key, size, ttl)
  local count = tonumber(ARGV[position])
  position = position + 1
  if count == 0 then return 0 end
  redis.call('PEXPIRE', key, ttl) -- comes first: if PEXPIRE is refused, no key without a TTL is left
  local is_new = redis.call('STRLEN', key) < size
  if is_new then redis.call('SETRANGE', key, size - 1, '\0') end
  for _ = 1, count do
    redis.call('SETRANGE', key, ARGV[position], ARGV[position + 1])
    position = position + 2
  end
  if is_new then redis.call('PEXPIRE', key, ttl) end
  return is_new and 1 or 0
end

local new_minutes = {}
for i = 1, #KEYS, 3 do
  write_slots(KEYS[i], tonumber(ARGV[1]), ARGV[2])
  new_minutes[#new_minutes + 1] = write_slots(KEYS[i + 1], tonumber(ARGV[3]), ARGV[4])
  if ARGV[position] ~= '' then redis.call('SET', KEYS[i + 2], ARGV[position], 'PX', ARGV[5]) end
  position = position + 1
end
return new_minutes
