-- @include failure_queue/entries
-- discard: take dead letters out of the failure queue. Their records stay for a while, for an undo.
-- KEYS  1 dead  2 audit  3 set of the keys that this run discarded
-- Returns one status a key: discarded, not_dead, missing.
-- Executed twice with one run, it gives the same answers.
-- A discarded record stays `dead`: a late duplicate of its message is still recognised.
local clock_offset = ARGV[1]
local version = ARGV[2]
local record_prefix = ARGV[3]
local run = ARGV[4]
local operator = ARGV[5]
local keep_milliseconds = ARGV[6] -- how long the records stay
local audit_entries = ARGV[7]
local chosen = { unpack(ARGV, 8) } -- keys of dead letters

local dead, audit, discarded = KEYS[1], KEYS[2], KEYS[3]
local now, statuses = clock(clock_offset), {}
for _, key in ipairs(chosen) do
  local record = record_prefix .. key
  local r = read(record, 'state', 'act', 'discarded_at', 'reason', 'row')
  local status = 'discarded'
  if not r.state then
    status = 'missing'
  elseif r.discarded_at and r.act == run then
    status = 'discarded'
  elseif r.state ~= 'dead' or r.discarded_at then
    status = 'not_dead'
  else
    unindex(record, key, dead)
    hold(record, key, dead)
    redis.call('HSET', record, 'discarded_at', stamp(now), 'act', run)
    redis.call('PEXPIRE', record, keep_milliseconds)
    redis.call('SADD', discarded, key)
    audit_line(audit, audit_entries, 'discard', key, operator, run, r)
  end
  statuses[#statuses + 1] = status
end
redis.call('PEXPIRE', discarded, keep_milliseconds)
return statuses
