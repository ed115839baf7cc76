-- Says that a replica is there and how far it got, and hears of the others.
--
-- KEYS  2 replicas: id to position, time, and how many revocations it has still to say again
-- ARGV  3 id of the replica; 4 milliseconds after which one that is silent is forgotten
--       5 the incarnation that the replica knows, or empty; 6 how many revocations it has still to say again to that one
-- Returns what the caller drew, incarnation, position, how far what was kept of the incarnation that the replica knows reaches, 1 if
-- there was no room to write that the replica is there, or 0, milliseconds since the incarnation began, and for each replica id,
-- position, milliseconds since it was heard, and what it has still to say again.
local millis = time[1] * 1000 + math.floor(time[2] / 1000)
local plain = function (value) return string.format('%.0f', value) end
local base = 0
for at = 1, #ended, 48 do
    if string.sub(ended, at, at + 31) == ARGV[5] then
        base = tonumber(string.sub(ended, at + 32, at + 47))
    end
end
-- A server without room takes no revocation either, so nothing can be missed there. Of two reasons it tells the want of room
-- alone, so whether it may write at all is asked with what takes none.
-- Who knew an earlier incarnation may find that something is missing here.
local owed = (ARGV[5] == incarnation or ARGV[5] == '') and ARGV[6] or '1'
local written, full = redis.pcall('HSET', KEYS[2], ARGV[3], ARGV[2] .. ' ' .. plain(millis) .. ' ' .. owed), '0'
if type(written) == 'table' and written.err then
    if not string.find(written.err, 'OOM', 1, true) then
        return written
    end
    redis.call('HDEL', KEYS[2], '')
    full = '1'
end
local answer = { ARGV[1], incarnation, plain(position), plain(base), full, plain(math.max(millis - begun / 1000, 0)) }
local all = redis.call('HGETALL', KEYS[2])
for index = 1, #all, 2 do
    local at, heard, owes = string.match(all[index + 1], '^(%d+) (%d+) (%d+)$')
    local silent = heard and millis - heard
    if not silent or silent > tonumber(ARGV[4]) then
        redis.call('HDEL', KEYS[2], all[index])
    else
        table.insert(answer, all[index])
        table.insert(answer, at)
        table.insert(answer, plain(math.max(silent, 0)))
        table.insert(answer, owes)
    end
end
return answer
