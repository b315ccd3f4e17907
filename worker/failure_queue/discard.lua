-- @include failure_queue/entries
-- discard: take dead letters out of the failure queue; their records stay for a while, so that it can be undone.
-- KEYS  1 dead  2 audit  3 set of the keys that this run discarded
-- ARGV  1 clock offset  2 version  3 prefix of records  4 token of this run  5 operator  6 milliseconds for which the records stay
--       7 audit lines to keep  8... keys
-- Returns one word a key: discarded, not_dead, missing. Executed twice with one token it answers the same.
-- A record that was discarded stays `dead`, so that a late duplicate of its message is still known.
local dead, audit, run = KEYS[1], KEYS[2], KEYS[3]
local now, words = clock(ARGV[1]), {}
for i = 8, #ARGV do
  local key = ARGV[i]
  local record = ARGV[3] .. key
  local r = read(record, 'state', 'act', 'discarded_at', 'reason', 'row')
  local word = 'discarded'
  if not r.state then
    word = 'missing'
  elseif r.discarded_at and r.act == ARGV[4] then
    word = 'discarded'
  elseif r.state ~= 'dead' or r.discarded_at then
    word = 'not_dead'
  else
    unindex(record, key, dead)
    redis.call('HSET', record, 'discarded_at', stamp(now), 'act', ARGV[4])
    redis.call('PEXPIRE', record, ARGV[6])
    redis.call('SADD', run, key)
    audit_line(audit, ARGV[7], 'discard', key, ARGV[5], ARGV[4], r)
  end
  words[#words + 1] = word
end
redis.call('PEXPIRE', run, ARGV[6])
return words
