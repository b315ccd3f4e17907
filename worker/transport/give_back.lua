-- @include transport/messages
-- give back: put messages that were fetched and not begun back to the front of the queue, in their order.
-- KEYS  1 queue  2 unacked  3 unacked index  4 fetched
-- ARGV  1 clock offset  2 version  3... tags, the oldest first
-- Returns how many were put back.
local put = 0
for i = #ARGV, 3, -1 do
  local tag = ARGV[i]
  local value = redis.call('HGET', KEYS[2], tag)
  redis.call('ZREM', KEYS[3], tag)
  redis.call('HDEL', KEYS[2], tag)
  redis.call('HDEL', KEYS[4], tag)
  if value then
    redis.call('RPUSH', KEYS[1], stored_message(value))
    put = put + 1
  end
end
return put
