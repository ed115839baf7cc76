-- Revokes.
--
-- KEYS  2 bucket: kind, form and digest to position, end and watermark
--       3 buckets: a bit for each that was ever written to
--       4 log: a stream of changes, by position
--       5 entries: a stream of what holds, by position
-- ARGV  3 kind, form and digest: 18 octets; 4 number of the bucket
--       5 end in seconds, or -; 6 watermark in seconds, or 0; 7 the note
--       8 most revocations; 9 changes that the log keeps, about
-- Returns what the caller drew, so that he can tell his answer from another's, position, 1 if anything is otherwise than
-- before, or 0, and the incarnation; or `full`.
--
-- What may fail goes first: where the log does not take it, nothing has it, so that it is said again and then comes to
-- everybody.
local before = redis.call('HGET', KEYS[2], ARGV[3])
local ends, mark, old = ARGV[5], tonumber(ARGV[6]), nil
if before then
    local was, was_end, was_mark = string.match(before, '^(%d+) ([%d-]+) (%d+)$')
    if not was then
        return redis.error_reply('SCHEMA a revocation is of another version')
    end
    old = was
    -- What is over lends nothing.
    if was_end == '-' or tonumber(was_end) > now then
        if was_end == '-' or (ends ~= '-' and tonumber(was_end) > tonumber(ends)) then
            ends = was_end
        end
        mark = math.max(mark, tonumber(was_mark))
        if ends == was_end and mark == tonumber(was_mark) then
            return { ARGV[1], position, 0, incarnation }
        end
    end
elseif count >= tonumber(ARGV[8]) then
    return { ARGV[1], 'full' }
end
position = position + 1
local id, marked = string.format('%.0f-0', position), string.format('%.0f', mark)
keep()
redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[9], id, 'k', ARGV[3], 'u', ends, 'w', marked)
redis.call('SETBIT', KEYS[3], ARGV[4], 1)
redis.call('XADD', KEYS[5], id, 'k', ARGV[3], 'u', ends, 'w', marked, 'n', ARGV[7])
redis.call('HSET', KEYS[2], ARGV[3], string.format('%.0f', position) .. ' ' .. ends .. ' ' .. marked)
if old then
    redis.call('XDEL', KEYS[5], old .. '-0')
else
    count = count + 1
    keep()
end
return { ARGV[1], position, 1, incarnation }
