-- @include ledger/dead_letters
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
