-- @include transport/messages
-- fetch: move messages from the queue into `unacked`, as many as there is room for. Nothing is ever between the two.
-- KEYS  1 queue  2 unacked  3 unacked index  4 fetched  5 due  6 expiry  7 dead  8 list of hints
-- ARGV  1 clock offset  2 version  3 how many  4 token of this fetch, `<worker instance>/<number>`  5 '1' where this token may have been
--       executed before and its answer was lost  6 prefix of records  7 bytes to keep of what cannot be read
-- Returns {tag, message, tag, message, ...}, the oldest first, new codes before hints. Executed twice with one token it answers with the same messages.
-- Reads first, trims last, and raises nothing after its first write: Lua does not roll back.
local queue, unacked, index, fetched, due, expiry, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local hints, token, prefix = KEYS[8], ARGV[4], ARGV[6]
local now = clock(ARGV[1])
local out = {}

if ARGV[5] == '1' then
  local owners = redis.call('HGETALL', fetched)
  for i = 1, #owners, 2 do
    local value = owners[i + 1] == token and redis.call('HGET', unacked, owners[i])
    if value then
      out[#out + 1] = owners[i]
      out[#out + 1] = stored_message(value)
    end
  end
  if #out > 0 then return out end
end

local function take(item, i)
  local readable, message = pcall(cjson.decode, item)
  local properties = readable and type(message) == 'table' and message.properties
  local tag = type(properties) == 'table' and properties.delivery_tag
  if type(tag) == 'string' and tag ~= '' then
    -- A foreign client may use any bytes, and one tag twice; the two messages must not become one.
    if #tag > 256 or string.find(tag, '[^%w%p ]') then tag = 'raw:' .. redis.sha1hex(item) end
    if redis.call('HEXISTS', unacked, tag) == 1 then tag = tag .. ':' .. token .. ':' .. i end
    redis.call('HSET', unacked, tag, '[' .. item .. ',"' .. queue .. '","' .. queue .. '"]')
    redis.call('ZADD', index, stamp(now), tag)
    redis.call('HSET', fetched, tag, token)
    out[#out + 1] = tag
    out[#out + 1] = item
  else
    bury_raw(prefix, item, due, expiry, dead, now, 'unreadable', 'the item is no message of Celery', ARGV[2], tonumber(ARGV[7]))
  end
end

-- New codes go first: hints may be a thousand, and the gateway slow. Now and then it is the other way round, so that a code
-- whose worker died is looked at though new ones never end.
local lists = { queue, hints }
if tonumber(redis.call('TIME')[2]) % 8 == 0 then lists = { hints, queue } end
local left = tonumber(ARGV[3])
for _, list in ipairs(lists) do
  local items = left > 0 and redis.call('LRANGE', list, -left, -1) or {}
  for i = #items, 1, -1 do take(items[i], i) end
  if #items > 0 then redis.call('LTRIM', list, 0, -(#items + 1)) end
  left = left - #items
end
return out
