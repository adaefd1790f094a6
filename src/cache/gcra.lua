-- Counts one attempt by the generic cell rate algorithm, atomically, by this server's own clock.
--
-- KEYS[1]  where the theoretical arrival time is kept, in µs since the epoch: when all attempts are there again
-- ARGV[1]  attempts at once, at most
-- ARGV[2]  µs after which one more is let through
--
-- Returns {allowed (0 or 1), remaining, ms until one is let through, ms until all are there again}, times rounded up.

local burst, interval = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local window = burst * interval

local full_at = math.max(tonumber(redis.call('GET', KEYS[1])) or now, now)
local used_up_to = full_at + interval
local wait = used_up_to - window - now
if wait > 0 then
  return {0, 0, math.ceil(wait / 1000), math.ceil((full_at - now) / 1000)}
end

local reset = used_up_to - now
redis.call('SET', KEYS[1], string.format('%.0f', used_up_to), 'PX', math.ceil(reset / 1000))
return {1, math.floor((window - reset) / interval), 0, math.ceil(reset / 1000)}
