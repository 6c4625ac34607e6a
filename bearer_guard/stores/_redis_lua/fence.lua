-- A write that changes nothing. WAIT asks whether replicas have what its own connection wrote last,
-- and takes a connection that wrote nothing for confirmed (Redis 7.2 and Valkey).
return redis.call('SET', BASE .. 'fence', '')
