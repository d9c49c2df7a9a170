-- Deletes those owner keys that we hold. KEYS: the owner keys. ARGV[1]: our holder name.
for position, holder in ipairs(redis.call('MGET', unpack(KEYS))) do
  if holder == ARGV[1] then redis.call('DEL', KEYS[position]) end
end
return 0
