-- ARGV: key, owner, value, when it expires, now. 0: there is an unexpired one.
local name, owner, value, expires, now = unpack(ARGV)
local note, notes = key('note', name), key('notes', owner)
local known = redis.call('HMGET', note, 'owner', 'expires_ms')
if known[2] and tonumber(known[2]) > tonumber(now) then return 0 end
if known[1] then redis.call('ZREM', key('notes', known[1]), name) end
redis.call('HSET', note, 'owner', owner, 'value', value, 'expires_ms', expires)
redis.call('ZADD', notes, expires, name)
-- Redis removes what nobody wants any more, by its own clock and an hour late: whether a note has
-- expired is for the caller to say.
local life = math.max(0, tonumber(expires) - tonumber(now)) + NOTE_MS
redis.call('PEXPIRE', note, life)
if redis.call('PTTL', notes) < life then redis.call('PEXPIRE', notes, life) end
redis.call('ZREMRANGEBYSCORE', notes, '-inf', tonumber(now) - 2 * NOTE_MS)
return 1
