-- @include ledger/digests
-- @include ledger/erased
-- What several scripts do with dead letters: when a code is spent, how it is buried and indexed.

-- Returns the failure queue's indexes that hold a dead record.
local function indexes_of(record)
  local r = read(record, 'reason', 'row', 'scope', 'mobile', 'ambiguous_total')
  local rung = number(r.ambiguous_total) > 0
  local names = {
    'reason:' .. (r.reason or 'unknown'),
    'code:' .. (r.row or 'none'),
    'scope:' .. (r.scope or 'none'),
    'ambiguous:' .. (rung and 'yes' or 'no'),
  }
  if r.mobile and #r.mobile >= 4 then names[#names + 1] = 'ends:' .. string.sub(r.mobile, -4) end
  return names
end

-- Adds `step` to an index's count. Not for the last four digits: they would be ten thousand fields.
local function count(dead, name, step)
  if string.sub(name, 1, 5) == 'ends:' then return end
  local counts = dead .. ':counts'
  if redis.call('HINCRBY', counts, name, step) <= 0 then redis.call('HDEL', counts, name) end
end

-- Adds `step` to a number's dead letters. Redis packs small hashes: there are 4,096.
local function count_number(record, dead, step)
  local r = read(record, 'number', 'mobile')
  local bucket, field
  if r.number and r.number ~= '' then
    field = first_digest(r.number)
    bucket = dead .. ':numbers:' .. string.match(field, '%.(%x%x%x)')
  elseif r.mobile and #r.mobile >= 5 then
    -- A record of version 0.1.0: retention gives it a digest.
    bucket, field = dead .. ':numbers:' .. string.sub(r.mobile, -4), string.sub(r.mobile, 1, -5)
  else
    return
  end
  local left = redis.call('HINCRBY', bucket, field, step)
  if left <= 0 then redis.call('HDEL', bucket, field) end
  if left == (step > 0 and 1 or 0) then count(dead, 'numbers', step) end
end

-- Notes the moment from which a dead letter may no longer hold its code, without the grace: the end
-- of its life, its death if it had none, and at once if nobody can want it any more.
local function hold(record, key, dead)
  local r = read(record, 'reason', 'expires_at', 'died_at')
  local moment = number(r.expires_at) > 0 and number(r.expires_at) or number(r.died_at)
  if r.reason == 'superseded' or r.reason == 'cancelled' then moment = 0 end
  redis.call('ZADD', dead .. ':holds', stamp(moment), key)
end

local function index(record, key, dead, died_at)
  hold(record, key, dead)
  redis.call('ZADD', dead, stamp(died_at), key)
  redis.call('ZADD', dead .. ':expires', stamp(number(redis.call('HGET', record, 'expires_at'))), key)
  for _, name in ipairs(indexes_of(record)) do
    redis.call('ZADD', dead .. ':' .. name, stamp(died_at), key)
    count(dead, name, 1)
  end
  count_number(record, dead, 1)
end

local function unindex(record, key, dead)
  redis.call('ZREM', dead .. ':holds', key)
  if redis.call('ZREM', dead, key) == 0 then return end
  redis.call('ZREM', dead .. ':expires', key)
  for _, name in ipairs(indexes_of(record)) do
    redis.call('ZREM', dead .. ':' .. name, key)
    count(dead, name, -1)
  end
  count_number(record, dead, -1)
end

-- Returns the Redis keys that hold the latest code of a number and purpose: one for each digest.
local function newest_names(dead, r)
  local found = {}
  -- Version 0.1.0 takes the number itself.
  for name in string.gmatch(r.number or r.mobile or '', '%S+') do
    found[#found + 1] = dead .. ':newest:'
      .. string.sub(redis.sha1hex(name .. ' ' .. (r.purpose or '')), 1, 20)
  end
  return found
end

-- Makes the record a dead letter: out of `due` and `expiry`, into the failure queue.
-- If its person was erased or its code cancelled in mid-call, less is left of it.
local function bury(record, key, due, expiry, dead, now, reason, token)
  redis.call('ZREM', due, key)
  redis.call('ZREM', expiry, key)
  local asked = read(record, 'erase', 'cancel')
  local erase, cancel = asked.erase, asked.cancel
  redis.call('HINCRBY', string.sub(dead, 1, -#'dead' - 1) .. 'metrics',
    cancel and 'cancelled' or 'dead ' .. (erase and 'erased' or reason), 1)
  -- @fates local state, why = cancel and 'cancelled' or 'dead', erase and 'erased' or reason
  -- @fates tell(dead, key, state, cancel and '' or why, redis.call('HGET', record, 'row'))
  if erase or cancel then
    redis.call('HSET', record, 'token', token)
    leave_erased(record, now, cancel and 'cancelled' or 'dead', cancel or erase)
    return
  end
  redis.call('HSET', record, 'state', 'dead', 'reason', reason, 'died_at', stamp(now), 'token', token)
  redis.call('HDEL', record, 'lease_until', 'until')
  redis.call('PERSIST', record)
  index(record, key, dead, now)
end

-- How many tries in a row spent the same, as `kind:count`.
local function streak_after(streak, kind)
  local known, count = string.match(streak or '', '^(%a+):(%d+)$')
  return kind .. ':' .. (known == kind and tonumber(count) + 1 or 1)
end

-- Counts a worker's death in mid-call: an ambiguous attempt that nobody will finish.
local function count_death(record, r)
  local name = 'attempt:' .. r.attempt
  local known, entry = pcall(cjson.decode, redis.call('HGET', record, name) or '{}')
  if not known then entry = {} end
  entry.row, entry.kind, entry.ambiguous = 'lease_over', 'ambiguous', true
  entry.ended_at = number(r.lease_until)
  r.ambiguous = number(r.ambiguous) + 1
  r.ambiguous_from = r.ambiguous_from or r.attempt
  r.streak = streak_after(r.streak, 'ring')
  redis.call('HSET', record, name, cjson.encode(entry), 'ambiguous', r.ambiguous,
    'ambiguous_from', r.ambiguous_from, 'row', 'lease_over', 'scope', 'none', 'reply_code', '',
    'reply_message', '', 'streak', r.streak)
  redis.call('HINCRBY', record, 'ambiguous_total', 1)
  redis.call('HINCRBY', record, 'deaths', 1)
  redis.call('HINCRBY', string.match(record, '^(.-:)code:') .. 'metrics', 'lease_over', 1)
end

-- Returns why a record may not be called any more, or nil.
-- `r`: attempt, life, ambiguous, expires_at.
-- `attempt` minus `life` counts submissions: what never reached the gateway moves `life` along.
local function spent_reason(r, now, ambiguous_retries, max_attempts)
  local rung = number(r.ambiguous) > 0
  if number(r.expires_at) <= now then return rung and 'ambiguous' or 'expired' end
  if number(r.ambiguous) > ambiguous_retries then return 'ambiguous' end
  if number(r.attempt) - number(r.life) >= max_attempts then return rung and 'ambiguous' or 'exhausted' end
  return nil
end
