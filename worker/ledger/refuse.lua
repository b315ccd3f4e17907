-- @include ledger/dead_letters
-- refuse: make a dead letter of a message that cannot be called.
-- KEYS  1 record under the producer's key  2 under the message's own id  3 under its digest
--       4 due  5 expiry  6 dead
-- Returns {'new', key}, or {'known', key} if this message was refused before.
-- It takes the first free key of the three, so it never touches another code's record.
local clock_offset = ARGV[1]
local version = ARGV[2]
local key = ARGV[3]
local own_id = ARGV[4]
local digest_key = ARGV[5]
local digest = ARGV[6] -- of the arguments, one under each key
local reason = ARGV[7]
local detail = ARGV[8] -- one sentence
local mobile = ARGV[9] -- or ''
local raw = ARGV[10] -- the arguments as they came
local task_id = ARGV[11]
local number_digest = ARGV[12] -- or ''

local due, expiry, dead = KEYS[4], KEYS[5], KEYS[6]
local now = clock(clock_offset)

for i, candidate in ipairs({ key, own_id, digest_key }) do
  local record = KEYS[i]
  local known = redis.call('HGET', record, 'digest')
  if known and string.find(' ' .. digest .. ' ', ' ' .. known .. ' ', 1, true) then
    return { 'known', candidate }
  end
  if not known then
    redis.call('HSET', record, 'v', version, 'digest', first_digest(digest), 'detail', detail,
      'mobile', mobile, 'number', number_digest, 'raw', raw,
      'task_id', task_id, 'first_seen', stamp(now), 'expires_at', '0', 'attempt', 0, 'scope', 'message')
    bury(record, candidate, due, expiry, dead, now, reason, '')
    return { 'new', candidate }
  end
end
return { 'known', digest_key }
