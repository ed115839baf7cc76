-- Charges limits: all of them, or none. The same arithmetic on whole numbers as `limit/rate.rs` and `limit/quota.rs`.
--
-- KEYS  from `first_level` on, one for each charge: its level, `over_at amount`, as `Level` describes it
-- ARGV  from 14 on, seven for each charge:
--       r, units in a time, parts in a full bucket, parts that it costs, microseconds to fill it, and two that are empty
--       q, units in a period, units that it costs, and four ends of periods: the first before now, or now
-- Returns the letter of the claim, `tail`, and, if there are charges, for each ` ` and its level before it
-- (`-` for none). Whoever asked computes from them what was decided here.
local charges = #KEYS - first_level + 1
if charges == 0 then
    return letter .. tail
end
local room, found, levels, answer = true, {}, {}, letter .. tail
for charge = 1, charges do
    local key, at = KEYS[first_level + charge - 1], 7 + charge * 7
    if found[key] == nil then
        found[key] = redis.call('GET', key) or '-'
    end
    answer = answer .. ' ' .. found[key]
    local over_at, amount
    if levels[key] then
        over_at, amount = levels[key][1], levels[key][2]
    elseif found[key] ~= '-' then
        over_at, amount = string.match(found[key], '^(%d+) (%d+)$')
        if not over_at then
            return redis.error_reply('SCHEMA a level is of another version')
        end
        over_at, amount = tonumber(over_at), tonumber(amount)
    end
    if ARGV[at] == 'r' then
        local count, bucket = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
        local missing = 0
        -- Further ahead than it can be: the clock was set back, or the rate was slower before.
        if over_at and over_at >= now and over_at - now <= ARGV[at + 4] + 1000000 then
            missing = (over_at - now) * count + math.min(amount, count)
        end
        missing = missing + ARGV[at + 3]
        if missing <= bucket then
            local part = math.fmod(missing, count)
            levels[key] = { now + (missing - part) / count, part }
        else
            room = false
        end
    else
        local ends = { tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6]) }
        local period = now < ends[2] and 1 or 2
        local to, next_end = ends[period + 1], ends[period + 2]
        local used = 0
        if over_at == to then
            used = amount
        elseif over_at == next_end and now + 1000000 >= to then
            used, to = amount, next_end
        end
        used = used + ARGV[at + 2]
        if used <= tonumber(ARGV[at + 1]) then
            levels[key] = { to, used }
        else
            room = false
        end
    end
end
if room then
    for key, level in pairs(levels) do
        -- Longer than it matters, as for proofs.
        local life = math.max(math.ceil((level[1] - now) / 1000), 0) + 5001
        redis.call('SET', key, string.format('%.0f %.0f', level[1], level[2]), 'PX', string.format('%.0f', life))
    end
end
return answer
