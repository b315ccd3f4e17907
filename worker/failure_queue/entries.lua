-- @include ledger/dead_letters
-- What the operators' scripts share: what a replay would meet, and the audit trail.

-- What a replay of a record would meet: 'sendable', or why not. Returns the record's fields, too.
-- `new_life_seconds`: nil keeps the code's own life; the two flags allow what is otherwise refused.
local function verdict(record, key, dead, now, version, new_life_seconds, allow_ambiguous, allow_superseded)
  local r = read(record, 'v', 'state', 'mobile', 'number', 'code', 'purpose', 'expires_at', 'ambiguous_total',
    'discarded_at', 'act', 'attempt', 'reason', 'row', 'retired_at', 'died_at', 'sealed')
  if not r.state then return 'missing', r end
  if number(r.v) > version then return 'newer', r end
  if r.state ~= 'dead' or r.discarded_at then return 'not_dead', r end
  if r.retired_at then return 'retired', r end
  local is_held = r.sealed or (r.code and r.code ~= '')
  if not r.mobile or r.mobile == '' or not is_held then return 'unsendable', r end
  if not new_life_seconds and number(r.expires_at) <= now then return 'expired', r end
  for _, name in ipairs(allow_superseded and {} or newest_names(dead, r)) do
    local newest = redis.call('GET', name)
    if newest and newest ~= key then return 'superseded', r end
  end
  if number(r.ambiguous_total) > 0 and not allow_ambiguous then return 'ambiguous', r end
  return 'sendable', r
end

-- Adds one line to the audit trail, which keeps about `audit_entries` lines.
local function audit_line(audit, audit_entries, action, key, operator, run, r)
  redis.call('XADD', audit, 'MAXLEN', '~', audit_entries, '*', 'action', action, 'key', key,
    'operator', operator, 'run', run, 'reason', r.reason or '', 'row', r.row or '')
end
