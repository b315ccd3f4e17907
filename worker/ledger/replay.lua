-- replay: put a dead letter back, to be called now, with a fresh budget.
-- KEYS  1 record  2 due  3 expiry  4 dead  5 audit
-- ARGV  1 clock offset  2 version  3 key  4 token of this run  5 operator  6 '1' to replay one whose phone may have rung  7 seconds of new life, or ''
--       8 '1' to replay one though a newer code was asked for  9 audit lines to keep
-- Returns {'replayed'}, or why not: {'missing'}, {'not_dead', state}, {'expired'}, {'superseded'}, {'ambiguous'}, {'unsendable'}, {'newer'}.
-- Executed twice with one token it answers the same, whatever became of the code in between.
local record, due, expiry, dead, audit = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local key, token = ARGV[3], ARGV[4]
local now = clock(ARGV[1])
local life = ARGV[7] ~= '' and tonumber(ARGV[7]) or nil
local word, r = verdict(record, key, dead, now, ARGV[2], life, ARGV[6] == '1', ARGV[8] == '1')
if r.act == token then return { 'replayed' } end
if word ~= 'sendable' then return { word, r.state } end

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
return { 'replayed' }
