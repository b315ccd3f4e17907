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
-- upkeep: bury what has expired, and hint what is due. Nothing leaves `due` here save what is buried or has no record.
-- KEYS  1 due  2 expiry  3 dead  4 queue  5 list of hints (the queue itself where the worker reads nothing else)
-- ARGV  1 clock offset  2 version  3 token of this run  4 prefix of records  5 hold seconds  6 how many to bury at the most
--       7 seconds by which a lease that is over counts as alive  8 task of a hint  9 length of the list of hints from which on nothing is hinted  10 how many to hint at the most
-- Returns {hinted, {buried key, reason, mobile, task id, ...}, {key without a record, ...}, 1 where more is left to bury now}.
local due, expiry, dead, queue, hints = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local version, token, prefix, hold, batch, lenience = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local now = clock(ARGV[1])
local buried, missing = {}, {}

local function in_call(r)
  return r.state == 'calling' and now < number(r.lease_until) + lenience
end

local function forget(key)
  redis.call('ZREM', due, key)
  redis.call('ZREM', expiry, key)
  missing[#missing + 1] = key
end

-- The expired ones first, and without a hint: a queue that is full must not keep them waiting.
local expired = redis.call('ZRANGEBYSCORE', expiry, '-inf', stamp(now), 'LIMIT', 0, batch)
for _, key in ipairs(expired) do
  local record = prefix .. key
  local r = read(record, 'v', 'state', 'lease_until', 'attempt', 'ambiguous', 'ambiguous_from', 'mobile', 'task_id')
  if not r.state then
    forget(key)
  elseif in_call(r) or tonumber(r.v) > tonumber(version) then
    redis.call('ZADD', expiry, stamp(math.max(number(r.lease_until) + lenience, now + 1)), key)
  else
    if r.state == 'calling' then count_death(record, r) end
    local reason = number(r.ambiguous) > 0 and 'ambiguous' or 'expired'
    bury(record, key, due, expiry, dead, now, reason, token)
    for _, value in ipairs({ key, reason, r.mobile or '', r.task_id or '' }) do buried[#buried + 1] = value end
  end
end

-- A hint is a message in kombu's format, with a plain body that holds the key and nothing else. Keys need no escaping.
local HINT = '{"body":"[[\\"%s\\"],{},{}]","content-encoding":"utf-8","content-type":"application/json",'
  .. '"headers":{"lang":"py","task":"%s","id":"%s","root_id":"%s","parent_id":null,"group":null,"argsrepr":"","kwargsrepr":"","v":%s},'
  .. '"properties":{"correlation_id":"%s","reply_to":"","delivery_mode":2,"delivery_info":{"exchange":"","routing_key":"%s"},'
  .. '"priority":0,"delivery_tag":"%s"}}'

local hinted = 0
local room = math.max(0, math.min(tonumber(ARGV[10]), tonumber(ARGV[9]) - redis.call('LLEN', hints)))
local ready = room > 0 and redis.call('ZRANGEBYSCORE', due, '-inf', stamp(now), 'LIMIT', 0, room) or {}
for i, key in ipairs(ready) do
  local r = read(prefix .. key, 'state', 'lease_until')
  if not r.state then
    forget(key)
  elseif in_call(r) then
    redis.call('ZADD', due, stamp(number(r.lease_until) + lenience), key)
  else
    local id = 'hint-' .. token .. '-' .. i
    redis.call('ZADD', due, stamp(now + hold), key)
    redis.call('LPUSH', hints, string.format(HINT, key, ARGV[8], id, id, version, id, queue, id))
    hinted = hinted + 1
  end
end
-- Workers that have nothing to do wait for the queue alone: one hint there wakes them for the others, also for those that a
-- worker left behind when it died.
if hints ~= queue and redis.call('EXISTS', queue) == 0 and redis.call('EXISTS', hints) == 1 then redis.call('RPOPLPUSH', hints, queue) end
return { hinted, buried, missing, #expired == batch and 1 or 0 }
