-- ARGV: where to begin in the names, where to stop, at most how many. Name and account by turns.
local found = {}
for _, name in ipairs(
  redis.call('ZRANGEBYLEX', BASE .. 'accounts', ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])) do
  found[#found + 1] = name
  found[#found + 1] = redis.call('HMGET', key('account', name), unpack(ACCOUNT))
end
return found
