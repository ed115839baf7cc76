-- The memory of a scope: since when it is complete, and what that is called. The beginning of each script.
--
-- KEYS  1 memory: version, run, epoch, complete_since
-- ARGV  1 run: what this run of the server is called, run id and era, as the caller learnt them
--       2 an epoch that nobody had before: 16 random octets. It is also in the answer, so that whoever asked can tell his
--         answer from another's
--       3 latest time of this era that the caller knows of, microseconds
--       4 latest time of any era or server that the caller knows of, microseconds
--       5, 6 the time for which the periods of quotas hold that the caller gives: from, and the first after it
-- Gives epoch, since, now, and `tail`: the epoch, what the caller drew, and this server's time, the end of each answer. Returns S and `tail`
-- if the clock was set back since the caller looked, or ran on too far, or if the server follows another history now than
-- the caller's connection was made to: he has to look again. Nothing was written then.
--
-- A connection outlives a failover there and back, and its name would fit what the other server kept of the memory. So a
-- claim (there is an ARGV[7]) compares the history. It also refuses what Redis before 7.0 lets a script do: to write where
-- `min-replicas-to-write` is set and no copy follows. How many it asks for is not told there, so more than one are not asked for.
--
-- A script and no transaction: what is written depends on what is read. Numbers are below 2^53, so they are exact.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local info = ARGV[7] and ARGV[7] ~= '' and redis.call('INFO', 'replication')
if info and string.find(info, 'min_slaves_good_slaves:0\r', 1, true) then
    return redis.error_reply('NOREPLICAS no copy follows')
end
local is_other = info and not string.find(info, 'master_replid:' .. string.sub(ARGV[1], 21, 40), 1, true)
if is_other or now < ARGV[3] - 1000000 or now < tonumber(ARGV[5]) or now >= tonumber(ARGV[6]) then
    return 'S' .. string.rep('\0', 16) .. ARGV[2] .. string.format('%.0f', now)
end

-- Whatever this server has forgotten, by a restart, a failover or a flush: either the memory is not there, or it names
-- another run.
local memory = redis.call('GET', KEYS[1])
local epoch, since
if memory then
    if string.sub(memory, 1, 2) ~= '1|' or #memory ~= 106 then
        return redis.error_reply('SCHEMA the memory of a scope is of another version')
    end
    epoch, since = string.sub(memory, 75, 90), tonumber(string.sub(memory, 91, 106))
end
if not memory or string.sub(memory, 3, 74) ~= ARGV[1] then
    epoch, since = ARGV[2], math.max(now, ARGV[4])
    redis.call('SET', KEYS[1], '1|' .. ARGV[1] .. epoch .. string.format('%016.0f', since), 'PX', 2592000000)
elseif time[2] % 256 == 0 then
    -- The memory of a scope that is in use stays; one that nobody uses for a month goes, and begins with doubt.
    redis.call('PEXPIRE', KEYS[1], 2592000000)
end
local tail = epoch .. ARGV[2] .. string.format('%.0f', now)
