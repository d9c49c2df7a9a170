-- Takes free symbols and renews own ones.
--
-- KEYS: the hash of the last owners, then the owner keys of the symbols.
-- ARGV: our holder name; TTL in ms; 1 if we believe that we own all the symbols, else 0; the names of holders that are
-- known to be dead. Symbols of dead holders are free. If we believe that we own a symbol, it is free only if no other
-- holder has owned it meanwhile.
-- Returns the symbols that we do not own as a flat list: the position of the symbol, counted from 1, and the holder.
local name, ttl, renews = ARGV[1], ARGV[2], ARGV[3] == '1'
local is_dead, others = {}, {}
for number = 4, #ARGV do is_dead[ARGV[number]] = true end
for number = 2, #KEYS do
  local key = KEYS[number]
  local holder = redis.call('GET', key)
  if holder ~= name and (not holder or is_dead[holder]) then
    local last = renews and redis.call('HGET', KEYS[1], key)
    holder = last or name
    if holder == name then redis.call('HSET', KEYS[1], key, name) end
  end
  if holder == name then
    redis.call('SET', key, name, 'PX', ttl)
  else
    others[#others + 1] = number - 1
    others[#others + 1] = holder
  end
end
redis.call('EXPIRE', KEYS[1], 86400)
return others
