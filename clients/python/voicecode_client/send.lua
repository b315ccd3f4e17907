-- send: put one code on the queue, unless its key is known or nobody can be called.
-- KEYS  1 queue  2 mark of this key
-- Returns {'sent', expires_at}; {'known', state, reason}; {'conflict'}; {'stopped', row, seconds or ''};
--      {'clock', epoch seconds} if the sender's clock is off: send again with Redis' time.
-- The records are no KEYS: a web app's user may only read them, and EVAL asks for more.
-- Executed twice with one token, it gives the same answer.
local key = ARGV[1]
local token = ARGV[2]
local mobile = ARGV[3] -- or '' for a sealed pair
local code = ARGV[4]
local expires_at = ARGV[5]
local life_seconds = tonumber(ARGV[6])
local message = ARGV[7]

local r = redis.call('HMGET', '{voice_codes}:code:' .. key, 'v', 'state', 'reason', 'mobile', 'code')
local mark = redis.call('GET', KEYS[2])
if mark == token then return { 'sent', expires_at } end
if r[1] then
  local held = r[4] or ''
  if string.find(held, '*', 1, true) then
    mobile = string.sub(mobile, 1, 3) .. '****' .. string.sub(mobile, -4)
  end
  local is_other = (held ~= '' and held ~= mobile) or (r[5] and r[5] ~= '' and r[5] ~= code)
  if code ~= '' and is_other then return { 'conflict' } end
  return { 'known', r[2] or 'waiting', r[3] or '' }
end
if mark then return { 'known', 'queued', '' } end

local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1000000
local s = redis.call('HMGET', '{voice_codes}:sending', 'offer', 'row', 'since', 'mends', 'cap')
if s[1] == 'sms' then
  local left = ''
  if s[4] == 'time' then
    left = math.max(1, math.ceil((tonumber(s[3]) or now) + (tonumber(s[5]) or 0) - now))
  end
  return { 'stopped', s[2] or '', tostring(left) }
end
if math.abs(now + life_seconds - tonumber(expires_at)) > 2 then return { 'clock', string.format('%.3f', now) } end
redis.call('SET', KEYS[2], token, 'PX', math.ceil(life_seconds * 1000))
redis.call('LPUSH', KEYS[1], message)
return { 'sent', expires_at }
