-- Tells what was told since a change; all of it, if what the caller knows is of another memory of the server.
--
-- KEYS  1 places, 2 changes, as for `tell.lua`; 3 memory of the revocations, whose incarnation ends when the server may have
--         forgotten
-- ARGV  1 what the caller drew: 32 characters
--       2 the version that the caller knows, or empty; 3 number of the last change that he knows; 4 most changes
-- Returns what the caller drew, the version (empty if nothing was ever told there), from where on, and the changes.
local memory = redis.call('GET', KEYS[3]) or ''
local epoch = redis.call('HGET', KEYS[1], 'epoch')
local version = epoch and string.sub(memory, 43, 74) .. epoch or ''
local from = version == ARGV[2] and ARGV[3] or '0'
local next = string.format('%.0f-0', tonumber(from) + 1)
return { ARGV[1], version, from, redis.call('XRANGE', KEYS[2], next, '+', 'COUNT', ARGV[4]) }
