-- @include failure_queue/entries
-- replay: put dead letters back, to be called now, each with a fresh budget.
-- KEYS  1 due  2 expiry  3 dead  4 audit
-- ARGV  1 clock offset  2 version  3 prefix of records  4 token of this run  5 operator  6 seconds of new life, or ''
--       7 '1' to replay those whose phone may have rung  8 '1' to replay those for which a newer code was asked for  9 audit lines to keep
--       10... keys
-- Returns one word a key: replayed, or why not: missing, not_dead, expired, superseded, ambiguous, unsendable, newer.
-- Executed twice with one token it answers the same, whatever became of the codes in between.
local due, expiry, dead, audit = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local now, token, words = clock(ARGV[1]), ARGV[4], {}
local life = ARGV[6] ~= '' and tonumber(ARGV[6]) or nil

local function put_back(record, key, r)
  local expires_at = life and now + life or number(r.expires_at)
  unindex(record, key, dead)
  redis.call('PERSIST', record)
  redis.call('HSET', record, 'state', 'waiting', 'until', stamp(now), 'token', token, 'act', token, 'life', r.attempt, 'ambiguous', 0, 'deaths', 0,
    'expires_at', stamp(expires_at))
  redis.call('HDEL', record, 'ambiguous_from', 'spent', 'died_at', 'reason')
  redis.call('HINCRBY', record, 'replays', 1)
  redis.call('ZADD', due, stamp(now), key)
  redis.call('ZADD', expiry, stamp(expires_at), key)
  audit_line(audit, ARGV[9], 'replay', key, ARGV[5], token, r)
end

for i = 10, #ARGV do
  local key = ARGV[i]
  local record = ARGV[3] .. key
  local word, r = verdict(record, key, dead, now, ARGV[2], life, ARGV[7] == '1', ARGV[8] == '1')
  if r.act == token then
    word = 'replayed'
  elseif word == 'sendable' then
    put_back(record, key, r)
    word = 'replayed'
  end
  words[#words + 1] = word
end
return words
