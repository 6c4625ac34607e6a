-- ARGV: key. Whether there was one.
local note = key('note', ARGV[1])
local owner = redis.call('HGET', note, 'owner')
if owner then redis.call('ZREM', key('notes', owner), ARGV[1]) end
return redis.call('DEL', note)
