-- ARGV: key. Owner, value and when it expires.
return redis.call('HMGET', key('note', ARGV[1]), 'owner', 'value', 'expires_ms')
