-- The memory of the revocations: what it is called, and how far it got. The beginning of each script.
--
-- KEYS  1 memory: version, run id, incarnation, position, count
-- ARGV  1 run id of this server, as the caller learnt it when it connected
--       2 an incarnation that nobody had before: 32 characters
--       3 the last position that the caller applied
-- Gives incarnation, position, count, now (in seconds), `keep`, which writes them, and `tail`, the end of each answer.
--
-- An incarnation ends when the server may have forgotten: it is another run, or nothing is there. Whoever knows
-- of an earlier one loads everything, and says again what is missing. Positions go on far beyond those that anybody may
-- have seen, so that no two changes have one.
local time = redis.call('TIME')
local now = tonumber(time[1])
local kept = redis.call('GET', KEYS[1])
local incarnation, position, count
if kept then
    if string.sub(kept, 1, 2) ~= '1|' or #kept ~= 106 then
        return redis.error_reply('SCHEMA the memory of revocations is of another version')
    end
    incarnation, position = string.sub(kept, 43, 74), tonumber(string.sub(kept, 75, 90))
    count = tonumber(string.sub(kept, 91, 106))
end
local keep = function ()
    local number = function (value) return string.format('%016.0f', value) end
    redis.call('SET', KEYS[1], '1|' .. ARGV[1] .. incarnation .. number(position) .. number(count))
end
if not kept or string.sub(kept, 3, 42) ~= ARGV[1] then
    local seen = math.max(position or 0, tonumber(ARGV[3]))
    incarnation, count = ARGV[2], count or 0
    position = seen == 0 and 0 or seen + 1048576
    keep()
end
