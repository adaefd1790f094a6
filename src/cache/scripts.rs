//! Scripts that Redis executes atomically.

/// Stores an entry unless there is a newer one, and marks the token that was superseded unless there is an earlier
/// mark. Entries begin with their version, in a form in which a later version is greater as text. KEYS: entry, optional
/// mark of the token. ARGV: version and entry, TTL in ms, time from which the token is superseded.
pub(super) const PUT: &str = r"
if redis.call('GETRANGE', KEYS[1], 0, 31) <= string.sub(ARGV[1], 1, 32) then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
if KEYS[2] then
  local mark = redis.call('GET', KEYS[2])
  if not mark or tonumber(mark) > tonumber(ARGV[3]) then redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[2]) end
end
return 1
";

/// Raises a number unless it is as high already. KEYS: the number. ARGV: its value, TTL in ms.
pub(super) const RAISE: &str = r"
local present = redis.call('GET', KEYS[1])
if not present or tonumber(present) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return 1
";
