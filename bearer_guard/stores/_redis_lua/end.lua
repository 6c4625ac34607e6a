-- ARGV: id, when, why, tag. The token as it is then.
local id, at, reason, tag = unpack(ARGV)
local token = read(id)
if type(token) ~= 'table' or not ends_earlier(token, at, reason) then return token end
note_death(id, token, at)
log(tag, id)
set_end(id, at, reason)
return read(id)
