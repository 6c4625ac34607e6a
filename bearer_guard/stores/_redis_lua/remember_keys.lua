-- ARGV: key ids. Those known before; these are noted with them if there were none, or one of these.
local known = redis.call('SMEMBERS', BASE .. 'known_keys')
local ours = #known == 0
for _, id in ipairs(ARGV) do
  ours = ours or redis.call('SISMEMBER', BASE .. 'known_keys', id) == 1
end
if ours and #ARGV > 0 then redis.call('SADD', BASE .. 'known_keys', unpack(ARGV)) end
return known
