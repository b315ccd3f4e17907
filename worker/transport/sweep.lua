-- @include transport/messages
-- sweep: put back what was fetched and not acked in time, and what stands in lists that nobody reads.
-- KEYS  1 queue  2 unacked  3 unacked index  4 fetched  5 returns  6 workers  7 due  8 expiry  9 dead  10... lists beside the queue
-- ARGV  1 clock offset  2 version  3 prefix of records  4 this worker's instance  5 visibility time-out seconds  6 how many at the most
--       7 how often a message may come back unclaimed from a worker that died  8 bytes to keep of a poisonous message
--       9 seconds since its last sweep after which a worker counts as dead
-- Returns {put back, moved from lists beside, key of a poisonous message, ...}.
-- Deaths are counted here, before anybody parses a byte of the message. A message that was claimed is no longer in `fetched`: its code
-- follows the limit of ambiguous attempts instead. One that a living worker left alone (Redis was full or away) is not counted.
local queue, unacked, index, fetched, returns, workers = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local due, expiry, dead = KEYS[7], KEYS[8], KEYS[9]
local prefix, instance, visibility, limit = ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local now = clock(ARGV[1])
local restored, moved, poison = 0, 0, {}

-- Removes first what needs no memory, so that the sweep goes on when Redis is full.
redis.call('ZREMRANGEBYSCORE', workers, '-inf', stamp(now - 86400))
for _, tag in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', stamp(now - visibility), 'LIMIT', 0, limit)) do
  local value = redis.call('HGET', unacked, tag)
  local owner = redis.call('HGET', fetched, tag)
  redis.call('ZREM', index, tag)
  redis.call('HDEL', unacked, tag)
  redis.call('HDEL', fetched, tag)
  if value then
    local message = stored_message(value)
    local seen = owner and redis.call('ZSCORE', workers, string.match(owner, '^(.*)/') or owner)
    local died = owner and not (seen and tonumber(seen) > now - tonumber(ARGV[9]))
    if died and redis.call('HINCRBY', returns, tag, 1) >= tonumber(ARGV[7]) then
      redis.call('HDEL', returns, tag)
      local detail = 'fetched ' .. ARGV[7] .. ' times, and each time its worker died before it claimed the code'
      poison[#poison + 1] = bury_raw(prefix, message, due, expiry, dead, now, 'poison', detail, ARGV[2], tonumber(ARGV[8]))
    else
      redis.call('RPUSH', queue, message)
      restored = restored + 1
    end
  end
end

-- A producer that sets `priority` has kombu use lists of their own.
for i = 10, #KEYS do
  for _ = 1, limit do
    if not redis.call('RPOPLPUSH', KEYS[i], queue) then break end
    moved = moved + 1
  end
end
redis.call('ZADD', workers, stamp(now), instance)
return { restored, moved, unpack(poison) }
