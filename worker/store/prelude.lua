-- Times are epoch seconds with three decimals, by Redis' own clock.
-- Only tests set its offset.

local function clock(offset)
  local t = redis.call('TIME')
  -- One division of whole milliseconds: a moment that was written reads as the same number again.
  return math.floor(t[1] * 1000 + math.floor(t[2] / 1000) + offset * 1000 + 0.5) / 1000
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

-- Returns the sets of `due` and `expiry` that hold a record of this version.
-- Those of version 0.1.0 have the names without `:2`: its workers look at no others.
local function sets_of(v, due, expiry)
  if v and number(v) < 2 then return string.sub(due, 1, -3), string.sub(expiry, 1, -3) end
  return due, expiry
end
