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

local function index(record, key, dead, now)
  redis.call('ZADD', dead, stamp(now), key)
  redis.call('ZADD', dead .. ':expires', redis.call('HGET', record, 'expires_at') or '0', key)
  for _, name in ipairs(indexes_of(record)) do
    redis.call('ZADD', dead .. ':' .. name, stamp(now), key)
    redis.call('HINCRBY', dead .. ':counts', name, 1)
  end
end

local function unindex(record, key, dead)
  if redis.call('ZREM', dead, key) == 0 then return end
  redis.call('ZREM', dead .. ':expires', key)
  for _, name in ipairs(indexes_of(record)) do
    redis.call('ZREM', dead .. ':' .. name, key)
    if redis.call('HINCRBY', dead .. ':counts', name, -1) <= 0 then redis.call('HDEL', dead .. ':counts', name) end
  end
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
