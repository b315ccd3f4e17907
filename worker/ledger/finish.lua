-- @include ledger/dead_letters
-- @include ledger/numbers
-- @include ledger/tombstone
-- @include sending/state
-- finish: record how an attempt ended.
-- KEYS  1 record  2 due  3 expiry  4 dead  5 sending
-- Returns {'accepted'}, {'doubled'}, {'waiting'} or {'dead'};
--      {'cancelled'} if that was asked for meanwhile, and the code is called no more;
--      {'done'} if this token has already finished;
--      {'appended'} if another attempt was accepted before;
--      {'fenced'} if the claim was lost;
--      {'gone'} if there is no record: a failover lost it, and only the message can make it again.
--      A last element, if any, is what this result did to the fleet:
--      a new state, 'widened' or 'blocked'.
-- Its first write frees memory; Redis then allows the rest, even when it is full.
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
local number_digest = ARGV[19]
local blocks_seconds = tonumber(ARGV[20]) -- for which the number is not called any more
local per_day = tonumber(ARGV[21]) -- calls of one number; 0: not counted
local has_purse = ARGV[22] -- '1' or '0'
local config = ARGV[23] -- of the worker
local effect = ARGV[24] -- on the fleet: 'none', 'good', 'noted', 'neutral', 'fails' or 'blocks'
local why = ARGV[25] -- what the scripts keep of the row, as JSON
local refused_host = ARGV[26] -- the worker's, if the gateway refused it, or ''
local counted = ARGV[27] -- what the metrics count of this try: `counters.py`

local record, due, expiry, dead, sending = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local prefix = string.sub(sending, 1, -#'sending' - 1)
local numbers, purse, metrics = prefix .. 'number:', prefix .. 'purse:', prefix .. 'metrics'
local now = clock(clock_offset)

redis.call('ZREM', due, '')

local entry = 'attempt:' .. attempt
local r = read(record, 'v', 'state', 'token', 'ambiguous_from', 'spent', 'streak', 'generation', 'life',
  'erase', 'cancel', entry)
due, expiry = sets_of(r.v, due, expiry)
if r[entry] and string.find(r[entry], token, 1, true) then return { 'done' } end
-- An accepted record has no attempts and no `life`: it has the tokens of those that were finished.
local tokens = r.state == 'accepted' and not r.life and r.token or ''
if string.find(' ' .. tokens .. ' ', ' ' .. token .. ' ', 1, true) then
  return { 'done' }
end

-- What the number, the purse and the fleet learn of this try.
if outcome == 'accepted' or kind == 'ring' then
  if per_day > 0 then count_call(numbers, number_digest) end
elseif has_purse == '1' then
  give_call_back(purse)
end
if outcome ~= 'accepted' and kind == 'nothing' then give_place_back(numbers, number_digest, token) end
if blocks_seconds > 0 then block_number(numbers, number_digest, now, row, blocks_seconds) end
local generation = r.token == token and number(r.generation) or -1
local news
if effect ~= 'none' then
  news = settle(sending, now, sending_state(sending), generation, token, config, effect, why)
end

-- An acceptance always counts: whatever was decided meanwhile, the phone is being called.
if outcome == 'accepted' then
  if r.state == 'dead' then unindex(record, key, dead) end
  redis.call('ZREM', due, key)
  redis.call('ZREM', expiry, key)
  if r.state == 'accepted' then
    redis.call('HSET', record, 'token', (r.token or '') .. ' ' .. token)
    redis.call('HINCRBY', record, 'calls', 1)
    redis.call('HINCRBY', metrics, 'doubled ' .. counted, 1)
    return { 'doubled', news }
  end
  leave_tombstone(record, version, { now = now, token = token, attempt = attempt, digest = digest,
    number = number_digest, voice_id = voice_id, reply_code = reply_code }, accepted_ttl_seconds)
  -- @fates tell(dead, key, 'accepted', '', row)
  if r.erase then leave_erased(record, now, 'accepted', r.erase) end
  redis.call('HINCRBY', metrics, (r.state == 'dead' and 'revived ' or 'accepted ') .. counted, 1)
  return { 'accepted', news }
end

redis.call('HINCRBY', metrics, 'tried ' .. counted, 1)
if not r.state then return { 'gone', news } end
if r.state == 'accepted' then
  redis.call('HSET', record, 'token', (r.token or '') .. ' ' .. token)
  return { 'appended', news }
end
redis.call('HSET', record, entry, attempt_json)
if r.state ~= 'calling' or r.token ~= token then return { 'fenced', news } end

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
if refused_host ~= '' then redis.call('HSET', record, 'refused_host', refused_host) end

if outcome == 'dead' or r.erase or r.cancel then
  bury(record, key, due, expiry, dead, now, reason, token)
  return { r.cancel and 'cancelled' or 'dead', news }
end
local moment = stamp(now + delay_seconds)
redis.call('HSET', record, 'state', 'waiting', 'until', moment)
redis.call('HDEL', record, 'lease_until')
redis.call('ZADD', due, moment, key)
return { 'waiting', news }
