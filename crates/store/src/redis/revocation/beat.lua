-- Says that a replica is there and how far it got, and hears of the others.
--
-- KEYS  2 replicas: id to position and time
-- ARGV  3 id of the replica; 4 milliseconds after which one that is silent is forgotten
-- Returns what the caller drew, incarnation, position, base, and for each replica id, position and milliseconds since it was heard.
local millis = time[1] * 1000 + math.floor(time[2] / 1000)
local number = function (value) return string.format('%.0f', value) end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[2] .. ' ' .. number(millis))
local answer = { ARGV[1], incarnation, number(position), number(base) }
local all = redis.call('HGETALL', KEYS[2])
for index = 1, #all, 2 do
    local at, heard = string.match(all[index + 1], '^(%d+) (%d+)$')
    local silent = heard and millis - heard
    if not silent or silent > tonumber(ARGV[4]) then
        redis.call('HDEL', KEYS[2], all[index])
    else
        table.insert(answer, all[index])
        table.insert(answer, at)
        table.insert(answer, number(math.max(silent, 0)))
    end
end
return answer
