-- @include sending/state
-- command: a person holds or resumes sending, or a worker unblocks its configuration.
-- KEYS  1 sending
-- Returns {transition or '', state}. The transition is 'unblocked' if the fleet sends already and a
-- person's word lets refused configurations try again.
local clock_offset = ARGV[1]
local version = ARGV[2] -- of records
local command = ARGV[3] -- 'hold', 'resume' or 'unblock'
local who = ARGV[4]
local note = ARGV[5]
local config = ARGV[6] -- to unblock
local row = ARGV[7] -- that must have blocked it
local purse = ARGV[8] -- prefix of the counters
local token = ARGV[9] -- of this command: repeated, it gives the same answer

local sending = KEYS[1]
local now = clock(clock_offset)
local s = sending_state(sending)
local done = redis.call('HGET', sending, 'command') or ''
if string.find(done, token .. ' ', 1, true) == 1 then
  return { string.sub(done, #token + 2), s.state }
end
local transition = ''
if command == 'hold' then
  if s.state ~= 'held' then transition = move(sending, now, s, 'held', who, note) end
elseif command == 'resume' then
  for _, name in ipairs(redis.call('HKEYS', sending .. ':configs')) do
    if not string.find(name, ':', 1, true) then
      redis.call('HDEL', sending .. ':configs', name)
      transition = 'unblocked'
    end
  end
  if s.state ~= 'sending' then
    if s.row == 'spending_cap' then redis.call('DEL', purse .. 'hour', purse .. 'day') end
    s.failures, s.forced = 0, '1'
    transition = move(sending, now, s, 'trial', who, note)
  elseif transition ~= '' then
    write_audit(sending, s, transition, who, note)
  end
elseif command == 'unblock' then
  local block = redis.call('HGET', sending .. ':configs', config)
  if block and cjson.decode(block).row == row then
    redis.call('HDEL', sending .. ':configs', config)
    transition = review(sending, now, s, survey(sending, now)) or ''
  end
end
if transition ~= '' then redis.call('HSET', sending, 'command', token .. ' ' .. transition) end
return { transition, s.state }
