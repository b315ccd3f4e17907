-- @include store/prelude
-- search audit: the lines of one key or one run among the next lines of the trail. Reads only.
-- KEYS  1 audit
-- Returns {where to go on, or '' at the end, id, {field, value, ...}, id, {...}, ...}.
local clock_offset = ARGV[1]
local version = ARGV[2]
local last = ARGV[3] -- read from this id on, backwards: '+', or '(' and an id
local count = ARGV[4] -- so many lines
local field = ARGV[5] -- 'key' or 'run'
local wanted = ARGV[6] -- its value

local lines = redis.call('XREVRANGE', KEYS[1], last, '-', 'COUNT', count)
local found = { #lines > 0 and '(' .. lines[#lines][1] or '' }
for _, line in ipairs(lines) do
  local values = line[2]
  for i = 1, #values, 2 do
    if values[i] == field and values[i + 1] == wanted then
      found[#found + 1] = line[1]
      found[#found + 1] = values
      break
    end
  end
end
return found
