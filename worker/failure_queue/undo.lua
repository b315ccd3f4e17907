-- @include failure_queue/entries
-- undo: bring discarded dead letters back into the failure queue, each at the time of its death.
-- KEYS  1 dead  2 audit
-- Returns one status a key: restored, not_discarded, missing.
-- Executed twice with one run, it gives the same answers.
local clock_offset = ARGV[1]
local version = ARGV[2]
local record_prefix = ARGV[3]
local run = ARGV[4]
local operator = ARGV[5]
local audit_entries = ARGV[6]
local chosen = { unpack(ARGV, 7) } -- keys of discarded dead letters

local dead, audit = KEYS[1], KEYS[2]
local statuses = {}
for _, key in ipairs(chosen) do
  local record = record_prefix .. key
  local r = read(record, 'state', 'act', 'discarded_at', 'died_at', 'reason', 'row',
    'erased_at')
  local status = 'restored'
  if not r.state then
    status = 'missing'
  elseif r.state ~= 'dead' or not r.discarded_at or r.erased_at then
    status = r.act == run and 'restored' or 'not_discarded'
  else
    redis.call('HSET', record, 'act', run)
    redis.call('HDEL', record, 'discarded_at')
    redis.call('PERSIST', record)
    index(record, key, dead, number(r.died_at))
    audit_line(audit, audit_entries, 'undo', key, operator, run, r)
  end
  statuses[#statuses + 1] = status
end
return statuses
