-- ARGV: owner ('' with a listing of everybody's), '1' for everybody's, the place to begin below,
-- how many are wanted, how many places to look at, now ('': ended ones too). Returns place and token
-- by turns, and where to go on ('': that was all).
local owner, everybody, below, wanted, look, now = unpack(ARGV)
local listing = everybody == '1' and BASE .. 'all' or key('owner', owner)
local places = redis.call('ZREVRANGEBYLEX', listing, below, '-', 'LIMIT', 0, look)
local found = {}
for _, place in ipairs(places) do
  if #found == wanted * 2 then return {found, below} end
  below = '(' .. place
  local token = read(string.sub(place, PLACE_ID))
  local ended = type(token) == 'table' and tonumber(token[AT.ended_ms])
  if token and not (now ~= '' and ended and ended <= tonumber(now)) then
    found[#found + 1], found[#found + 2] = place, token
  end
end
return {found, #places == tonumber(look) and below or ''}
