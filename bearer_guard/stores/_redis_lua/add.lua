-- ARGV: id, its place in listings, owner, key id, family ('' where that is the id), when it is dead
-- ('+inf': never), then the token's fields and their values. 0: the id is taken.
local id, place, owner, key_id, family, death = unpack(ARGV, 1, 6)
if redis.call('EXISTS', key('token', id)) == 1 then return 0 end
redis.call('ZADD', BASE .. 'all', 0, place)
redis.call('ZADD', key('owner', owner), 0, place)
redis.call('ZADD', key('key', key_id), death, id)
redis.call('SADD', BASE .. 'keys', key_id)
if family ~= '' then redis.call('SADD', key('family', family), id) end
-- The token comes last. Should anything fail before, there is a place without a token, which no
-- listing shows.
redis.call('HSET', key('token', id), unpack(ARGV, 7))
return 1
