-- ARGV: owner. How many notes there were.
local dropped = 0
for _, name in ipairs(redis.call('ZRANGE', key('notes', ARGV[1]), 0, -1)) do
  if redis.call('HGET', key('note', name), 'owner') == ARGV[1] then
    dropped = dropped + redis.call('DEL', key('note', name))
  end
end
redis.call('DEL', key('notes', ARGV[1]))
return dropped
