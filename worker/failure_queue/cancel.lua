-- @include failure_queue/entries
-- cancel: take replayed codes back that are not in call, as the dead letters that they were.
-- KEYS  1 due  2 expiry  3 dead  4 audit  5 set of the keys that the run replayed
-- Returns one status a key: cancelled, or went_on for a code that was called, has ended or was
-- replayed again.
-- Executed twice with one name, it gives the same answers.
local clock_offset = ARGV[1]
local version = tonumber(ARGV[2])
local record_prefix = ARGV[3]
local cancelled_run = ARGV[4]
local run = ARGV[5] -- of the cancelling
local operator = ARGV[6]
local audit_entries = ARGV[7]
local chosen = { unpack(ARGV, 8) } -- keys of codes

local due, expiry, dead, audit, replayed = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local now, statuses = clock(clock_offset), {}
for _, key in ipairs(chosen) do
  local record = record_prefix .. key
  local r = read(record, 'v', 'state', 'act', 'ambiguous', 'reason_before', 'died_before', 'row')
  local status = 'went_on'
  if r.act == run then
    status = 'cancelled'
  elseif r.state == 'waiting' and r.act == cancelled_run and number(r.v) <= version then
    r.reason = number(r.ambiguous) > 0 and 'ambiguous' or r.reason_before or 'exhausted'
    local due_of, expiry_of = sets_of(r.v, due, expiry)
    redis.call('ZREM', due_of, key)
    redis.call('ZREM', expiry_of, key)
    redis.call('SREM', replayed, key)
    local died_at = r.died_before and number(r.died_before) or now
    redis.call('HSET', record, 'state', 'dead', 'reason', r.reason, 'died_at', stamp(died_at), 'act', run)
    redis.call('HDEL', record, 'until', 'insisted')
    index(record, key, dead, died_at)
    audit_line(audit, audit_entries, 'cancel', key, operator, run, r)
    status = 'cancelled'
  end
  statuses[#statuses + 1] = status
end
return statuses
