-- Counts attempts by the generic cell rate algorithm, atomically, by this server's own clock.
--
-- KEYS[1]  where the theoretical arrival time is kept, in µs since the epoch: when all attempts are there again
-- ARGV[1]  attempts at once, at most
-- ARGV[2]  µs after which one more is let through
-- ARGV[3]  how many are asked for; fewer are granted when fewer are there
--
-- Returns {granted, remaining, ms until one is let through, ms until all are there again}, times rounded up.

local burst, interval, asked = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local window = burst * interval

local full_at = math.max(tonumber(redis.call('GET', KEYS[1])) or now, now)
local there = math.floor((now + window - full_at) / interval)
if there < 1 then
  local wait = full_at + interval - window - now
  return {0, 0, math.ceil(wait / 1000), math.ceil((full_at - now) / 1000)}
end

local granted = math.min(asked, there)
local used_up_to = full_at + granted * interval
local reset = used_up_to - now
redis.call('SET', KEYS[1], string.format('%.0f', used_up_to), 'PX', math.ceil(reset / 1000))
return {granted, there - granted, 0, math.ceil(reset / 1000)}
