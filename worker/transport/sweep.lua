-- @include transport/messages
-- sweep: put back messages that were not acked in time, and those in lists that no worker reads.
-- KEYS  1 queue  2 unacked  3 unacked index  4 fetched  5 returns  6 workers  7 due  8 expiry
--       9 dead  10... lists beside the queue
-- Returns {put back, moved from lists beside, key of a poisonous message, ...}.
-- Deaths are counted here, before any worker parses a byte of the message.
-- A claimed message is no longer in `fetched`; the limit of ambiguous attempts covers its code.
-- A message that a living worker left in `unacked` is not counted: Redis was full or away.
local clock_offset = ARGV[1]
local version = ARGV[2]
local prefix = ARGV[3] -- of records
local instance = ARGV[4] -- of this worker
local visibility_seconds = tonumber(ARGV[5])
local limit = tonumber(ARGV[6]) -- of messages put back, and of messages moved from one list
local poison_after = tonumber(ARGV[7]) -- so many returns from workers that died before the claim
local raw_cap = tonumber(ARGV[8]) -- bytes to keep of a poisonous message
local silence_seconds = tonumber(ARGV[9]) -- a worker that did not sweep for this long is dead
local lenience_seconds = tonumber(ARGV[10]) -- above 0 just after an outage: no death is counted yet
local salt = ARGV[11] -- before bytes that are named by a digest

local queue, unacked, index = KEYS[1], KEYS[2], KEYS[3]
local fetched, returns, workers = KEYS[4], KEYS[5], KEYS[6]
local due, expiry, dead = KEYS[7], KEYS[8], KEYS[9]
local now = clock(clock_offset)
local restored, moved, poison = 0, 0, {}

-- The first write removes: it needs no memory, and later writes then succeed on a full Redis.
redis.call('ZREMRANGEBYSCORE', workers, '-inf', stamp(now - 86400))
-- This worker lives: its own messages are no deaths, however long Redis was away.
redis.call('ZADD', workers, stamp(now), instance)

local function died(owner)
  if not owner or lenience_seconds > 0 then return false end
  local seen = redis.call('ZSCORE', workers, string.match(owner, '^(.*)/') or owner)
  return not (seen and tonumber(seen) > now - silence_seconds)
end

local late = redis.call('ZRANGEBYSCORE', index, '-inf', stamp(now - visibility_seconds), 'LIMIT', 0, limit)
for _, tag in ipairs(late) do
  local value = redis.call('HGET', unacked, tag)
  local owner = redis.call('HGET', fetched, tag)
  redis.call('ZREM', index, tag)
  redis.call('HDEL', unacked, tag)
  redis.call('HDEL', fetched, tag)
  if value then
    local message = stored_message(value)
    if died(owner) and redis.call('HINCRBY', returns, tag, 1) >= poison_after then
      redis.call('HDEL', returns, tag)
      local detail = 'fetched ' .. poison_after .. ' times, and each time its worker died before'
        .. ' it claimed the code'
      local key = bury_raw(prefix, salt, message, due, expiry, dead, now, 'poison', detail, version,
        raw_cap)
      poison[#poison + 1] = key
    else
      redis.call('RPUSH', queue, message)
      restored = restored + 1
    end
  end
end

-- A producer that sets `priority` makes kombu use a list for each one.
-- Another application may have a key of that name but another type: pcall leaves it alone.
for i = 10, #KEYS do
  for _ = 1, limit do
    local item = redis.pcall('RPOPLPUSH', KEYS[i], queue)
    if not item or type(item) == 'table' then break end
    moved = moved + 1
  end
end
return { restored, moved, unpack(poison) }
