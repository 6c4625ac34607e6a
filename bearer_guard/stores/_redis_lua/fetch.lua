-- ARGV: ids. The token of each, see `read`.
local found = {}
for at, id in ipairs(ARGV) do found[at] = read(id) end
return found
