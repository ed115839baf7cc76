-- Takes back.
--
-- KEYS  2 bucket, 3 log, 4 entries, as for `revoke.lua`
-- ARGV  3 what is lifted, as the log has it: a letter, kind and digest; 4 the note; 5 changes that the log keeps, about
--       from 6 on each field of the bucket that goes
-- Returns what the caller drew, position, 1 if anything was there, or 0, and the incarnation.
--
-- The log first: where it does not take it, all stands.
local gone = {}
for index = 6, #ARGV do
    local was = redis.call('HGET', KEYS[2], ARGV[index])
    if was then
        table.insert(gone, { ARGV[index], string.match(was, '^%d+') .. '-0' })
    end
end
if #gone == 0 then
    return { ARGV[1], position, 0, incarnation }
end
position = position + 1
keep()
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], string.format('%.0f-0', position), 'l', ARGV[3], 'n', ARGV[4])
for _, one in ipairs(gone) do
    redis.call('HDEL', KEYS[2], one[1])
    redis.call('XDEL', KEYS[4], one[2])
end
count = math.max(count - #gone, 0)
keep()
return { ARGV[1], position, 1, incarnation }
