-- Looks at the server: its clock and its memory. An era is a time in which its clock was not set back: entries that
-- went while it was ahead could pass again, so every scope's memory begins anew with an era.
--
-- KEYS  1 clock: version, era, latest time of the era, latest time of any, both in microseconds
-- ARGV  1 an era that nobody had before: 32 characters
--       2 the latest time of any era or server that the caller knows of, microseconds
--       3 the era that the caller knows, or empty
--       4 latest time of that era that the caller knows of, microseconds
-- Returns era, latest time of the era, latest time of any, this server's time, and its memory as INFO tells it.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local clock = redis.call('GET', KEYS[1])
local era, latest, top = ARGV[1], now, math.max(now, ARGV[2])
if clock then
    if string.sub(clock, 1, 2) ~= '1|' or #clock ~= 66 then
        return redis.error_reply('SCHEMA the clock is of another version')
    end
    local known, before = string.sub(clock, 3, 34), tonumber(string.sub(clock, 35, 50))
    if known == ARGV[3] then
        before = math.max(before, ARGV[4])
    end
    top = math.max(top, before, tonumber(string.sub(clock, 51, 66)))
    if now >= before - 1000000 then
        era, latest = known, math.max(now, before)
    end
end
local number = function (micros) return string.format('%016.0f', micros) end
redis.call('SET', KEYS[1], '1|' .. era .. number(latest) .. number(top))
return { era, number(latest), number(top), number(now), redis.call('INFO', 'memory') }
