-- ARGV: id, when it was used, from where ('': unknown), and so on. Only a later use is noted; of two
-- at once that whose source sorts last.
local CREATED, USED, SOURCE =
  FIELDS[AT.created_ms], FIELDS[AT.last_used_ms], FIELDS[AT.last_used_from]

local function is_later(token, used, source)
  local known = tonumber(token[2])
  if not known or known < used then return true end
  return known == used and before(token[3] or '', source)
end

for at = 1, #ARGV, 3 do
  local id, used, source = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local token = fields_of(id, CREATED, USED, SOURCE)
  if token and token[1] and is_later(token, tonumber(used), source) then
    redis.call('HSET', key('token', id), USED, used)
    if source == '' then
      redis.call('HDEL', key('token', id), SOURCE)
    else
      redis.call('HSET', key('token', id), SOURCE, source)
    end
  end
end
return redis.status_reply('OK')
