-- Looks at the server: its clock and its memory. An era is a time in which its clock was not set back: entries that
-- went while it was ahead could pass again, so every scope's memory begins anew with an era.
--
-- An era ends too when the server has evicted something: proofs go before the memory that says since when all are there.
--
-- KEYS  1 clock: version, era, latest time of the era, latest time of any, both in microseconds, entries ever evicted
-- ARGV  1 an era that nobody had before: 32 characters
--       2 the latest time of any era or server that the caller knows of, microseconds
--       3 the era that the caller knows, or empty
--       4 latest time of that era that the caller knows of, microseconds
--       5 how many entries had been evicted when the caller looked last, or empty
-- Returns era, latest time of the era, latest time of any, entries evicted, what this history of the server's data is
-- called, the server's memory as INFO tells it, and the era that the caller gave, so that he can tell his answer from
-- another's.
local replication = redis.call('INFO', 'replication')
-- As for a claim: before 7.0 a script may write where no copy follows and one has to.
if string.find(replication, 'min_slaves_good_slaves:0\r', 1, true) then
    return redis.error_reply('NOREPLICAS no copy follows')
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local clock = redis.call('GET', KEYS[1])
local top = math.max(now, ARGV[2])
-- A server that forgot its era is told it by those who know: replicas that named one run differently would each begin
-- the memory anew whenever the other had been there.
local known, before = ARGV[3], tonumber(ARGV[4])
if clock then
    if string.sub(clock, 1, 2) ~= '1|' or #clock ~= 82 then
        return redis.error_reply('SCHEMA the clock is of another version')
    end
    local kept = tonumber(string.sub(clock, 35, 50))
    before = string.sub(clock, 3, 34) == known and math.max(before, kept) or kept
    known = string.sub(clock, 3, 34)
    top = math.max(top, before, tonumber(string.sub(clock, 51, 66)))
end
local evicted = tonumber(string.match(redis.call('INFO', 'stats'), 'evicted_keys:(%d+)'))
if not evicted then
    return redis.error_reply('SCHEMA the server does not say what it has evicted')
end
local evicted_before = tonumber(clock and string.sub(clock, 67, 82) or ARGV[5]) or evicted
local era, latest = ARGV[1], now
if known ~= '' and now >= before - 1000000 and evicted == evicted_before then
    era, latest = known, math.max(now, before)
end
local number = function (micros) return string.format('%016.0f', micros) end
redis.call('SET', KEYS[1], '1|' .. era .. number(latest) .. number(top) .. number(evicted), 'PX', 2592000000)
local history = string.match(replication, 'master_replid:(%w+)') or ''
return { era, number(latest), number(top), number(evicted), history, redis.call('INFO', 'memory'), ARGV[1] }
