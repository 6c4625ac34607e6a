-- What the scripts about accounts begin with, after the prelude.

-- The tokens that an owner's account decides about: '*' where they are too many to tell.
local function live(owner, now)
  if redis.call('ZCARD', key('owner', owner)) > LOG_IDS then return '*' end
  local ids = {}
  for _, place in ipairs(redis.call('ZRANGE', key('owner', owner), 0, -1)) do
    local id = string.sub(place, PLACE_ID)
    local token = read(id)
    local ended = type(token) == 'table' and tonumber(token[AT.ended_ms])
    if token and not (ended and ended <= tonumber(now)) then ids[#ids + 1] = id end
  end
  return table.concat(ids)
end

-- Tell this shard how an owner's account stands. False: it has heard that or newer already.
local function tell(tag, owner, version, disabled, now)
  local known = standing(owner)
  if math.abs(known) >= version then return false end
  if (known > 0) ~= disabled then log(tag, live(owner, now)) end
  redis.call('HSET', BASE .. 'owners', owner, disabled and version or -version)
  return true
end

-- The next version of news about an account. Near the time, so that it rises also where the one
-- before was lost with a part of a cluster.
local function next_version(account, now)
  local known = tonumber(redis.call('HGET', account, 'version') or 0)
  local version = math.max(known + 1, tonumber(now))
  redis.call('HSET', account, 'version', version)
  return version
end
