-- Publishes and stores the updates of a batch that are newer than the stored quote, in one atomic step.
--
-- KEYS: one key per symbol.
-- ARGV: TTL in ms, channel prefix, length of the key prefix. Then for each key: the count of its updates, timestamp and
-- seq_id of the first update, timestamp and seq_id of the last one, and the updates, in ascending order.
-- Returns how many updates were published.

local MAX_VALUE_BYTES, MIN_TIMESTAMP, MAX_NUMBER, DAY_US = 65536, 1e15, 2 ^ 53, 86400 * 1e6

local USUAL_TRADE = '^,"size":(%d+%.%d+),"bid":(%d+%.%d+),"ask":(%d+%.%d+)}$'
local EXTRA_PATTERNS = { '^,"size":([%d.eE+-]+)', '^,"bid":([%d.eE+-]+)', '^,"ask":([%d.eE+-]+)' }

-- The rule of feeds/stale.py.
local function newer(timestamp, seq_id, than_timestamp, than_seq_id)
  return timestamp > than_timestamp or (timestamp == than_timestamp and seq_id > than_seq_id)
end

-- Returns the number if the text is a number in JSON, else nil. tonumber() accepts more: 0x10, 01, .5 and nan.
local function json_number(text)
  if string.find(text, '^[1-9]%d*$') or string.find(text, '^%d%.%d+$') or string.find(text, '^[1-9]%d+%.%d+$') then
    return tonumber(text)
  end
  local whole, rest = string.match(text, '^(%d+)(.*)$')
  if not whole or string.match(whole, '^0%d') then return nil end
  rest = string.gsub(rest, '^%.%d+', '')
  rest = string.gsub(rest, '^[eE][+-]?%d+$', '')
  return rest == '' and tonumber(text) or nil
end

-- Returns timestamp and seq_id if these texts are valid in an update, else -1, -1. The rules are those of
-- feeds/wire.py.
local function check(price, timestamp, seq_id)
  price, timestamp, seq_id = json_number(price), json_number(timestamp), json_number(seq_id)
  local valid = price and timestamp and seq_id and price > 0 and price < math.huge
    and timestamp >= MIN_TIMESTAMP and timestamp < MAX_NUMBER and seq_id < MAX_NUMBER
  if not valid then return -1, -1 end
  return timestamp, seq_id
end

local function is_utf8(text)
  for _, sequence in ipairs({
    '[\194-\223][\128-\191]', '\224[\160-\191][\128-\191]', '[\225-\236\238\239][\128-\191][\128-\191]',
    '\237[\128-\159][\128-\191]', '\240[\144-\191][\128-\191][\128-\191]',
    '[\241-\243][\128-\191][\128-\191][\128-\191]', '\244[\128-\143][\128-\191][\128-\191]'
  }) do text = string.gsub(text, sequence, ' ') end
  return not string.find(text, '[\128-\255]')
end

-- Returns the position of the quotation mark that ends the string from position `from`. Returns nil if the string
-- contains a control character.
local function string_end(text, from)
  local at = from + 1
  while true do
    local found = string.find(text, '["\\%c]', at)
    local character = found and string.sub(text, found, found)
    if character == '"' then return found end
    if character == '\127' then at = found + 1
    elseif character == '\\' then at = found + 2
    else return nil end
  end
end

local REQUIRED = { symbol = true, price = true, timestamp = true, seq_id = true }

-- Returns a table from each key of a JSON object to the text of its number, or to 'other' if the value is no number.
-- Returns nil if a required key is repeated, or if a string contains a control character. cjson is not enough, because
-- it keeps no texts.
local function read_keys(text)
  local fields, depth, at = {}, 0, 1
  while true do
    local found, _, character = string.find(text, '(["{}%[%]])', at)
    if not found then return fields end
    if character == '"' then
      local last = string_end(text, found)
      if not last then return nil end
      local _, colon = string.find(text, '^%s*:%s*', last + 1)
      if depth == 1 and colon then
        local key = cjson.decode('[' .. string.sub(text, found, last) .. ']')[1]
        if fields[key] and REQUIRED[key] then return nil end
        fields[key] = string.match(text, '^[%d.eE+-]+', colon + 1) or 'other'
      end
      at = last + 1
    else
      depth = depth + ((character == '{' or character == '[') and 1 or -1)
      at = found + 1
    end
  end
end

-- Like order, for the value of another program: it may have other spaces, another order of keys, or more keys.
local function foreign_order(value, symbol)
  if #value > MAX_VALUE_BYTES or not is_utf8(value) then return -1, -1 end
  local json = cjson.new()
  json.decode_invalid_numbers(false)
  local valid, update = pcall(json.decode, value)
  if not valid or type(update) ~= 'table' or update.symbol ~= symbol or update.type ~= nil then return -1, -1 end
  local fields = read_keys(value)
  if not fields then return -1, -1 end
  local timestamp, seq_id = fields.timestamp or '', fields.seq_id or ''
  if string.find(timestamp .. seq_id, '%D') then return -1, -1 end
  return check(fields.price or '', timestamp, seq_id)
end

-- Returns whether a text of the pattern %d+%.%d+ is a number in JSON: 0.5 is one, 00.5 is not.
local function is_plain(text)
  return string.byte(text, 1) ~= 48 or string.byte(text, 2) == 46
end

-- Returns whether the rest of a value consists of the keys size, bid and ask, as our encoder writes them: each at most
-- once, in this order, with plain numbers.
local function is_trade(rest)
  local size, bid, ask = string.match(rest, USUAL_TRADE)
  if size and is_plain(size) and is_plain(bid) and is_plain(ask) then return true end
  local at = 1
  for _, pattern in ipairs(EXTRA_PATTERNS) do
    local _, last, number = string.find(rest, pattern, at)
    if last and json_number(number) then at = last + 1 end
  end
  return at > 1 and at == #rest and string.byte(rest, at) == 125 -- }
end

-- Returns timestamp and seq_id of a value. Returns -1, -1 if feeds/wire.py refuses the value as an update of this
-- symbol. -1, -1 is older than any update, so that such a value cannot block the symbol for ever.
-- tests/cases/stored_quotes.json tests this function and feeds/wire.py.
local function order(value, symbol)
  local stored_symbol, price, timestamp, seq_id, rest =
    string.match(value, '^{"symbol":"([^"]*)","price":([%d.eE+-]+),"timestamp":(%d+),"seq_id":(%d+)(.+)$')
  if stored_symbol == symbol and (rest == '}' or is_trade(rest)) then return check(price, timestamp, seq_id) end
  return foreign_order(value, symbol)
end

local latest

-- Returns whether a timestamp is more than a day ahead of the clock of Redis. No clock is wrong by that much, so such a
-- timestamp is not a time.
local function is_too_far_ahead(timestamp)
  if not latest then
    local now = redis.call('TIME')
    latest = now[1] * 1e6 + now[2] + DAY_US
  end
  return timestamp > latest
end

-- Publishes the updates ARGV[first] to ARGV[last]. Returns the error if Redis refuses, for instance by its ACL.
local function publish(channel, first, last)
  for j = first, last do
    local reply = redis.pcall('PUBLISH', channel, ARGV[j])
    if type(reply) == 'table' and reply.err then return reply end
  end
end

-- Puts the former value back, so that a retry does not find the update stale and publishes it.
local function restore(key, value, ttl)
  if type(value) == 'string' then redis.call('SET', key, value, 'PX', ttl) else redis.call('DEL', key) end
end

local ttl, channel_prefix, key_prefix_length = ARGV[1], ARGV[2], tonumber(ARGV[3])
local published, at = 0, 4
for i = 1, #KEYS do
  local count = tonumber(ARGV[at])
  local first, last = at + 5, at + 4 + count
  local symbol = string.sub(KEYS[i], key_prefix_length + 1)
  local stored = redis.pcall('GET', KEYS[i])
  if type(stored) == 'string' then
    local timestamp, seq_id = order(stored, symbol)
    if not newer(tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), timestamp, seq_id)
      and not is_too_far_ahead(timestamp) then
      if newer(tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), timestamp, seq_id) then
        while first < last do
          local this_timestamp, this_seq_id = order(ARGV[first], symbol)
          if newer(this_timestamp, this_seq_id, timestamp, seq_id) then break end
          first = first + 1
        end
      else
        first = last + 1
      end
    end
  end
  if first <= last then
    -- Redis does not undo a script that fails. SET comes first: without memory it is refused, and nothing is published.
    redis.call('SET', KEYS[i], ARGV[last], 'PX', ttl)
    local refusal = publish(channel_prefix .. symbol, first, last)
    if refusal then
      restore(KEYS[i], stored, ttl)
      return refusal
    end
    published = published + last - first + 1
  end
  at = last + 1
end
return published
