-- Takes or renews a lease.
--
-- KEYS[1]: the lease. ARGV: our holder name, TTL in ms, the name of a holder that is known to be dead.
-- Returns an empty list if we hold the lease now, else the holder's name and the remaining TTL in ms.
local holder = redis.call('GET', KEYS[1])
if not holder or holder == ARGV[1] or holder == ARGV[3] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return {}
end
return {holder, redis.call('PTTL', KEYS[1])}
