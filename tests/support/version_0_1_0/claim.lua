-- Stands before every script: the clock, and how a record becomes a dead letter and stops being one.
-- Times are epoch seconds with three decimals, by the server's own clock plus an offset that only tests set.

local function clock(offset)
  local t = redis.call('TIME')
  return tonumber(t[1]) + math.floor(tonumber(t[2]) / 1000) / 1000 + tonumber(offset)
end

local function stamp(seconds)
  return string.format('%.3f', seconds)
end

local function number(text)
  return tonumber(text or 0) or 0
end

-- Returns the named fields of a record as a table; a field that is not there is nil.
local function read(record, ...)
  local names, values, fields = { ... }, redis.call('HMGET', record, ...), {}
  for i, name in ipairs(names) do
    if values[i] then fields[name] = values[i] end
  end
  return fields
end

-- The failure queue's indexes that a dead record stands in.
local function indexes_of(record)
  local r = read(record, 'reason', 'row', 'scope', 'mobile', 'ambiguous_total')
  local rung = number(r.ambiguous_total) > 0
  local names = { 'reason:' .. (r.reason or 'unknown'), 'code:' .. (r.row or 'none'), 'scope:' .. (r.scope or 'none'), 'ambiguous:' .. (rung and 'yes' or 'no') }
  if r.mobile and #r.mobile >= 4 then names[#names + 1] = 'ends:' .. string.sub(r.mobile, -4) end
  return names
end

-- `counts` holds what may be counted at a glance; the last four digits would make it ten thousand fields long.
local function count(dead, name, step)
  if string.sub(name, 1, 5) == 'ends:' then return end
  if redis.call('HINCRBY', dead .. ':counts', name, step) <= 0 then redis.call('HDEL', dead .. ':counts', name) end
end

-- How many dead letters each number has: small hashes by the last four digits, which Redis packs tightly.
local function count_number(record, dead, step)
  local mobile = redis.call('HGET', record, 'mobile')
  if not mobile or #mobile < 5 then return end
  local bucket, field = dead .. ':numbers:' .. string.sub(mobile, -4), string.sub(mobile, 1, -5)
  local left = redis.call('HINCRBY', bucket, field, step)
  if left <= 0 then redis.call('HDEL', bucket, field) end
  if left == (step > 0 and 1 or 0) then count(dead, 'numbers', step) end
end

local function index(record, key, dead, died_at)
  redis.call('ZADD', dead, stamp(died_at), key)
  redis.call('ZADD', dead .. ':expires', redis.call('HGET', record, 'expires_at') or '0', key)
  for _, name in ipairs(indexes_of(record)) do
    redis.call('ZADD', dead .. ':' .. name, stamp(died_at), key)
    count(dead, name, 1)
  end
  count_number(record, dead, 1)
end

local function unindex(record, key, dead)
  if redis.call('ZREM', dead, key) == 0 then return end
  redis.call('ZREM', dead .. ':expires', key)
  for _, name in ipairs(indexes_of(record)) do
    redis.call('ZREM', dead .. ':' .. name, key)
    count(dead, name, -1)
  end
  count_number(record, dead, -1)
end

-- The key that remembers which code of a number and a purpose was seen last; it names the number by a digest only.
local function newest_name(dead, mobile, purpose)
  return dead .. ':newest:' .. string.sub(redis.sha1hex(mobile .. ' ' .. (purpose or '')), 1, 20)
end

-- What a replay of a record would meet: 'sendable', or why not. Returns the record's fields too.
-- `life`: new life in seconds or nil; the two flags allow what is otherwise refused.
local function verdict(record, key, dead, now, version, life, ambiguous, superseded)
  local r = read(record, 'v', 'state', 'mobile', 'code', 'purpose', 'expires_at', 'ambiguous_total', 'discarded_at', 'act', 'attempt', 'reason', 'row')
  if not r.state then return 'missing', r end
  if number(r.v) > tonumber(version) then return 'newer', r end
  if r.state ~= 'dead' or r.discarded_at then return 'not_dead', r end
  if not r.mobile or r.mobile == '' or not r.code or r.code == '' then return 'unsendable', r end
  if not life and number(r.expires_at) <= now then return 'expired', r end
  local newest = not superseded and redis.call('GET', newest_name(dead, r.mobile, r.purpose))
  if newest and newest ~= key then return 'superseded', r end
  if number(r.ambiguous_total) > 0 and not ambiguous then return 'ambiguous', r end
  return 'sendable', r
end

-- One line of the audit trail. `cap`: entries to keep, about.
local function audit_line(audit, cap, action, key, operator, run, r)
  redis.call('XADD', audit, 'MAXLEN', '~', cap, '*', 'action', action, 'key', key, 'operator', operator, 'run', run,
    'reason', r.reason or '', 'row', r.row or '')
end

-- Makes the record a dead letter: out of `due` and `expiry`, into the failure queue and its indexes.
local function bury(record, key, due, expiry, dead, now, reason, token)
  redis.call('ZREM', due, key)
  redis.call('ZREM', expiry, key)
  redis.call('HSET', record, 'state', 'dead', 'reason', reason, 'died_at', stamp(now), 'token', token)
  redis.call('HDEL', record, 'lease_until', 'until')
  redis.call('PERSIST', record)
  index(record, key, dead, now)
end

-- Counts a worker's death in mid-call: an ambiguous attempt that nobody will finish.
local function count_death(record, r)
  local name = 'attempt:' .. r.attempt
  local known, entry = pcall(cjson.decode, redis.call('HGET', record, name) or '{}')
  if not known then entry = {} end
  entry.row, entry.kind, entry.ambiguous, entry.ended_at = 'lease_over', 'ambiguous', true, number(r.lease_until)
  r.ambiguous = number(r.ambiguous) + 1
  r.ambiguous_from = r.ambiguous_from or r.attempt
  redis.call('HSET', record, name, cjson.encode(entry), 'ambiguous', r.ambiguous, 'ambiguous_from', r.ambiguous_from,
    'row', 'lease_over', 'scope', 'none', 'reply_code', '', 'reply_message', '')
  redis.call('HINCRBY', record, 'ambiguous_total', 1)
  redis.call('HINCRBY', record, 'deaths', 1)
end

-- The reason for which a record may not be called any more, or nil. `r`: attempt, life, ambiguous, ambiguous_from, expires_at.
local function spent_reason(r, now, ambiguous_retries, max_attempts)
  local rung = number(r.ambiguous) > 0
  if number(r.expires_at) <= now then return rung and 'ambiguous' or 'expired' end
  if rung and number(r.attempt) >= number(r.ambiguous_from) + ambiguous_retries then return 'ambiguous' end
  if number(r.attempt) - number(r.life) >= max_attempts then return rung and 'ambiguous' or 'exhausted' end
  return nil
end
-- claim: may a call be placed for this key now? At most one worker hears yes, for the length of a lease.
-- KEYS  1 record  2 due  3 expiry  4 dead  5 fetched
-- ARGV  1 clock offset  2 version  3 key  4 token of this try  5 worker  6 lease seconds
--       7 seconds by which a lease that is over counts as alive (after an outage)  8 ambiguous retries  9 max attempts
--       10 tag of the message that is looked at, or ''
--       and for a message, absent for a hint:
--       11 digest  12 mobile  13 code  14 purpose  15 task id  16 expires_at or ''  17 default life seconds
--       18 epoch seconds before which it is not to be called, or ''  19 (the last) seconds for which to remember that it is its number's newest
-- Returns {'call', attempt, attempt of this life, attempts since the first ambiguous one or -1, seconds left to live, seconds since first seen,
--          mobile, code, purpose, task id, rows spent, replays}
--      or {'buried', reason, mobile, task id}, {'early'}, {'busy'}, {'accepted'}, {'dead'}, {'conflict'}, {'missing'}, {'newer'}.
-- Executed twice with one token it answers the same.
local record, due, expiry, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local version, key, token = ARGV[2], ARGV[3], ARGV[4]
local lenience, ambiguous_retries, max_attempts = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local message = #ARGV > 10
local now = clock(ARGV[1])

if not message and redis.call('EXISTS', record) == 0 then
  redis.call('ZREM', due, key)
  redis.call('ZREM', expiry, key)
  return { 'missing' }
end
-- A write that needs memory comes first: at full memory the script ends here, and no call starts.
redis.call('HSETNX', record, 'v', version)
-- From here on the ledger answers for the code; the message is a hint like any other.
if ARGV[10] ~= '' then redis.call('HDEL', KEYS[5], ARGV[10]) end

local r = read(record, 'v', 'state', 'digest', 'mobile', 'code', 'purpose', 'task_id', 'first_seen', 'expires_at', 'token', 'attempt', 'life',
  'ambiguous', 'ambiguous_from', 'lease_until', 'until', 'spent', 'replays', 'reason')
if tonumber(r.v) > tonumber(version) then return { 'newer' } end

if not r.state then
  r.digest, r.mobile, r.code, r.purpose, r.task_id = ARGV[11], ARGV[12], ARGV[13], ARGV[14], ARGV[15]
  r.expires_at = ARGV[16] ~= '' and ARGV[16] or stamp(math.max(now, tonumber(ARGV[18]) or 0) + tonumber(ARGV[17]))
  r.first_seen, r.attempt, r.life = stamp(now), 0, 0
  redis.call('HSET', record, 'state', 'waiting', 'digest', r.digest, 'mobile', r.mobile, 'code', r.code, 'purpose', r.purpose,
    'task_id', r.task_id, 'expires_at', r.expires_at, 'first_seen', r.first_seen, 'attempt', 0, 'life', 0)
  redis.call('SET', newest_name(dead, r.mobile, r.purpose), key, 'EX', ARGV[#ARGV])
  r.state = 'waiting'
  if ARGV[18] ~= '' and tonumber(ARGV[18]) > now then
    r['until'] = stamp(tonumber(ARGV[18]))
    redis.call('HSET', record, 'until', r['until'])
    redis.call('ZADD', due, r['until'], key)
    redis.call('ZADD', expiry, r.expires_at, key)
  end
elseif message and r.digest ~= ARGV[11] then
  return { 'conflict' }
end

local function call()
  local since = r.ambiguous_from and number(r.attempt) - number(r.ambiguous_from) or -1
  return { 'call', number(r.attempt), number(r.attempt) - number(r.life), since, stamp(number(r.expires_at) - now), stamp(now - number(r.first_seen)),
    r.mobile, r.code, r.purpose or '', r.task_id or '', r.spent or '', number(r.replays) }
end

if r.state == 'accepted' then return { 'accepted' } end
if r.state == 'dead' then
  if r.token == token then return { 'buried', r.reason or '', r.mobile or '', r.task_id or '' } end
  return { 'dead' }
end
if r.state == 'calling' then
  if r.token == token then return call() end
  if now < number(r.lease_until) + lenience then return { 'busy' } end
  count_death(record, r)
elseif r.state == 'waiting' and now < number(r['until']) then
  return { 'early' }
end

local reason = spent_reason(r, now, ambiguous_retries, max_attempts)
if reason then
  bury(record, key, due, expiry, dead, now, reason, token)
  return { 'buried', reason, r.mobile or '', r.task_id or '' }
end

r.attempt = number(r.attempt) + 1
local lease_until = stamp(now + tonumber(ARGV[6]))
redis.call('HSET', record, 'state', 'calling', 'token', token, 'attempt', r.attempt, 'lease_until', lease_until,
  'attempt:' .. r.attempt, cjson.encode({ started_at = now, worker = ARGV[5] }))
redis.call('ZADD', due, lease_until, key)
redis.call('ZADD', expiry, r.expires_at, key)
return call()
