-- @include store/prelude
-- Digests that Python made with a key: `<name of the key>.<24 digits>`. During a rotation there are
-- two in one text, with a space between, the newest first.

local function first_digest(digests)
  return string.match(digests or '', '^%S+') or ''
end

-- Returns a number as it may be kept: 138****8000.
local function masked(mobile)
  return #mobile == 11 and string.sub(mobile, 1, 3) .. '****' .. string.sub(mobile, -4) or mobile
end

-- Tells whether a message asks for what the record already holds. Under a key that the worker does
-- not have, and for records of version 0.1.0, number and code are compared while they are held.
local function same_content(known, digests, r, mobile, code)
  local name = string.match(known or '', '^(%x+)%.')
  for digest in string.gmatch(digests, '%S+') do
    if digest == known then return true end
    if name and string.match(digest, '^%x+') == name then return false end
  end
  if r.detail then return false end -- it was refused, and this message was not
  local held = r.mobile or ''
  if #held == 11 and not string.find(held, '*', 1, true) and held ~= mobile then return false end
  return not r.code or r.code == '' or r.code == code
end
