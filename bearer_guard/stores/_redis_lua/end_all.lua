-- ARGV: owner, family ('': all), when, why, tag, where to go on in the owner's listing. Ends as many
-- as one entry of the log can tell. Returns how many were not ended before, and where to go on ('':
-- that was all).
local owner, family, at, reason, tag, from = unpack(ARGV)
local ids, following = {}, ''
if family == '' then
  local places = redis.call('ZRANGEBYLEX', key('owner', owner), from, '+', 'LIMIT', 0, LOG_IDS)
  for number, place in ipairs(places) do ids[number] = string.sub(place, PLACE_ID) end
  if #places == LOG_IDS then following = '(' .. places[#places] end
else
  ids = redis.call('SMEMBERS', key('family', family))
  ids[#ids + 1] = family
end

local ended, moved = 0, {}
for _, id in ipairs(ids) do
  local token = read(id)
  if type(token) == 'table' and token[AT.owner] == owner and ends_earlier(token, at, reason) then
    moved[#moved + 1] = id
    note_death(id, token, at)
    local known = tonumber(token[AT.ended_ms])
    if not known or known > tonumber(at) then ended = ended + 1 end
  end
end
if #moved > LOG_IDS then
  log(tag, '*')
elseif #moved > 0 then
  log(tag, table.concat(moved))
end
for _, id in ipairs(moved) do set_end(id, at, reason) end
return {ended, following}
