-- @include ledger/dead_letters
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
