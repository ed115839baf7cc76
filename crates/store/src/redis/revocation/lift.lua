-- Takes back.
--
-- KEYS  2 bucket, 3 log, 4 entries, as for `revoke.lua`
-- ARGV  3 what is lifted, as the log has it: a letter, kind and digest; 4 the note; 5 changes that the log keeps, about
--       from 6 on each field of the bucket that goes
-- Returns what the caller drew, position, and 1 if anything was there, or 0.
local gone = 0
for index = 6, #ARGV do
    local was = redis.call('HGET', KEYS[2], ARGV[index])
    if was then
        gone = gone + 1
        redis.call('HDEL', KEYS[2], ARGV[index])
        redis.call('XDEL', KEYS[4], string.match(was, '^%d+') .. '-0')
    end
end
if gone == 0 then
    return { ARGV[1], position, 0 }
end
position, count = position + 1, math.max(count - gone, 0)
keep()
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], string.format('%.0f-0', position), 'l', ARGV[3], 'n', ARGV[4])
return { ARGV[1], position, 1 }
