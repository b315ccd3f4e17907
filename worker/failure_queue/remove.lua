-- @include failure_queue/entries
-- remove: delete dead letters for good: a purge, or what was written to a spill file.
-- KEYS  1 dead  2 audit
-- ARGV  1 clock offset  2 version  3 prefix of records  4 token of this run  5 operator  6 audit lines to keep  7 'purge' or 'spill'
--       8... keys, each with the moment of death at which it is known
-- Returns one word a key: removed, or changed where it is no longer that dead letter (replayed, discarded, removed before).
local dead, audit = KEYS[1], KEYS[2]
local words = {}
for i = 8, #ARGV, 2 do
  local key, died_at = ARGV[i], tonumber(ARGV[i + 1])
  local record = ARGV[3] .. key
  local known = redis.call('ZSCORE', dead, key)
  local word = 'changed'
  if known and tonumber(known) == died_at then
    local r = read(record, 'v', 'reason', 'row')
    if number(r.v) <= tonumber(ARGV[2]) then
      unindex(record, key, dead)
      redis.call('UNLINK', record)
      audit_line(audit, ARGV[6], ARGV[7], key, ARGV[5], ARGV[4], r)
      word = 'removed'
    end
  end
  words[#words + 1] = word
end
return words
