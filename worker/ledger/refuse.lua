-- @include ledger/dead_letters
-- refuse: make a dead letter of a message that cannot be called.
-- KEYS  1 record under the producer's key  2 record under the message's own id  3 record under its digest  4 due  5 expiry  6 dead
-- ARGV  1 clock offset  2 version  3 key  4 own id  5 key from the digest  6 digest  7 reason  8 detail, one sentence  9 mobile or ''
--       10 raw arguments  11 task id
-- Returns {'refused', key}, or {'done', key} where this message was refused before.
-- The first of the three keys that is free is taken, so that a record of another code is never touched.
local now = clock(ARGV[1])
for i = 1, 3 do
  local record, key = KEYS[i], ARGV[i + 2]
  local known = redis.call('HGET', record, 'digest')
  if known == ARGV[6] then return { 'done', key } end
  if not known then
    redis.call('HSET', record, 'v', ARGV[2], 'digest', ARGV[6], 'detail', ARGV[8], 'mobile', ARGV[9], 'raw', ARGV[10], 'task_id', ARGV[11],
      'first_seen', stamp(now), 'expires_at', '0', 'attempt', 0, 'scope', 'message')
    bury(record, key, KEYS[4], KEYS[5], KEYS[6], now, ARGV[7], '')
    return { 'refused', key }
  end
end
return { 'done', ARGV[5] }
