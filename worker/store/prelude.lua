-- Times are epoch seconds with three decimals, by Redis' own clock.
-- Only tests set its offset.

local function clock(offset)
  local t = redis.call('TIME')
  return tonumber(t[1]) + math.floor(tonumber(t[2]) / 1000) / 1000 + tonumber(offset)
end

local function stamp(seconds)
  return string.format('%.3f', seconds)
end

local function number(text)
  return tonumber(text or 0) or 0
end

-- Returns the named fields of a record as a table; a missing field is nil.
local function read(record, ...)
  local names, values, fields = { ... }, redis.call('HMGET', record, ...), {}
  for i, name in ipairs(names) do
    if values[i] then fields[name] = values[i] end
  end
  return fields
end
