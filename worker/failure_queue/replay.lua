-- @include failure_queue/entries
-- replay: put dead letters back, to be called now, each with a fresh budget.
-- KEYS  1 due  2 expiry  3 dead  4 audit  5 set of the keys that this run replayed
-- Returns one status a key: replayed, or why not: missing, not_dead, expired, superseded,
-- ambiguous, unsendable, retired, newer.
-- Executed twice with one run, it gives the same answers, whatever became of the codes in between.
local clock_offset = ARGV[1]
local version = tonumber(ARGV[2])
local record_prefix = ARGV[3]
local run = ARGV[4]
local operator = ARGV[5]
local new_life_seconds = tonumber(ARGV[6]) -- '' keeps each code's own life
local allow_ambiguous = ARGV[7] -- '1' or '0'
local allow_superseded = ARGV[8] -- '1' or '0'
local audit_entries = ARGV[9]
local keep_seconds = ARGV[10] -- how long that set stays
local chosen = { unpack(ARGV, 11) } -- keys of dead letters

local due, expiry, dead, audit, replayed = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local now, statuses, put = clock(clock_offset), {}, 0

local function put_back(record, key, r)
  local expires_at = new_life_seconds and now + new_life_seconds or number(r.expires_at)
  unindex(record, key, dead)
  redis.call('PERSIST', record)
  redis.call('HSET', record, 'state', 'waiting', 'until', stamp(now), 'token', run, 'act', run,
    'life', r.attempt, 'began', r.attempt, 'ambiguous', 0, 'deaths', 0, 'expires_at', stamp(expires_at),
    'reason_before', r.reason or '', 'died_before', r.died_at or '')
  redis.call('HDEL', record, 'ambiguous_from', 'turned_away', 'streak', 'spent', 'died_at', 'reason',
    'unsubmitted', 'parked', 'retry_at', 'refused_host')
  if allow_superseded == '1' then redis.call('HSET', record, 'insisted', '1') end
  redis.call('HINCRBY', record, 'replays', 1)
  local due_of, expiry_of = sets_of(r.v, due, expiry)
  redis.call('ZADD', due_of, stamp(now), key)
  redis.call('ZADD', expiry_of, stamp(expires_at), key)
  redis.call('SADD', replayed, key)
  audit_line(audit, audit_entries, 'replay', key, operator, run, r)
end

for _, key in ipairs(chosen) do
  local record = record_prefix .. key
  local status, r = verdict(record, key, dead, now, version, new_life_seconds, allow_ambiguous == '1',
    allow_superseded == '1')
  if r.act == run then
    status = 'replayed'
  elseif status == 'sendable' then
    put_back(record, key, r)
    status, put = 'replayed', put + 1
  end
  statuses[#statuses + 1] = status
end
redis.call('EXPIRE', replayed, keep_seconds)
if put > 0 then
  redis.call('HINCRBY', string.sub(dead, 1, -#'dead' - 1) .. 'metrics', 'replayed', put)
end
return statuses
