-- @include failure_queue/entries
-- adopt: give dead letters of version 0.1.0 digests with a key, in place of what they had.
-- KEYS  1 dead
-- Returns how many were adopted.
local clock_offset = ARGV[1]
local version = tonumber(ARGV[2])
local record_prefix = ARGV[3]
local found = { unpack(ARGV, 4) } -- each key, and behind it the digests of its number and its content

local dead = KEYS[1]
local adopted = 0
for i = 1, #found, 3 do
  local key, number_digest, digest = found[i], found[i + 1], found[i + 2]
  local record = record_prefix .. key
  local r = read(record, 'v', 'state')
  if r.state == 'dead' and number(r.v) < version and redis.call('ZSCORE', dead, key) then
    count_number(record, dead, -1)
    redis.call('HSET', record, 'number', number_digest, 'digest', digest, 'v', version)
    count_number(record, dead, 1)
    hold(record, key, dead)
    adopted = adopted + 1
  end
end
return adopted
