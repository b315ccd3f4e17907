-- @include ledger/dead_letters
-- @include ledger/numbers
-- @include sending/state
-- claim: may a call be placed for this key now? One worker is told yes, for the length of a lease.
-- KEYS  1 record  2 due  3 expiry  4 dead  5 fetched  6 sending
-- Returns {'call', attempt, submissions of this life with this one, tries that may have rung,
--          tries that were turned away, the latest tries in a row as `kind:count`,
--          seconds left to live, seconds since first seen, mobile, code, purpose, task id,
--          rows spent, replays, 'trial' or '', number and code if they are sealed,
--          the producer's span or ''},
--      or {'buried', reason, mobile, task id}, {'early'}, {'busy'}, {'accepted'}, {'dead'},
--         {'cancelled'}, {'conflict'}, {'missing'}, {'newer'}, {'too_far', 'expires_at' or 'eta'},
--         {'parked'}, {'elsewhere'}, {'limited', epoch seconds},
--         {'unnamed', mobile} if the record is older than the digests: ask again with the number's.
--      A last element of 'buried', if any, is a transition of the fleet that this claim made.
-- Executed twice with one token, it gives the same answer.
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
local digest = ARGV[11] -- of number and code, one under each key
local mobile = ARGV[12]
local code = ARGV[13]
local purpose = ARGV[14]
local task_id = ARGV[15]
local expires_at = ARGV[16] -- or ''
local default_life_seconds = tonumber(ARGV[17])
local not_before = ARGV[18] -- epoch seconds, or ''
local newest_seconds = ARGV[19] -- how long this is remembered as the number's newest code
local max_life_seconds = tonumber(ARGV[20]) -- how far ahead expires_at and not_before may lie
local number_digest = ARGV[21] -- one under each key; or '' with a hint
local per_minute = tonumber(ARGV[22]) -- submissions to one number; 0: no limit
local per_day = tonumber(ARGV[23]) -- calls of one number; 0: no limit
local gap_seconds = tonumber(ARGV[24]) -- between two submissions to one number
local window_seconds = tonumber(ARGV[25]) -- a minute, and the time that a form may take to leave
local calls_per_hour = tonumber(ARGV[26]) -- of the whole fleet; 0: no limit
local calls_per_day = tonumber(ARGV[27])
local latest_wins = ARGV[28] -- '1' or '0'
local config = ARGV[29] -- of the worker; '' outside a fleet
local fit = ARGV[30] -- '1' or '0': the worker
local host = ARGV[31] -- whose address the gateway sees; '' outside of a fleet
local sealed = ARGV[32] -- number and code, of which `mobile` is then masked and `code` empty; or ''
local trace = ARGV[33] -- the producer's span, or ''

local record, due, expiry, dead, fetched, sending = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local prefix = string.sub(sending, 1, -#'sending' - 1)
local numbers, purse, metrics = prefix .. 'number:', prefix .. 'purse:', prefix .. 'metrics'
local is_message = digest ~= ''
local now = clock(clock_offset)

if not is_message and redis.call('EXISTS', record) == 0 then
  for _, v in ipairs({ '1', '2' }) do
    local due_of, expiry_of = sets_of(v, due, expiry)
    redis.call('ZREM', due_of, key)
    redis.call('ZREM', expiry_of, key)
  end
  return { 'missing' }
end
-- Redis' clock judges: a worker's may be an hour off. Nothing is written yet.
local latest = now + max_life_seconds
if is_message and math.max(number(expires_at), number(not_before)) > latest
  and redis.call('EXISTS', record) == 0 then
  return { 'too_far', number(expires_at) > latest and 'expires_at' or 'eta' }
end
-- The first write needs memory: when Redis is full the script fails here, and no call starts.
local is_new = redis.call('HSETNX', record, 'v', version) == 1
-- From here on the code is safe in the ledger, and its message is only a hint.
if tag ~= '' then redis.call('HDEL', fetched, tag) end

local r = is_new and { v = version } or read(record, 'v', 'state', 'digest', 'mobile', 'code', 'purpose',
  'task_id', 'first_seen', 'expires_at', 'token', 'attempt', 'life', 'ambiguous', 'ambiguous_from',
  'turned_away', 'streak', 'lease_until', 'until', 'spent', 'replays', 'reason', 'number', 'insisted',
  'refused_host', 'detail', 'erase', 'sealed', 'cancel', 'trace')
if tonumber(r.v) > tonumber(version) then return { 'newer' } end
due, expiry = sets_of(r.v, due, expiry)
if r.state == 'cancelled' then return { 'cancelled' } end
local waited, died = r.state == 'waiting', false

if not r.state then
  r.digest, r.mobile, r.code, r.purpose, r.task_id = first_digest(digest), mobile, code, purpose, task_id
  local begins = math.max(now, number(not_before))
  r.expires_at = expires_at ~= '' and expires_at or stamp(begins + default_life_seconds)
  r.first_seen, r.attempt, r.life = stamp(now), 0, 0
  if sealed ~= '' then
    r.sealed = sealed
    redis.call('HSET', record, 'sealed', sealed)
  end
  if trace ~= '' then
    r.trace = trace
    redis.call('HSET', record, 'trace', trace)
  end
  redis.call('HSET', record, 'state', 'waiting', 'digest', r.digest, 'number', number_digest,
    'mobile', mobile, 'code', code, 'purpose', purpose, 'task_id', task_id,
    'expires_at', r.expires_at, 'first_seen', r.first_seen, 'attempt', 0, 'life', 0)
  r.number = number_digest
  for _, name in ipairs(newest_names(dead, r)) do
    local newest = redis.call('SET', name, key, 'EX', newest_seconds, 'GET')
    local newest_end = newest and redis.call('HGET', string.sub(record, 1, #record - #key) .. newest,
      'expires_at')
    -- Of two codes that end within a second of each other, the one asked for last is the newest.
    if number(newest_end) > number(r.expires_at) + 1 then
      redis.call('SET', name, newest, 'EX', newest_seconds)
    end
  end
  r.state = 'waiting'
  if number(not_before) > now then
    r['until'] = stamp(number(not_before))
    redis.call('HSET', record, 'until', r['until'])
    redis.call('ZADD', due, r['until'], key)
    redis.call('ZADD', expiry, r.expires_at, key)
  end
elseif is_message and not same_content(r.digest, digest, r, mobile, code) then
  return { 'conflict' }
end

local function call(way)
  local left, age = stamp(number(r.expires_at) - now), stamp(now - number(r.first_seen))
  return { 'call', number(r.attempt), number(r.attempt) - number(r.life), number(r.ambiguous),
    number(r.turned_away), r.streak or '', left, age, r.mobile, r.code, r.purpose or '', r.task_id or '',
    r.spent or '', number(r.replays), way == 'trial' and way or '', r.sealed or '',
    r.trace or '' }
end

if r.state == 'accepted' then return { 'accepted' } end
if r.state == 'dead' then
  if r.token == token then return { 'buried', r.reason or '', r.mobile or '', r.task_id or '' } end
  return { 'dead' }
end
if not r.number then
  -- A record of version 0.1.0: its number's digest is made in Python.
  if number_digest == '' then return { 'unnamed', r.mobile or '' } end
  r.number = number_digest
  redis.call('HSET', record, 'number', number_digest)
end
if r.state == 'calling' then
  if r.token == token then return call('trial') end -- it may have been one
  if now < number(r.lease_until) + lenience_seconds then return { 'busy' } end
  died = true
  count_death(record, r)
  if per_day > 0 then count_call(numbers, r.number) end
elseif r.state == 'waiting' and now < number(r['until']) then
  if is_new then redis.call('HINCRBY', metrics, 'seen', 1) end
  return { 'early' }
end

local function buried(reason, news)
  if is_new then redis.call('HINCRBY', metrics, 'seen', 1) end
  bury(record, key, due, expiry, dead, now, reason, token)
  return { 'buried', reason, r.mobile or '', r.task_id or '', news }
end

local function wait(moment)
  if is_new then redis.call('HINCRBY', metrics, 'seen', 1) end
  redis.call('HSET', record, 'state', 'waiting', 'until', stamp(moment))
  redis.call('HDEL', record, 'lease_until')
  redis.call('ZADD', due, stamp(moment), key)
  redis.call('ZADD', expiry, r.expires_at, key)
end

local function park(s)
  wait(now)
  if redis.call('HSET', record, 'parked', s.generation or '0') == 1 then
    redis.call('HINCRBY', sending, 'parked', 1)
  end
  return { 'parked' }
end

-- Nobody can be called before a person acts: the code is a dead letter at once, unsubmitted.
local function refuse(s, news)
  redis.call('HSET', record, 'row', s.row, 'scope', s.scope or 'account', 'unsubmitted', '1')
  redis.call('HINCRBY', sending, 'refused', 1)
  return buried('permanent', news)
end

local function superseded()
  if not (latest_wins == '1' and (waited or died) and r.purpose and r.purpose ~= '' and not r.insisted) then
    return false
  end
  for _, name in ipairs(newest_names(dead, r)) do
    local newest = redis.call('GET', name)
    if newest and newest ~= key then
      local n = read(string.sub(record, 1, #record - #key) .. newest, 'state', 'expires_at')
      if n.state and n.state ~= 'dead' and number(n.expires_at) > number(r.expires_at) then return true end
    end
  end
  return false
end

local reason = (r.cancel and 'cancelled') or (r.erase and 'erased')
  or spent_reason(r, now, ambiguous_retries, max_attempts) or (superseded() and 'superseded')
if reason then return buried(reason) end

local s = sending_state(sending)
local way = gate(sending, s, config, fit == '1')
-- The gateway refused this host for this code: it gets its second chance on another one.
if (way == 'call' or way == 'trial') and r.refused_host == host and host ~= ''
  and survey(sending, now, host).elsewhere then
  way = 'elsewhere'
end
if way == 'refuse' then return refuse(s) end
if way == 'park' then return park(s) end
if way == 'elsewhere' then
  if is_new then redis.call('HINCRBY', metrics, 'seen', 1) end
  if died then wait(now) end -- else the next claim would count the death again
  return { 'elsewhere' }
end

local free_at, blocking_row = number_free_at(numbers, r.number, now, per_minute, gap_seconds,
  window_seconds, per_day)
if free_at then
  redis.call('HSET', record, 'retry_at', stamp(free_at))
  if free_at < number(r.expires_at) then
    wait(free_at)
    return { 'limited', stamp(free_at) }
  end
  if blocking_row ~= '' then redis.call('HSET', record, 'row', blocking_row, 'scope', 'number') end
  return buried('rate_limited')
end
if purse_is_empty(purse, calls_per_hour, calls_per_day) then
  stop(sending, now, s, { row = 'spending_cap', mends = 'person', cap = 0, scope = 'account' })
  return refuse(s, 'stopped')
end
local lease_until = stamp(now + lease_seconds)
if way == 'trial' and not enter_trial(sending, now, s, token, lease_until) then
  if calls_per_hour + calls_per_day > 0 then give_call_back(purse) end
  return park(s)
end
if per_minute > 0 then take_place(numbers, r.number, now, token, window_seconds) end

r.attempt = number(r.attempt) + 1
redis.call('HSET', record, 'state', 'calling', 'token', token, 'generation', s.generation or '0',
  'attempt', r.attempt, 'lease_until', lease_until,
  'attempt:' .. r.attempt, cjson.encode({ started_at = now, worker = worker }))
redis.call('ZADD', due, lease_until, key)
redis.call('ZADD', expiry, r.expires_at, key)
-- One write, whatever is counted: `counters.py` splits the names.
local counted = 'call'
if is_new then
  counted = 'seen call'
elseif r.attempt == 1 then
  -- The first call of a code that had to wait: how long, as the next power of two.
  local waited_seconds = math.max(1, math.min(4096, now - number(r.first_seen)))
  counted = string.format('call %.0f', 2 ^ math.ceil(math.log(waited_seconds) / math.log(2)))
end
redis.call('HINCRBY', metrics, counted, 1)
return call(way)
