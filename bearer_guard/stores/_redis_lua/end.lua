-- ARGV: id, when, why, tag. The token as it is then.
local id, at, reason, tag = unpack(ARGV)
local token = read(id)
local sound = type(token) == 'table'
if not token or (sound and not ends_earlier(token, at, reason)) then return token end
note_death(id, sound and token or {}, at)
log(tag, id)
if sound then set_end(id, at, reason) end
return read(id)
