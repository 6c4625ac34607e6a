-- ARGV: now. Of each key id with live tokens: the id, how many, and when the last one dies ('inf':
-- never).
local usage = {}
for _, key_id in ipairs(redis.call('SMEMBERS', BASE .. 'keys')) do
  local count = redis.call('ZCOUNT', key('key', key_id), '(' .. ARGV[1], '+inf')
  if count > 0 then
    local last = redis.call('ZREVRANGE', key('key', key_id), 0, 0, 'WITHSCORES')[2]
    usage[#usage + 1] = {key_id, count, last}
  end
end
return usage
