-- What every script begins with. KEYS[1] is the change log of a shard; the names of all keys of that
-- shard begin as its name does, and lie in its slot. The module that loads this puts some constants
-- above it.

local LOG = KEYS[1]
local BASE = string.sub(LOG, 1, -#'log' - 1)

local function key(kind, name)
  return BASE .. kind .. ':' .. name
end

-- Whether text a comes before b, byte by byte. Lua's own `<` would ask the server's locale.
local function before(a, b)
  for at = 1, math.min(#a, #b) do
    local x, y = string.byte(a, at), string.byte(b, at)
    if x ~= y then return x < y end
  end
  return #a < #b
end

-- How this shard was last told that an owner's account stands: the version of that news, negative
-- where the account works, positive where it is disabled; 0: never told.
local function standing(owner)
  return tonumber(redis.call('HGET', BASE .. 'owners', owner) or 0)
end

-- Some fields of a token, false where one is missing. Nil where something else lies under its key.
local function fields_of(id, ...)
  local found = redis.pcall('HMGET', key('token', id), ...)
  if not found.err then return found end
  -- Any other error is no answer: the key may just be on its way to another node.
  if not string.find(found.err, '^WRONGTYPE') then error(found) end
end

-- A token: its FIELDS, then whether its owner is disabled. False where there is none; text where
-- something else lies under its key, for somebody has been at it.
local function read(id)
  local token = fields_of(id, unpack(FIELDS))
  if not token then return 'tampered' end
  if not token[AT.created_ms] and redis.call('EXISTS', key('token', id)) == 0 then return false end
  local owner = token[AT.owner]
  token[#FIELDS + 1] = owner and standing(owner) > 0 and 1 or 0
  return token
end

-- Write the change log: `ids` one after the other, or '*' for more than a reader wants to know.
local function log(tag, ids)
  local last = redis.call('XREVRANGE', LOG, '+', '-', 'COUNT', 1)[1]
  local new = redis.call('XADD', LOG, 'MAXLEN', '~', LOG_ENTRIES, '*', 'tag', tag, 'ids', ids)
  -- What is old goes, but not the entry before this one: there a reader stands who is up to date.
  local keep = tonumber(string.match(new, '^%d+')) - LOG_MS
  if last and tonumber(string.match(last[1], '^%d+')) < keep then keep = last[1] end
  redis.call('XTRIM', LOG, 'MINID', '~', keep)
end

-- Whether a token would end earlier by this end, or at the same time for a reason that sorts first.
local function ends_earlier(token, at, reason)
  local known = tonumber(token[AT.ended_ms])
  if not known or tonumber(at) < known then return true end
  return tonumber(at) == known and before(reason, token[AT.end_reason] or '')
end

-- The index goes first, then the log, then the token: whatever is said to have ended was logged. Which
-- key's index it is in is not for the token to say: somebody may have been at it.
local function note_death(id, token, at)
  local expires = tonumber(token[AT.expires_ms])
  local death = expires and expires < tonumber(at) and expires or at
  for _, key_id in ipairs(redis.call('SMEMBERS', BASE .. 'keys')) do
    redis.call('ZADD', key('key', key_id), 'XX', death, id)
  end
end

local function set_end(id, at, reason)
  redis.call('HSET', key('token', id), FIELDS[AT.ended_ms], at, FIELDS[AT.end_reason], reason)
end
