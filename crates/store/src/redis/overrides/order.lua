-- Sets a limit otherwise, takes that back, says either again, or forgets what is over.
--
-- KEYS  1 overrides: a hash, by place: 16 digits of its revision (microseconds since 1970) and the rest as JSON. And under
--         `version`, which is no place: what the last change drew
-- ARGV  1 what the caller drew: 32 characters
--       2 place
--       3 the rest; empty: forget the place
--       4 `order`: the revision that the caller knows of the place; `again`, `forget`: the revision itself
--       5 order, again or forget
--       6 most places
-- Returns what the caller drew, and the revision that the place has now; or `full`.
local time = redis.call('TIME')
local there = redis.call('HGET', KEYS[1], ARGV[2])
local before = 0
if there then
    before = tonumber(string.match(there, '^(%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d)'))
    if not before then
        return redis.error_reply('SCHEMA an override is of another version')
    end
end
local revision = tonumber(ARGV[4])
if ARGV[5] == 'forget' then
    if there and before == revision then
        redis.call('HDEL', KEYS[1], ARGV[2])
        redis.call('HSET', KEYS[1], 'version', ARGV[1])
    end
    return { ARGV[1], string.format('%016.0f', before) }
end
if ARGV[5] == 'again' and there and before >= revision then
    return { ARGV[1], string.format('%016.0f', before) }
end
-- What is said again was there before: there is room for it.
if ARGV[5] == 'order' then
    local places = redis.call('HLEN', KEYS[1])
    if redis.call('HGET', KEYS[1], 'version') then
        places = places - 1
    end
    if not there and places >= tonumber(ARGV[6]) then
        return { ARGV[1], 'full' }
    end
    revision = math.max(time[1] * 1000000 + time[2], revision + 1, before + 1)
end
redis.call('HSET', KEYS[1], ARGV[2], string.format('%016.0f', revision) .. ARGV[3], 'version', ARGV[1])
return { ARGV[1], string.format('%016.0f', revision) }
