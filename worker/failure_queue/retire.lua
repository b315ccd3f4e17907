-- @include failure_queue/entries
-- retire: take out of dead letters what they may no longer hold: the code first, then the number.
-- KEYS  1 dead
-- Returns {codes taken out, numbers taken out, 1 if more is left, else 0}.
-- State, reason and history stay. What is taken out is gone; a second run finds nothing to do.
local clock_offset = ARGV[1]
local version = tonumber(ARGV[2])
local record_prefix = ARGV[3]
local grace_seconds = tonumber(ARGV[4]) -- beyond the end of a code's life
local number_seconds = tonumber(ARGV[5]) -- beyond death
local limit = tonumber(ARGV[6])

local dead = KEYS[1]
local holds, expires = dead .. ':holds', dead .. ':expires'
local now, codes, numbers = clock(clock_offset), 0, 0

local function retire(record, key, r)
  if r.code or r.raw or r.sealed then
    redis.call('HDEL', record, 'code', 'raw', 'sealed', 'trace')
    redis.call('HSET', record, 'retired_at', stamp(now))
    if number(r.expires_at) > now then redis.call('ZADD', expires, 'XX', 0, key) end
    codes = codes + 1
  end
  local until_ = number(r.died_at) + number_seconds
  if not string.match(r.mobile or '', '^%d+$') then
    redis.call('ZREM', holds, key)
  elseif until_ > now then
    redis.call('ZADD', holds, stamp(until_ - grace_seconds), key)
  elseif r.number then
    redis.call('HSET', record, 'mobile', masked(r.mobile))
    redis.call('ZREM', holds, key)
    numbers = numbers + 1
  else
    -- A record of version 0.1.0: its number is counted by its digits until it gets a digest.
    redis.call('ZADD', holds, stamp(now - grace_seconds + 60), key)
  end
end

local due = redis.call('ZRANGEBYSCORE', holds, '-inf', stamp(now - grace_seconds), 'LIMIT', 0, limit)
for _, key in ipairs(due) do
  local record = record_prefix .. key
  local r = read(record, 'v', 'state', 'code', 'raw', 'mobile', 'number', 'died_at', 'expires_at', 'sealed')
  if r.state ~= 'dead' then
    redis.call('ZREM', holds, key)
  elseif number(r.v) > version then
    redis.call('ZADD', holds, stamp(now), key)
  else
    retire(record, key, r)
  end
end
return { codes, numbers, #due == limit and 1 or 0 }
