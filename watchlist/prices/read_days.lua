-- Reads the newest days and parts of the rings of minutes of several symbols.
--
-- KEYS: the keys of the days, then the keys of the rings, in the same order of symbols.
-- ARGV: the positions of the first and the last byte of a part, for each part of a ring.
-- Returns the days, then all parts of the first ring, all parts of the second ring, and so on.
local count, found = #KEYS / 2, {}
for number = 1, count do found[number] = redis.call('GET', KEYS[number]) end
for number = count + 1, #KEYS do
  for place = 1, #ARGV, 2 do
    found[#found + 1] = redis.call('GETRANGE', KEYS[number], ARGV[place], ARGV[place + 1])
  end
end
return found
