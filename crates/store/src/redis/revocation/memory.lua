-- The memory of the revocations: what it is called, and how far it got. The beginning of each script.
--
-- KEYS  1 memory: version, name of the server's run, incarnation, position, count, base
-- ARGV  1 an incarnation that nobody had before: 32 characters
--       2 the last position that the caller applied
-- Gives incarnation, position, count, base, now (in seconds), and `keep`, which writes them.
--
-- An incarnation ends when the server may have forgotten: it is another run, follows another history (a failover, there
-- and perhaps back), evicted something, holds less than somebody applied, or nothing is there. Whoever knows of an
-- earlier one loads everything, and says again what is missing. Positions go on from the server's clock, beyond all that
-- anybody saw; `base` is how far the kept ones reach, so that what came after it is known to be lost.
local time = redis.call('TIME')
local now = tonumber(time[1])
local info = function (section, field)
    return string.match(redis.call('INFO', section), field .. ':(%w+)') or ''
end
if info('server', 'run_id') == '' or info('replication', 'master_replid') == '' or info('stats', 'evicted_keys') == '' then
    return redis.error_reply('SCHEMA the server does not say which it is')
end
local run = string.sub(info('server', 'run_id'), 1, 16) .. string.sub(info('replication', 'master_replid'), 1, 16)
run = string.sub(run .. string.format('%08.0f', tonumber(info('stats', 'evicted_keys'))) .. string.rep('0', 40), 1, 40)
local kept = redis.call('GET', KEYS[1])
local incarnation, position, count, base
if kept then
    if string.sub(kept, 1, 2) ~= '1|' or #kept ~= 122 then
        return redis.error_reply('SCHEMA the memory of revocations is of another version')
    end
    incarnation, position = string.sub(kept, 43, 74), tonumber(string.sub(kept, 75, 90))
    count, base = tonumber(string.sub(kept, 91, 106)), tonumber(string.sub(kept, 107, 122))
end
local keep = function ()
    local number = function (value) return string.format('%016.0f', value) end
    redis.call('SET', KEYS[1], '1|' .. run .. incarnation .. number(position) .. number(count) .. number(base))
end
if not kept or string.sub(kept, 3, 42) ~= run or position < tonumber(ARGV[2]) then
    incarnation, base, count = ARGV[1], position or 0, count or 0
    position = math.max(base, tonumber(ARGV[2]) + 1, time[1] * 1000000 + time[2])
    keep()
end
