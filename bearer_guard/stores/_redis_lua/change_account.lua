-- ARGV: name, now, tag, '1' to disable, '0' to enable, '' neither; the version of that news ('': the
-- next one), fields and values. The account as it is then, false where there is none.
local name, now, tag, disabled, version = unpack(ARGV, 1, 5)
local account = key('account', name)
if redis.call('EXISTS', account) == 0 then return false end
if #ARGV > 5 then redis.call('HSET', account, unpack(ARGV, 6)) end
if disabled ~= '' then
  version = tonumber(version) or next_version(account, now)
  if tell(tag, name, version, disabled == '1', now) then
    redis.call('HSET', account, 'disabled', disabled)
  end
end
return redis.call('HMGET', account, unpack(ACCOUNT))
