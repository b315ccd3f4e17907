-- @include ledger/dead_letters
-- @include sending/state
-- upkeep: bury what has expired, and put hints of what is due on the queue.
-- A key leaves `due` only when it is buried or has no record.
-- A record of a newer version is left alone: a worker of that version sees to it.
-- KEYS  1 due  2 expiry  3 dead  4 queue  5 list of hints  6 sending
-- Returns {hinted, {buried key, reason, mobile, task id, ...}, {key without a record, ...},
--          1 if more is left to bury, else 0, newer records that are due or expired}.
-- When Redis is full it still buries, and hints nothing: no worker could claim the code.
local clock_offset = ARGV[1]
local version = ARGV[2]
local token = ARGV[3] -- of this run
local prefix = ARGV[4] -- of records
local hold_seconds = tonumber(ARGV[5])
local bury_limit = tonumber(ARGV[6])
local lenience_seconds = tonumber(ARGV[7]) -- after an outage a lease holds for this much longer
local task = ARGV[8] -- of a hint
local backlog = tonumber(ARGV[9]) -- with this many hints on the list, no more are added
local hint_limit = tonumber(ARGV[10])

local due, expiry, dead, queue, hints, sending = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local now = clock(clock_offset)
local buried, missing, newer = {}, {}, 0
-- At most this many records are read in a round; the ones behind them wait.
local READS = 2000

-- This write changes nothing, but it fails when Redis is full.
-- The removal after it does not fail, and then Redis allows every write of this script.
local full = type(redis.pcall('ZADD', due, 'XX', 0, '')) == 'table'
redis.call('ZREM', due, '')

-- Returns up to `limit` keys whose time in `set` has come, with the named fields of their records,
-- and whether there may be more. It skips newer records, which stay in front.
local function come(set, limit, ...)
  local found, offset = {}, 0
  while #found < limit and offset < READS do
    local wanted = limit - #found
    local keys = redis.call('ZRANGEBYSCORE', set, '-inf', stamp(now), 'LIMIT', offset, wanted)
    for _, key in ipairs(keys) do
      local r = read(prefix .. key, 'v', 'state', 'lease_until', ...)
      if r.state and number(r.v) > tonumber(version) then
        newer = newer + 1
      else
        found[#found + 1] = { key, r }
      end
    end
    if #keys < wanted then break end
    offset = offset + #keys
  end
  return found, #found == limit
end

local function in_call(r)
  return r.state == 'calling' and now < number(r.lease_until) + lenience_seconds
end

local function forget(key)
  redis.call('ZREM', due, key)
  redis.call('ZREM', expiry, key)
  missing[#missing + 1] = key
end

-- Expired codes come first and need no hint: a full queue must not delay them.
local expired, more = come(expiry, bury_limit, 'attempt', 'ambiguous', 'ambiguous_from', 'streak', 'mobile',
  'task_id')
for _, found in ipairs(expired) do
  local key, r = found[1], found[2]
  local record = prefix .. key
  if not r.state then
    forget(key)
  elseif in_call(r) then
    redis.call('ZADD', expiry, stamp(math.max(number(r.lease_until) + lenience_seconds, now + 1)), key)
  else
    if r.state == 'calling' then count_death(record, r) end
    local reason = number(r.ambiguous) > 0 and 'ambiguous' or 'expired'
    bury(record, key, due, expiry, dead, now, reason, token)
    for _, value in ipairs({ key, reason, r.mobile or '', r.task_id or '' }) do
      buried[#buried + 1] = value
    end
  end
end

-- Returns how many codes may be hinted now:
--   none while codes are parked; all while claims refuse them; in a trial as many as it has places.
--   After a trial the whole fleet may have hinted 20, and each second twice as many.
local RETURN_SECONDS = 12
local function allowance(s)
  if s.state == 'held' or (s.state == 'stopped' and s.mends == 'time') then return 0 end
  if s.state == 'trial' then
    return math.max(0, number(s.width) - tries_on_trial(sending, now))
  end
  local seconds = age(now, s.since)
  if s.state == 'sending' and s.since and seconds < RETURN_SECONDS then
    return 20 * 2 ^ seconds - number(s.returned)
  end
  return math.huge
end

-- A hint is a message in kombu's format; its plain body holds only the key. Keys need no escaping.
local HINT = '{"body":"[[\\"%s\\"],{},{}]","content-encoding":"utf-8","content-type":"application/json",'
  .. '"headers":{"lang":"py","task":"%s","id":"%s","root_id":"%s","parent_id":null,"group":null,'
  .. '"argsrepr":"","kwargsrepr":"","v":%s},'
  .. '"properties":{"correlation_id":"%s","reply_to":"","delivery_mode":2,'
  .. '"delivery_info":{"exchange":"","routing_key":"%s"},"priority":0,"delivery_tag":"%s"}}'

local hinted = 0
local s = sending_state(sending)
local room = full and 0
  or math.floor(math.max(0, math.min(hint_limit, backlog - redis.call('LLEN', hints), allowance(s))))
for i, found in ipairs((come(due, room))) do
  local key, r = found[1], found[2]
  if not r.state then
    forget(key)
  elseif in_call(r) then
    redis.call('ZADD', due, stamp(number(r.lease_until) + lenience_seconds), key)
  else
    local id = 'hint-' .. token .. '-' .. i
    redis.call('ZADD', due, stamp(now + hold_seconds), key)
    redis.call('LPUSH', hints, string.format(HINT, key, task, id, id, version, id, queue, id))
    hinted = hinted + 1
  end
end
if hinted > 0 and s.state == 'sending' and s.since and age(now, s.since) < RETURN_SECONDS then
  redis.call('HINCRBY', sending, 'returned', hinted)
end
-- Idle workers wait for the queue alone; one hint there wakes them for the other hints.
if redis.call('EXISTS', queue) == 0 and redis.call('EXISTS', hints) == 1 then
  redis.call('RPOPLPUSH', hints, queue)
end
return { hinted, buried, missing, more and 1 or 0, newer }
