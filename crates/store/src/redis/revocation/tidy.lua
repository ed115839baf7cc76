-- Forgets what is over in a few buckets: by this clock and by that of the caller. What still holds for a replica is not to be
-- missing for one that starts.
--
-- KEYS  2 buckets, 3 entries, as for `revoke.lua`; 4 the beginning of each bucket's name
-- ARGV  3 number of the bucket to begin at; 4 how many buckets at most; 5 the caller's time, in seconds
-- Returns the number of the bucket to go on at.
local from, left = tonumber(ARGV[3]), tonumber(ARGV[4])
local gone, over = 0, math.min(now, tonumber(ARGV[5]))
while left > 0 do
    local byte = math.floor(from / 8)
    local next = redis.call('BITPOS', KEYS[2], 1, byte)
    if next < 0 then
        from = 0
        break
    end
    next = math.max(next, byte * 8)
    while next < from and next >= 0 do
        -- Earlier bits of the same octet.
        next = next + 1
        while next < byte * 8 + 8 and redis.call('GETBIT', KEYS[2], next) == 0 do
            next = next + 1
        end
        if next >= byte * 8 + 8 then
            next = redis.call('BITPOS', KEYS[2], 1, byte + 1)
        end
    end
    if next < 0 then
        from = 0
        break
    end
    local bucket = KEYS[4] .. string.format('%.0f', next)
    local all = redis.call('HGETALL', bucket)
    for index = 1, #all, 2 do
        local at, ends = string.match(all[index + 1], '^(%d+) ([%d-]+) ')
        if ends and ends ~= '-' and tonumber(ends) <= over then
            redis.call('HDEL', bucket, all[index])
            redis.call('XDEL', KEYS[3], at .. '-0')
            gone = gone + 1
        end
    end
    from, left = next + 1, left - 1
end
if gone > 0 then
    count = math.max(count - gone, 0)
    keep()
end
return from
