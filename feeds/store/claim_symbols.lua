-- Takes free symbols and renews own ones.
--
-- KEYS: the owner keys of the symbols. ARGV: our holder name, TTL in ms, then the names of holders that are known to be
-- dead. Their symbols are free.
-- Returns the symbols of other holders as a flat list: the position in KEYS, counted from 1, and the holder's name.
local is_dead = {}
for number = 3, #ARGV do is_dead[ARGV[number]] = true end
local others = {}
for position, holder in ipairs(redis.call('MGET', unpack(KEYS))) do
  if not holder or holder == ARGV[1] or is_dead[holder] then
    redis.call('SET', KEYS[position], ARGV[1], 'PX', ARGV[2])
  else
    others[#others + 1] = position
    others[#others + 1] = holder
  end
end
return others
