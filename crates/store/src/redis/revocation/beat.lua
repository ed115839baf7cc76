-- Says that a replica is there and how far it got, and hears of the others.
--
-- KEYS  2 replicas: id to position and time
-- ARGV  3 id of the replica; 4 milliseconds after which one that is silent is forgotten
--       5 the incarnation that the replica knows, or empty
-- Returns what the caller drew, incarnation, position, how far what was kept of the incarnation that the replica knows reaches, and for each replica id, position and milliseconds since it was heard.
local millis = time[1] * 1000 + math.floor(time[2] / 1000)
local plain = function (value) return string.format('%.0f', value) end
local base = 0
for at = 1, #ended, 48 do
    if string.sub(ended, at, at + 31) == ARGV[5] then
        base = tonumber(string.sub(ended, at + 32, at + 47))
    end
end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[2] .. ' ' .. plain(millis))
local answer = { ARGV[1], incarnation, plain(position), plain(base) }
local all = redis.call('HGETALL', KEYS[2])
for index = 1, #all, 2 do
    local at, heard = string.match(all[index + 1], '^(%d+) (%d+)$')
    local silent = heard and millis - heard
    if not silent or silent > tonumber(ARGV[4]) then
        redis.call('HDEL', KEYS[2], all[index])
    else
        table.insert(answer, all[index])
        table.insert(answer, at)
        table.insert(answer, plain(math.max(silent, 0)))
    end
end
return answer
