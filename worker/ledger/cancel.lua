-- @include ledger/erased
-- cancel: call a code no more.
-- KEYS  1 record  2 due  3 expiry  4 dead
-- Returns {state before}: 'waiting', and it is cancelled; 'none', and a tombstone awaits its code;
--      'calling', and that call goes on, but no other one follows;
--      'accepted', 'dead' or 'cancelled', and nothing is changed; 'newer'.
local clock_offset = ARGV[1]
local version = ARGV[2]
local key = ARGV[3]
local keep_seconds = ARGV[4] -- for which the code is still recognised

local record = KEYS[1]
local now = clock(clock_offset)
local r = read(record, 'v', 'state')
if r.v and tonumber(r.v) > tonumber(version) then return { 'newer' } end
if r.state == 'calling' then
  redis.call('HSETNX', record, 'cancel', keep_seconds)
elseif r.state == 'waiting' or not r.state then
  local due, expiry = sets_of(r.v, KEYS[2], KEYS[3])
  redis.call('ZREM', due, key)
  redis.call('ZREM', expiry, key)
  redis.call('HSET', record, 'v', r.v or version)
  leave_erased(record, now, 'cancelled', keep_seconds)
  -- @fates tell(KEYS[4], key, 'cancelled', '', '')
end
return { r.state or 'none' }
