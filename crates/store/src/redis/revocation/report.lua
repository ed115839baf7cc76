-- Keeps what a replica that is there says of itself, and forgets what those said who are gone.
--
-- KEYS  1 replicas, as for `beat.lua`; 2 names: id to name; 3 reports: id to what the replica says of itself
-- ARGV  1 what the caller drew; 2 id of the replica; 3 its name, or empty; 4 what it says
-- Returns what the caller drew, and for each replica that has one its id and its name.
--
-- In one step, so that nothing is left of a replica that says goodbye meanwhile.
local names = redis.call('HGETALL', KEYS[2])
for index = 1, #names, 2 do
    if not redis.call('HGET', KEYS[1], names[index]) then
        redis.call('HDEL', KEYS[2], names[index])
        redis.call('HDEL', KEYS[3], names[index])
    end
end
if redis.call('HGET', KEYS[1], ARGV[2]) then
    redis.call('HSET', KEYS[3], ARGV[2], ARGV[4])
    redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
end
return { ARGV[1], redis.call('HGETALL', KEYS[2]) }
