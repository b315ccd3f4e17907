-- @include transport/messages
-- fetch: move messages from the queue into `unacked`, as many as there is room for.
-- At each moment a message is in one of the two.
-- KEYS  1 queue  2 unacked  3 unacked index  4 fetched  5 due  6 expiry  7 dead  8 list of hints
-- Returns {1 if hints are left, else 0, tag, message, tag, message, ...}: the oldest first,
-- new codes before hints.
-- Executed twice with one token, it returns the same messages.
-- It reads first, trims last, and does not raise after its first write: Redis does not roll back.
local clock_offset = ARGV[1]
local version = ARGV[2]
local prefix = ARGV[3] -- of records
local room = tonumber(ARGV[4]) -- how many messages at the most
local token = ARGV[5] -- of this fetch: `<worker instance>/<number>`
local repeated = ARGV[6] -- '1' if this token may have run before and the answer was lost
local raw_cap = tonumber(ARGV[7]) -- bytes to keep of an item that cannot be read
local salt = ARGV[8] -- before bytes that are named by a digest
local reserve = tonumber(ARGV[9]) -- how much of the room hints leave free

local queue, unacked, index, fetched = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local due, expiry, dead, hints = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local now = clock(clock_offset)
local out = { 0 }

if repeated == '1' then
  local owners = redis.call('HGETALL', fetched)
  for i = 1, #owners, 2 do
    local value = owners[i + 1] == token and redis.call('HGET', unacked, owners[i])
    if value then
      out[#out + 1] = owners[i]
      out[#out + 1] = stored_message(value)
    end
  end
  if #out > 1 then
    out[1] = redis.call('EXISTS', hints)
    return out
  end
end

local function take(item)
  local readable, message = pcall(cjson.decode, item)
  local properties = readable and type(message) == 'table' and message.properties
  local tag = type(properties) == 'table' and properties.delivery_tag
  if type(tag) == 'string' and tag ~= '' then
    -- A foreign client may use any bytes as a tag, and one tag twice. Both messages must survive.
    if #tag > 256 or string.find(tag, '[^%w%p ]') then tag = 'raw:' .. redis.sha1hex(salt .. item) end
    if redis.call('HEXISTS', unacked, tag) == 1 then tag = tag .. ':' .. token .. ':' .. #out end
    redis.call('HSET', unacked, tag, '[' .. item .. ',"' .. queue .. '","' .. queue .. '"]')
    redis.call('ZADD', index, stamp(now), tag)
    redis.call('HSET', fetched, tag, token)
    out[#out + 1] = tag
    out[#out + 1] = item
  else
    local detail = 'the item is not a Celery message'
    bury_raw(prefix, salt, item, due, expiry, dead, now, 'unreadable', detail, version, raw_cap)
  end
end

local function take_from(list, most)
  local items = most > 0 and redis.call('LRANGE', list, -most, -1) or {}
  for i = #items, 1, -1 do take(items[i]) end
  if #items > 0 then redis.call('LTRIM', list, 0, -(#items + 1)) end
  return #items
end

-- New codes go first, and hints leave the reserve to those that come next:
-- there may be a thousand hints, and the gateway may be slow.
-- While half of the reserve is taken, one fetch in eight begins with a hint all the same:
-- a stream of new codes must not starve the waiting ones.
local left = room
if room * 2 <= math.max(reserve, 2) and tonumber(redis.call('TIME')[2]) % 8 == 0 then
  left = left - take_from(hints, 1)
end
-- A hint that upkeep put on the queue has woken this worker, and takes no slot of a new code's.
local oldest = left <= reserve and redis.call('LINDEX', queue, -1)
if oldest and string.find(oldest, '"delivery_tag":"hint-', 1, true) then
  redis.call('LMOVE', queue, hints, 'RIGHT', 'RIGHT')
end
left = left - take_from(queue, left)
take_from(hints, left - reserve)
out[1] = redis.call('EXISTS', hints)
return out
