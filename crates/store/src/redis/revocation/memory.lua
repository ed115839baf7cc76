-- The memory of the revocations: what it is called, and how far it got. The beginning of each script.
--
-- KEYS  1 memory: version, name of the server's run, incarnation, position, count, when it
--         began (microseconds since 1970), and for each of the last incarnations
--         that ended its name and how far what was kept of it, and of all that came after it, reaches
-- ARGV  1 an incarnation that nobody had before: 32 characters
--       2 the last position that the caller applied
-- Gives incarnation, position, count, begun, ended (the last of the memory), now (in seconds), and `keep`, which writes them.
--
-- An incarnation ends when the server may have forgotten: it is another run, follows another history (a failover, there
-- and perhaps back), evicted something, holds less than somebody applied, or nothing is there. Whoever knows of an
-- earlier one loads everything, and says again what is missing. Positions go on from the server's clock, beyond all that
-- anybody saw. How far the kept ones reach stands in `ended`, so that what came after it is known to be lost; of what was
-- evicted nobody knows how far it reached.
local time = redis.call('TIME')
local now = tonumber(time[1])
local field = function (section, name)
    return string.match(redis.call('INFO', section), name .. ':(%w+)') or ''
end
local replication = redis.call('INFO', 'replication')
-- Before 7.0 a script may write where too few copies follow; how many are asked for is not told.
if string.find(replication, 'min_slaves_good_slaves:0\r', 1, true) then
    return redis.error_reply('NOREPLICAS no copy follows')
end
local process, history = field('server', 'run_id'), string.match(replication, 'master_replid:(%w+)') or ''
local evicted = field('stats', 'evicted_keys')
if process == '' or history == '' or evicted == '' then
    return redis.error_reply('SCHEMA the server does not say which it is')
end
local run = string.sub(process, 1, 16) .. string.sub(history, 1, 16)
run = string.sub(run .. string.format('%08.0f', tonumber(evicted)) .. string.rep('0', 40), 1, 40)
local kept = redis.call('GET', KEYS[1])
local number = function (value) return string.format('%016.0f', value) end
local incarnation, position, count, begun, ended = nil, 0, 0, 0, ''
if kept then
    if string.sub(kept, 1, 2) ~= '1|' or #kept < 122 or (#kept - 122) % 48 ~= 0 then
        return redis.error_reply('SCHEMA the memory of revocations is of another version')
    end
    incarnation, position = string.sub(kept, 43, 74), tonumber(string.sub(kept, 75, 90))
    count, ended = tonumber(string.sub(kept, 91, 106)), string.sub(kept, 123)
    begun = tonumber(string.sub(kept, 107, 122))
end
local keep = function ()
    redis.call('SET', KEYS[1], '1|' .. run .. incarnation .. number(position) .. number(count) .. number(begun) .. ended)
end
if not kept or string.sub(kept, 3, 42) ~= run or position < tonumber(ARGV[2]) then
    local base = position
    if kept and string.sub(kept, 3, 34) == string.sub(run, 1, 32) and string.sub(kept, 35, 42) ~= string.sub(run, 33, 40) then
        base = 0
    end
    local all = ''
    for at = math.max(#ended - 15 * 48, 0) + 1, #ended, 48 do
        all = all .. string.sub(ended, at, at + 31) .. number(math.min(base, tonumber(string.sub(ended, at + 32, at + 47))))
    end
    ended = incarnation and all .. incarnation .. number(base) or ''
    incarnation, begun = ARGV[1], time[1] * 1000000 + time[2]
    position = math.max(position, tonumber(ARGV[2]) + 1, time[1] * 1000000 + time[2])
    keep()
end
