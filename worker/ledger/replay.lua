-- replay: put a dead letter back, to be called now, with a fresh budget.
-- KEYS  1 record  2 due  3 expiry  4 dead  5 audit
-- ARGV  1 clock offset  2 version  3 key  4 token of this replay  5 operator  6 '1' to replay one whose phone may have rung  7 seconds of new life, or ''
-- Returns {'replayed'}, or why not: {'missing'}, {'not_dead', state}, {'expired'}, {'ambiguous'}, {'unsendable'}, {'newer'}.
-- Executed twice with one token it answers the same.
local record, due, expiry, dead, audit = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local key, token = ARGV[3], ARGV[4]
local now = clock(ARGV[1])
local r = read(record, 'v', 'state', 'token', 'mobile', 'code', 'attempt', 'expires_at', 'ambiguous_total', 'reason', 'row')
if not r.state then return { 'missing' } end
if tonumber(r.v) > tonumber(ARGV[2]) then return { 'newer' } end
if r.token == token then return { 'replayed' } end
if r.state ~= 'dead' then return { 'not_dead', r.state } end
if not r.code or r.code == '' then return { 'unsendable' } end
local expires_at = ARGV[7] ~= '' and now + tonumber(ARGV[7]) or number(r.expires_at)
if expires_at <= now then return { 'expired' } end
if number(r.ambiguous_total) > 0 and ARGV[6] ~= '1' then return { 'ambiguous' } end

unindex(record, key, dead)
redis.call('PERSIST', record)
redis.call('HSET', record, 'state', 'waiting', 'until', stamp(now), 'token', token, 'life', r.attempt, 'ambiguous', 0, 'deaths', 0, 'expires_at', stamp(expires_at))
redis.call('HDEL', record, 'ambiguous_from', 'spent', 'died_at', 'reason')
redis.call('HINCRBY', record, 'replays', 1)
redis.call('ZADD', due, stamp(now), key)
redis.call('ZADD', expiry, stamp(expires_at), key)
redis.call('XADD', audit, '*', 'action', 'replay', 'key', key, 'operator', ARGV[5], 'reason', r.reason, 'row', r.row or '')
return { 'replayed' }
