-- @include failure_queue/entries
-- restore: bring one dead letter back from a file, as it was, at the moment of its death.
-- KEYS  1 record  2 dead  3 audit
-- ARGV  1 clock offset  2 version  3 key  4 token of this run  5 operator  6 audit lines to keep  7... the record's fields, each with its value
-- Returns {'restored'}, or {'exists', state} where the key is known: what stands in Redis is newer. Executed twice with one token it answers the same.
local record, dead, audit = KEYS[1], KEYS[2], KEYS[3]
local r = read(record, 'state', 'act')
if r.state then
  if r.act == ARGV[4] then return { 'restored' } end
  return { 'exists', r.state }
end
for i = 7, #ARGV, 2 do redis.call('HSET', record, ARGV[i], ARGV[i + 1]) end
redis.call('HSET', record, 'state', 'dead', 'act', ARGV[4])
redis.call('HDEL', record, 'discarded_at')
r = read(record, 'died_at', 'reason', 'row')
index(record, ARGV[3], dead, number(r.died_at))
audit_line(audit, ARGV[6], 'import', ARGV[3], ARGV[5], ARGV[4], r)
return { 'restored' }
