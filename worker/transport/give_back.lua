-- @include transport/messages
-- give back: put messages that were fetched and not begun back to the front of the queue, in order.
-- KEYS  1 queue  2 unacked  3 unacked index  4 fetched
-- Returns how many were put back.
local clock_offset = ARGV[1] -- as in every script; nothing here depends on the time
local version = ARGV[2]
local tags = { unpack(ARGV, 3) } -- the oldest first

local queue, unacked, index, fetched = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local put = 0
for i = #tags, 1, -1 do
  local value = redis.call('HGET', unacked, tags[i])
  redis.call('ZREM', index, tags[i])
  redis.call('HDEL', unacked, tags[i])
  redis.call('HDEL', fetched, tags[i])
  if value then
    redis.call('RPUSH', queue, stored_message(value))
    put = put + 1
  end
end
return put
