-- @include ledger/digests
-- How often one number is called, over all keys and workers, and how often the whole fleet calls.
-- A number has a digest under each key; all of them are read and written.
--   `numbers` .. digest   zset of recent claims: token -> moment;
--                         `block:<row>` -> until when the row keeps it from being called
--     + `:day`            calls that were accepted or may have rung
--   `purse` .. 'hour', 'day'  such calls of the whole fleet

local DAY_SECONDS, HOUR_SECONDS = 86400, 3600

-- Returns the moments of a number's claims within the window; until when it is blocked, or nil; and
-- the row that blocks it. Removes what is over.
-- A fail-over to a server whose clock is behind leaves claims in the future.
local function recent_claims(stamps, now, window_seconds)
  local all, recent, blocked_until, row = redis.call('ZRANGE', stamps, 0, -1, 'WITHSCORES'), {}, nil, nil
  for i = 1, #all, 2 do
    local blocking, moment = string.match(all[i], '^block:(.*)$'), tonumber(all[i + 1])
    if blocking and moment > now then
      blocked_until, row = moment, blocking
    elseif not blocking and moment > now - window_seconds and moment <= now + 1 then
      recent[#recent + 1] = moment
    else
      redis.call('ZREM', stamps, all[i])
    end
  end
  return recent, blocked_until, row
end

local function free_at_under(numbers, digest, now, per_minute, gap_seconds, window_seconds, per_day)
  local stamps = numbers .. digest
  local claims, blocked_until, row = recent_claims(stamps, now, window_seconds)
  if blocked_until then return blocked_until, row end
  if per_day > 0 and number(redis.call('GET', stamps .. ':day')) >= per_day then
    return now + math.max(redis.call('PTTL', stamps .. ':day') / 1000, 1), ''
  end
  if per_minute == 0 then return nil end
  local count = #claims
  local free_at = 0
  if count >= per_minute then free_at = claims[count - per_minute + 1] + window_seconds end
  if count > 0 then free_at = math.max(free_at, claims[count] + gap_seconds) end
  if free_at > now then return free_at, '' end
  return nil
end

-- Returns when a form for this number may leave, and the row that blocks it or ''; nil if now.
local function number_free_at(numbers, digests, ...)
  local latest, blocking_row
  for digest in string.gmatch(digests, '%S+') do
    local free_at, row = free_at_under(numbers, digest, ...)
    if free_at and free_at > (latest or 0) then latest, blocking_row = free_at, row end
  end
  return latest, blocking_row
end

local function take_place(numbers, digests, now, token, window_seconds)
  for digest in string.gmatch(digests, '%S+') do
    local stamps = numbers .. digest
    redis.call('ZADD', stamps, stamp(now), token)
    redis.call('PEXPIRE', stamps, math.ceil(window_seconds * 1000))
  end
end

local function give_place_back(numbers, digests, token)
  for digest in string.gmatch(digests, '%S+') do redis.call('ZREM', numbers .. digest, token) end
end

local function block_number(numbers, digests, now, row, seconds)
  for digest in string.gmatch(digests, '%S+') do
    local stamps, milliseconds = numbers .. digest, math.ceil(seconds * 1000)
    redis.call('ZADD', stamps, stamp(now + seconds), 'block:' .. row)
    if redis.call('PTTL', stamps) < milliseconds then redis.call('PEXPIRE', stamps, milliseconds) end
  end
end

local function count_within(name, seconds, step)
  if redis.call('INCRBY', name, step) == step then redis.call('EXPIRE', name, seconds) end
end

-- Counts a call of the number's day.
local function count_call(numbers, digests)
  for digest in string.gmatch(digests, '%S+') do
    count_within(numbers .. digest .. ':day', DAY_SECONDS, 1)
  end
end

-- Returns true if the purse is empty; else takes one call out of it.
local function purse_is_empty(purse, per_hour, per_day)
  if per_hour > 0 and number(redis.call('GET', purse .. 'hour')) >= per_hour then return true end
  if per_day > 0 and number(redis.call('GET', purse .. 'day')) >= per_day then return true end
  if per_hour > 0 then count_within(purse .. 'hour', HOUR_SECONDS, 1) end
  if per_day > 0 then count_within(purse .. 'day', DAY_SECONDS, 1) end
  return false
end

local function give_call_back(purse)
  for _, name in ipairs({ 'hour', 'day' }) do
    if number(redis.call('GET', purse .. name)) > 0 then redis.call('DECR', purse .. name) end
  end
end
