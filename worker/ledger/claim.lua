-- @include ledger/dead_letters
-- claim: may a call be placed for this key now? One worker is told yes, for the length of a lease.
-- KEYS  1 record  2 due  3 expiry  4 dead  5 fetched
-- Returns {'call', attempt, submissions of this life with this one, tries that may have rung,
--          tries that were turned away, the latest tries in a row as `kind:count`,
--          seconds left to live, seconds since first seen, mobile, code, purpose, task id,
--          rows spent, replays},
--      or {'buried', reason, mobile, task id}, {'early'}, {'busy'}, {'accepted'}, {'dead'},
--         {'conflict'}, {'missing'}, {'newer'}, {'too_far', 'expires_at' or 'eta'}.
-- Run twice with one token, it gives the same answer.
local clock_offset = ARGV[1]
local version = ARGV[2]
local key = ARGV[3]
local token = ARGV[4] -- of this try
local worker = ARGV[5]
local lease_seconds = tonumber(ARGV[6])
local lenience_seconds = tonumber(ARGV[7]) -- after an outage a lease holds for this much longer
local ambiguous_retries = tonumber(ARGV[8])
local max_attempts = tonumber(ARGV[9])
local tag = ARGV[10] -- of the message that brought the key, or ''
-- What a message carries; a hint carries its key only and has '' in all of these.
local digest = ARGV[11]
local mobile = ARGV[12]
local code = ARGV[13]
local purpose = ARGV[14]
local task_id = ARGV[15]
local expires_at = ARGV[16] -- or ''
local default_life_seconds = tonumber(ARGV[17])
local not_before = ARGV[18] -- epoch seconds, or ''
local newest_seconds = ARGV[19] -- how long the number remembers that this is its newest code
local max_life_seconds = tonumber(ARGV[20]) -- the furthest off that expires_at and not_before may lie

local record, due, expiry, dead, fetched = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local is_message = digest ~= ''
local now = clock(clock_offset)

if not is_message and redis.call('EXISTS', record) == 0 then
  redis.call('ZREM', due, key)
  redis.call('ZREM', expiry, key)
  return { 'missing' }
end
-- Redis' clock judges: a worker's may be an hour off. Nothing is written yet.
local latest = now + max_life_seconds
if is_message and math.max(number(expires_at), number(not_before)) > latest
  and redis.call('EXISTS', record) == 0 then
  return { 'too_far', number(expires_at) > latest and 'expires_at' or 'eta' }
end
-- The first write needs memory: when Redis is full the script fails here, and no call starts.
redis.call('HSETNX', record, 'v', version)
-- From here on the code is safe in the ledger, and its message is only a hint.
if tag ~= '' then redis.call('HDEL', fetched, tag) end

local r = read(record, 'v', 'state', 'digest', 'mobile', 'code', 'purpose', 'task_id', 'first_seen',
  'expires_at', 'token', 'attempt', 'life', 'ambiguous', 'ambiguous_from', 'turned_away', 'streak',
  'lease_until', 'until', 'spent', 'replays', 'reason')
if tonumber(r.v) > tonumber(version) then return { 'newer' } end

if not r.state then
  r.digest, r.mobile, r.code, r.purpose, r.task_id = digest, mobile, code, purpose, task_id
  local begins = math.max(now, number(not_before))
  r.expires_at = expires_at ~= '' and expires_at or stamp(begins + default_life_seconds)
  r.first_seen, r.attempt, r.life = stamp(now), 0, 0
  redis.call('HSET', record, 'state', 'waiting', 'digest', digest, 'mobile', mobile, 'code', code,
    'purpose', purpose, 'task_id', task_id, 'expires_at', r.expires_at, 'first_seen', r.first_seen,
    'attempt', 0, 'life', 0)
  redis.call('SET', newest_name(dead, mobile, purpose), key, 'EX', newest_seconds)
  r.state = 'waiting'
  if number(not_before) > now then
    r['until'] = stamp(number(not_before))
    redis.call('HSET', record, 'until', r['until'])
    redis.call('ZADD', due, r['until'], key)
    redis.call('ZADD', expiry, r.expires_at, key)
  end
elseif is_message and r.digest ~= digest then
  return { 'conflict' }
end

local function call()
  local left, age = stamp(number(r.expires_at) - now), stamp(now - number(r.first_seen))
  return { 'call', number(r.attempt), number(r.attempt) - number(r.life), number(r.ambiguous),
    number(r.turned_away), r.streak or '', left, age, r.mobile, r.code, r.purpose or '', r.task_id or '',
    r.spent or '', number(r.replays) }
end

if r.state == 'accepted' then return { 'accepted' } end
if r.state == 'dead' then
  if r.token == token then return { 'buried', r.reason or '', r.mobile or '', r.task_id or '' } end
  return { 'dead' }
end
if r.state == 'calling' then
  if r.token == token then return call() end
  if now < number(r.lease_until) + lenience_seconds then return { 'busy' } end
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
local lease_until = stamp(now + lease_seconds)
redis.call('HSET', record, 'state', 'calling', 'token', token, 'attempt', r.attempt,
  'lease_until', lease_until, 'attempt:' .. r.attempt, cjson.encode({ started_at = now, worker = worker }))
redis.call('ZADD', due, lease_until, key)
redis.call('ZADD', expiry, r.expires_at, key)
return call()
