-- ARGV: id and tag of the entry where the reader stands ('': nowhere), a tag for the first entry of
-- a log that is lost or new. Returns id and tag of the last entry; what was logged in between, false
-- where that can't be told; whether there are tokens; and what the shard knows about the store, the
-- settings in the first one only.
local at, tag, new = unpack(ARGV)

local function last_entry()
  return redis.call('XREVRANGE', LOG, '+', '-', 'COUNT', 1)[1]
end

-- Entries are {id, {'tag', tag, 'ids', ids}}.
local function since(last)
  local here = last
  if at ~= last[1] then here = redis.call('XRANGE', LOG, at, at)[1] end
  if not here or here[2][2] ~= tag then return false end
  local ids, size = {}, 0
  while at ~= last[1] do
    for _, entry in ipairs(redis.call('XRANGE', LOG, '(' .. at, '+', 'COUNT', 100)) do
      at = entry[1]
      local told = entry[2][4] or '*'
      ids[#ids + 1] = told
      size = size + #told
      if told == '*' or #ids > LOG_IDS or size > LOG_IDS * ID_LENGTH then return false end
    end
  end
  return table.concat(ids)
end

if not last_entry() then redis.call('XADD', LOG, '*', 'tag', new, 'ids', '') end
local last = last_entry()
return {
  last[1], last[2][2], at ~= '' and since(last), redis.call('EXISTS', BASE .. 'all'),
  redis.call('HMGET', BASE .. 'about', 'schema', 'shards', 'epoch', 'policy')
}
