-- ARGV: name, now, tag, fields and values. Whether it is new, and where it is disabled the version of
-- that news.
local name, now, tag = unpack(ARGV, 1, 3)
local account = key('account', name)
local new = redis.call('EXISTS', account) == 0
if new then
  redis.call('ZADD', BASE .. 'accounts', 0, name)
  redis.call('HSET', account, unpack(ARGV, 4))
  if redis.call('HGET', account, 'disabled') == '1' then
    tell(tag, name, next_version(account, now), true, now)
  end
end
local version = standing(name)
return {new and 1 or 0, version > 0 and version}
