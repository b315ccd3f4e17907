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
-- finish: record how an attempt ended.
-- KEYS  1 record  2 due  3 expiry  4 dead
-- ARGV  1 clock offset  2 version  3 key  4 token of the claim  5 attempt  6 'accepted', 'retry' or 'dead'  7 the attempt as JSON, which holds the token
--       8 '1' where the phone may have rung though no reply came  9 retry: delay seconds  10 dead: reason  11 row  12 scope  13 reply code or ''
--       14 reply message  15 voice id  16 row to count as spent, or ''  17 seconds to keep an accepted record  18 digest
-- Returns {'accepted'}, {'doubled', calls}, {'waiting'}, {'dead'}; {'done'} where this token has already finished;
--      {'appended'} where another attempt was accepted before; {'fenced', state} where the claim was lost;
--      {'gone'} where there is no record: a failover lost it, and only the message can make it again.
-- Needs no memory at its first write, so that outcomes are recorded when Redis is full.
local record, due, expiry, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local key, token, attempt, outcome = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local now = clock(ARGV[1])

redis.call('ZREM', due, '')

local entry = 'attempt:' .. attempt
local written = redis.call('HGET', record, entry)
if written and string.find(written, token, 1, true) then return { 'done' } end
local r = read(record, 'state', 'token', 'ambiguous_from', 'spent')

-- The truth wins: whatever was decided meanwhile, the phone is being called.
if outcome == 'accepted' then
  if r.state == 'dead' then unindex(record, key, dead) end
  redis.call('ZREM', due, key)
  redis.call('ZREM', expiry, key)
  redis.call('HSETNX', record, 'v', ARGV[2])
  redis.call('HSETNX', record, 'digest', ARGV[18])
  redis.call('HSETNX', record, 'accepted_at', stamp(now))
  redis.call('HSETNX', record, 'voice_id', ARGV[15])
  redis.call('HSETNX', record, 'attempt', attempt)
  redis.call('HSET', record, 'state', 'accepted', entry, ARGV[7], 'row', ARGV[11], 'reply_code', ARGV[13], 'reply_message', ARGV[14])
  redis.call('HDEL', record, 'code', 'lease_until', 'until', 'reason', 'died_at')
  redis.call('PEXPIRE', record, math.floor(tonumber(ARGV[17]) * 1000))
  local calls = redis.call('HINCRBY', record, 'calls', 1)
  if calls > 1 then return { 'doubled', calls } end
  return { 'accepted' }
end

if not r.state then return { 'gone' } end
redis.call('HSET', record, entry, ARGV[7])
if r.state == 'accepted' then return { 'appended' } end
if r.state ~= 'calling' or r.token ~= token then return { 'fenced', r.state } end

redis.call('HSET', record, 'row', ARGV[11], 'scope', ARGV[12], 'reply_code', ARGV[13], 'reply_message', ARGV[14])
if ARGV[8] == '1' then
  redis.call('HINCRBY', record, 'ambiguous', 1)
  redis.call('HINCRBY', record, 'ambiguous_total', 1)
  redis.call('HSETNX', record, 'ambiguous_from', attempt)
end
if ARGV[16] ~= '' then redis.call('HSET', record, 'spent', (r.spent and r.spent .. ' ' or '') .. ARGV[16]) end

if outcome == 'dead' then
  bury(record, key, due, expiry, dead, now, ARGV[10], token)
  return { 'dead' }
end
local moment = stamp(now + tonumber(ARGV[9]))
redis.call('HSET', record, 'state', 'waiting', 'until', moment)
redis.call('HDEL', record, 'lease_until')
redis.call('ZADD', due, moment, key)
return { 'waiting' }
