-- Tells whether anything changed, and if so, all of it.
--
-- KEYS  1 overrides, as for `order.lua`
-- ARGV  1 what the caller drew: 32 characters
--       2 the version that the caller knows, or empty
-- Returns what the caller drew, the version, and, if it is another, the hash.
local version = redis.call('HGET', KEYS[1], 'version') or ''
if version == ARGV[2] and version ~= '' then
    return { ARGV[1], version }
end
return { ARGV[1], version, redis.call('HGETALL', KEYS[1]) }
