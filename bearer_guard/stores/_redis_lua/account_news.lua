-- ARGV: name, now. The next version of news about an account, false where there is none.
local account = key('account', ARGV[1])
return redis.call('EXISTS', account) == 1 and next_version(account, ARGV[2])
