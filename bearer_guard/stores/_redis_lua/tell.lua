-- ARGV: owner, version, '1' disabled or '0', now, tag. For the shards that don't hold the account.
local owner, version, disabled, now, tag = unpack(ARGV)
tell(tag, owner, tonumber(version), disabled == '1', now)
return redis.status_reply('OK')
