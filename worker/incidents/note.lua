-- @include store/prelude
-- note: count lines that would page, and end the incidents that have been quiet.
-- KEYS  1 incidents: kind -> what is known of its incident, as JSON
-- Returns one {kind, word, began, count, seconds, runbook} for each kind that was noted and for
-- each incident that has ended. `word`: 'page' (it has just begun), 'minute' (a minute after the
-- last line about it), 'known' or 'ended'.
local clock_offset = ARGV[1]
local version = ARGV[2]
local quiet_seconds = tonumber(ARGV[3]) -- after which an incident is over
local noted = { unpack(ARGV, 4) } -- kind, runbook, count, '1' if this worker has paged for it; and so on

local MINUTE = 60
local incidents = KEYS[1]
local now, told = clock(clock_offset), {}

-- It changes nothing, and lets the writes after it succeed on a full Redis.
redis.call('HDEL', incidents, '')

local function tell(kind, word, e)
  told[#told + 1] = { kind, word, stamp(e.began), e.count, stamp(now - e.began), e.runbook }
end

for _, kind in ipairs(redis.call('HKEYS', incidents)) do
  local known, e = pcall(cjson.decode, redis.call('HGET', incidents, kind))
  if not known or now - e.last > quiet_seconds or e.began > now + 1 then
    redis.call('HDEL', incidents, kind)
    if known then tell(kind, 'ended', e) end
  end
end

for i = 1, #noted, 4 do
  local kind, word = noted[i], 'known'
  local known = redis.call('HGET', incidents, kind)
  local e = known and cjson.decode(known)
    or { v = version, began = now, said = now, count = 0, runbook = noted[i + 1] }
  if not known then
    word = noted[i + 3] == '1' and 'known' or 'page'
  elseif now - e.said >= MINUTE then
    word, e.said = 'minute', now
  end
  e.last, e.count = now, e.count + tonumber(noted[i + 2])
  redis.call('HSET', incidents, kind, cjson.encode(e))
  tell(kind, word, e)
end
return told
