-- Claims a proof for its only use. All keys have the scope as their hash tag, so they lie on one shard.
--
-- KEYS  2 proof: there while the proof is remembered
--       3 holder: how many proofs this holder had claimed in his window
--       4 tenant: how many proofs this scope had claimed in its window
-- ARGV  5 issued_at of the proof, microseconds, rounded down
--       6 live_until, microseconds, rounded up
--       7 the epoch in the proof's nonce, or empty
--       8 span of doubt, microseconds
--       9 most proofs of a holder, 10 most proofs of a scope, in a window of 11 milliseconds
-- Returns a letter and `tail`:
--       F fresh, R replayed, D doubtful, E expired, H full for the holder, T full for the tenant
local issued_at, live_until = tonumber(ARGV[5]), tonumber(ARGV[6])
if live_until < now then
    return 'E' .. tail
end
if issued_at <= since + ARGV[8] and ARGV[7] ~= epoch then
    return 'D' .. tail
end
-- A second longer than it has to live: steps back of up to a second begin no era.
local life = math.ceil((live_until - now) / 1000) + 1001
if not redis.call('SET', KEYS[2], '', 'NX', 'PX', string.format('%.0f', life)) then
    return 'R' .. tail
end
for index, letter in ipairs({ 'H', 'T' }) do
    local key, most = KEYS[2 + index], tonumber(ARGV[8 + index])
    local count = redis.call('INCR', key)
    if count == 1 then
        redis.call('PEXPIRE', key, ARGV[11])
    elseif count > most then
        redis.call('DEL', KEYS[2])
        return letter .. tail
    end
end
return 'F' .. tail
