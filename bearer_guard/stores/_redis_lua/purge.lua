-- ARGV: before when, at most how many. Deletes tokens that were dead before; returns how many.
local before_ms, limit = ARGV[1], tonumber(ARGV[2])

local function forget(id, key_id)
  local token = read(id)
  if type(token) == 'table' and token[AT.created_ms] and token[AT.owner] then
    local place = string.format('%016.0f', tonumber(token[AT.created_ms]) or 0) .. id
    redis.call('ZREM', BASE .. 'all', place)
    redis.call('ZREM', key('owner', token[AT.owner]), place)
    if token[AT.family] then redis.call('SREM', key('family', token[AT.family]), id) end
  end
  redis.call('DEL', key('token', id))
  redis.call('ZREM', key('key', key_id), id)
end

local purged = 0
for _, key_id in ipairs(redis.call('SMEMBERS', BASE .. 'keys')) do
  local dead = redis.call(
    'ZRANGEBYSCORE', key('key', key_id), '-inf', '(' .. before_ms, 'LIMIT', 0, limit - purged)
  for _, id in ipairs(dead) do forget(id, key_id) end
  purged = purged + #dead
  if redis.call('EXISTS', key('key', key_id)) == 0 then
    redis.call('SREM', BASE .. 'keys', key_id)
  end
end
return purged
