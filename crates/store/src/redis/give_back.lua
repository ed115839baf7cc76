-- Gives charges to quotas back.
--
-- KEYS  the levels, as for `charge.lua`
-- ARGV  two for each: the end of the period that was charged, and what was
for index, key in ipairs(KEYS) do
    local over_at, amount = string.match(redis.call('GET', key) or '', '^(%d+) (%d+)$')
    if over_at == ARGV[2 * index - 1] then
        local left = math.max(tonumber(amount) - ARGV[2 * index], 0)
        redis.call('SET', key, over_at .. ' ' .. string.format('%.0f', left), 'KEEPTTL')
    end
end
return #KEYS
