-- Claims a proof for its only use, if there is one. All keys have the scope as their hash tag, so they lie on one shard.
--
-- KEYS  2 proof: there while the proof is remembered
--       3 holder: how many proofs this holder had claimed in his window
--       4 tenant: how many proofs this scope had claimed in its window
--       or, without a proof, none of the three
-- ARGV  7 issued_at of the proof, microseconds, rounded down; or empty, and so are 8 to 13
--       8 live_until, microseconds, rounded up
--       9 the epoch in the proof's nonce, or empty
--       10 span of doubt, microseconds
--       11 most proofs of a holder, 12 most proofs of a scope, in a window of 13 milliseconds
-- Gives a letter to go on with. Returns another and `tail`, and then nothing else is done:
--       R replayed, D doubtful, E expired, H full for the holder, T full for the tenant
local letter, first_level = 'N', 2
if ARGV[7] ~= '' then
    letter, first_level = 'F', 5
    local issued_at, live_until = tonumber(ARGV[7]), tonumber(ARGV[8])
    -- One from further ahead than any may be would escape the doubt of a memory that begins now, whatever its nonce: the
    -- clock of whoever took it for possible is ahead of this one.
    if live_until < now or issued_at > now + ARGV[10] then
        return 'E' .. tail
    end
    if issued_at <= since + ARGV[10] and ARGV[9] ~= epoch then
        return 'D' .. tail
    end
    -- Five seconds longer than it has to live. Steps back of up to a second begin no era, and a step is one from the latest
    -- time that anybody saw: each replica looks about once a second, so that up to four seconds are seen by nobody only where
    -- none is connected.
    local life = math.ceil((live_until - now) / 1000) + 5001
    if not redis.call('SET', KEYS[2], '', 'NX', 'PX', string.format('%.0f', life)) then
        return 'R' .. tail
    end
    for index, full in ipairs({ 'H', 'T' }) do
        local key, most = KEYS[2 + index], tonumber(ARGV[10 + index])
        local count = redis.call('INCR', key)
        if count == 1 then
            redis.call('PEXPIRE', key, ARGV[13])
        elseif count > most then
            redis.call('DEL', KEYS[2])
            return full .. tail
        end
    end
end
