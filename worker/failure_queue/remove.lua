-- @include failure_queue/entries
-- remove: delete dead letters for good, in a purge or after they were written to a spill file.
-- KEYS  1 dead  2 audit
-- Returns one status a key: removed, or changed if it is no longer the dead letter that was seen
-- (replayed, discarded, removed before).
local clock_offset = ARGV[1]
local version = tonumber(ARGV[2])
local record_prefix = ARGV[3]
local run = ARGV[4]
local operator = ARGV[5]
local audit_entries = ARGV[6]
local action = ARGV[7] -- 'purge' or 'spill'
local seen = { unpack(ARGV, 8) } -- each key, then the time of its death as the caller saw it

local dead, audit = KEYS[1], KEYS[2]
local statuses = {}
for i = 1, #seen, 2 do
  local key, died_at = seen[i], tonumber(seen[i + 1])
  local record = record_prefix .. key
  local known = redis.call('ZSCORE', dead, key)
  local status = 'changed'
  if known and tonumber(known) == died_at then
    local r = read(record, 'v', 'reason', 'row')
    if number(r.v) <= version then
      unindex(record, key, dead)
      redis.call('UNLINK', record)
      audit_line(audit, audit_entries, action, key, operator, run, r)
      status = 'removed'
    end
  end
  statuses[#statuses + 1] = status
end
return statuses
