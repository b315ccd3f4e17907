-- @include failure_queue/entries
-- undo: bring discarded dead letters back into the failure queue, each at the moment of its death.
-- KEYS  1 dead  2 audit
-- ARGV  1 clock offset  2 version  3 prefix of records  4 token of this run  5 operator  6 audit lines to keep  7... keys
-- Returns one word a key: restored, not_discarded, missing. Executed twice with one token it answers the same.
local dead, audit = KEYS[1], KEYS[2]
local words = {}
for i = 7, #ARGV do
  local key = ARGV[i]
  local record = ARGV[3] .. key
  local r = read(record, 'state', 'act', 'discarded_at', 'died_at', 'reason', 'row')
  local word = 'restored'
  if not r.state then
    word = 'missing'
  elseif r.state ~= 'dead' or not r.discarded_at then
    word = r.act == ARGV[4] and 'restored' or 'not_discarded'
  else
    redis.call('HSET', record, 'act', ARGV[4])
    redis.call('HDEL', record, 'discarded_at')
    redis.call('PERSIST', record)
    index(record, key, dead, number(r.died_at))
    audit_line(audit, ARGV[6], 'undo', key, ARGV[5], ARGV[4], r)
  end
  words[#words + 1] = word
end
return words
