-- Counts attempts by the generic cell rate algorithm, atomically and by the clock of Redis.
--
-- KEYS[1]  the key of the theoretical arrival time, in µs since the epoch, at which all attempts are available again
-- ARGV[1]  the most attempts at once
-- ARGV[2]  the time until another attempt is available, in µs
-- ARGV[3]  the number of requested attempts; fewer are granted if fewer are available
--
-- Returns {granted, remaining, ms until an attempt is allowed, ms until all are available again}, with times rounded up.

local burst, interval, requested = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local window = burst * interval

local full_at = math.max(tonumber(redis.call('GET', KEYS[1])) or now, now)
local available = math.floor((now + window - full_at) / interval)
if available < 1 then
  local wait = full_at + interval - window - now
  return {0, 0, math.ceil(wait / 1000), math.ceil((full_at - now) / 1000)}
end

local granted = math.min(requested, available)
local used_up_to = full_at + granted * interval
local reset = used_up_to - now
redis.call('SET', KEYS[1], string.format('%.0f', used_up_to), 'PX', math.ceil(reset / 1000))
return {granted, available - granted, 0, math.ceil(reset / 1000)}
