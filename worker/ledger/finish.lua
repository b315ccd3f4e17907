-- @include ledger/dead_letters
-- finish: record how an attempt ended.
-- KEYS  1 record  2 due  3 expiry  4 dead
-- Returns {'accepted'}, {'doubled', calls}, {'waiting'} or {'dead'};
--      {'done'} if this token has already finished;
--      {'appended'} if another attempt was accepted before;
--      {'fenced', state} if the claim was lost;
--      {'gone'} if there is no record: a failover lost it, and only the message can make it again.
-- Its first write frees memory; Redis then allows the rest, also when it is full.
local clock_offset = ARGV[1]
local version = ARGV[2]
local key = ARGV[3]
local token = ARGV[4] -- of the claim
local attempt = ARGV[5]
local outcome = ARGV[6] -- 'accepted', 'retry' or 'dead'
local attempt_json = ARGV[7] -- holds the token
local kind = ARGV[8] -- what the try spent: 'nothing', 'place', 'submission' or 'ring'
local delay_seconds = tonumber(ARGV[9]) -- of a retry
local reason = ARGV[10] -- of a dead letter
local row = ARGV[11]
local scope = ARGV[12]
local reply_code = ARGV[13] -- or ''
local reply_message = ARGV[14]
local voice_id = ARGV[15]
local spends = ARGV[16] -- row to count as spent, or ''
local accepted_ttl_seconds = tonumber(ARGV[17])
local digest = ARGV[18]

local record, due, expiry, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local now = clock(clock_offset)

redis.call('ZREM', due, '')

local entry = 'attempt:' .. attempt
local written = redis.call('HGET', record, entry)
if written and string.find(written, token, 1, true) then return { 'done' } end
local r = read(record, 'state', 'token', 'ambiguous_from', 'spent', 'streak')

-- An acceptance always counts: whatever was decided meanwhile, the phone is being called.
if outcome == 'accepted' then
  if r.state == 'dead' then unindex(record, key, dead) end
  redis.call('ZREM', due, key)
  redis.call('ZREM', expiry, key)
  redis.call('HSETNX', record, 'v', version)
  redis.call('HSETNX', record, 'digest', digest)
  redis.call('HSETNX', record, 'accepted_at', stamp(now))
  redis.call('HSETNX', record, 'voice_id', voice_id)
  redis.call('HSETNX', record, 'attempt', attempt)
  redis.call('HSET', record, 'state', 'accepted', entry, attempt_json, 'row', row, 'reply_code', reply_code,
    'reply_message', reply_message)
  redis.call('HDEL', record, 'code', 'lease_until', 'until', 'reason', 'died_at')
  redis.call('PEXPIRE', record, math.floor(accepted_ttl_seconds * 1000))
  local calls = redis.call('HINCRBY', record, 'calls', 1)
  if calls > 1 then return { 'doubled', calls } end
  return { 'accepted' }
end

if not r.state then return { 'gone' } end
redis.call('HSET', record, entry, attempt_json)
if r.state == 'accepted' then return { 'appended' } end
if r.state ~= 'calling' or r.token ~= token then return { 'fenced', r.state } end

redis.call('HSET', record, 'row', row, 'scope', scope, 'reply_code', reply_code,
  'reply_message', reply_message)
redis.call('HSET', record, 'streak', streak_after(r.streak, kind))
if kind == 'ring' then
  redis.call('HINCRBY', record, 'ambiguous', 1)
  redis.call('HINCRBY', record, 'ambiguous_total', 1)
  redis.call('HSETNX', record, 'ambiguous_from', attempt)
elseif r.ambiguous_from then
  -- Version 0.1.0 counts attempts from here on, and would bury a code that spent no further ring.
  redis.call('HINCRBY', record, 'ambiguous_from', 1)
end
if kind == 'nothing' or kind == 'place' then redis.call('HINCRBY', record, 'life', 1) end
if kind == 'place' then redis.call('HINCRBY', record, 'turned_away', 1) end
if spends ~= '' then redis.call('HSET', record, 'spent', (r.spent and r.spent .. ' ' or '') .. spends) end

if outcome == 'dead' then
  bury(record, key, due, expiry, dead, now, reason, token)
  return { 'dead' }
end
local moment = stamp(now + delay_seconds)
redis.call('HSET', record, 'state', 'waiting', 'until', moment)
redis.call('HDEL', record, 'lease_until')
redis.call('ZADD', due, moment, key)
return { 'waiting' }
