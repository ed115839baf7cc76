-- Tells what an event says of a subject, says it again, or forgets what is over.
--
-- KEYS  1 places: a hash, by place: number of its change, a space and its rank; besides, under `last`, which is no place, the
--         number of the last change, and under `epoch` what was drawn when the first was told
--       2 changes: a stream of what is told, by number; of each place the last
-- ARGV  1 what the caller drew: 32 characters
--       2 place; 3 rank: 48 digits, of two of one place the greater counts; 4 the attribute as JSON
--       5 tell, again or forget; 6 most places
-- Returns what the caller drew, and `told`, `known` (what is there counts rather, or is the same), `forgotten` or `full`.
local there, rank = nil, ''
local kept = redis.call('HGET', KEYS[1], ARGV[2])
if kept then
    there, rank = string.match(kept, '^(%d+) (%x+)$')
    if not there or #rank ~= 48 then
        return redis.error_reply('SCHEMA an attribute is of another version')
    end
    -- What was evicted may be the one without the other.
    if #redis.call('XRANGE', KEYS[2], there .. '-0', there .. '-0') == 0 then
        rank = ''
    end
end
if ARGV[5] == 'forget' then
    if kept and rank <= ARGV[3] then
        redis.call('HDEL', KEYS[1], ARGV[2])
        redis.call('XDEL', KEYS[2], there .. '-0')
    end
    return { ARGV[1], 'forgotten' }
end
if kept and rank >= ARGV[3] then
    return { ARGV[1], 'known' }
end
local epoch, last = redis.call('HGET', KEYS[1], 'epoch'), redis.call('HGET', KEYS[1], 'last')
-- What is said again was there before: there is room for it.
if ARGV[5] == 'tell' and not kept then
    local places = redis.call('HLEN', KEYS[1])
    if epoch then
        places = places - 2
    end
    if places >= tonumber(ARGV[6]) then
        return { ARGV[1], 'full' }
    end
end
if not epoch or not last then
    epoch, last = ARGV[1], '0'
    -- What a server without room refuses goes before what it takes.
    redis.call('HSET', KEYS[1], 'last', last, 'epoch', epoch)
    redis.call('DEL', KEYS[2])
end
local number = string.format('%.0f', tonumber(last) + 1)
-- What may fail goes first: where the stream does not take it, nothing has it.
redis.call('XADD', KEYS[2], number .. '-0', 'k', ARGV[2], 'v', ARGV[4])
redis.call('HSET', KEYS[1], ARGV[2], number .. ' ' .. ARGV[3], 'last', number, 'epoch', epoch)
if there then
    redis.call('XDEL', KEYS[2], there .. '-0')
end
return { ARGV[1], 'told' }
