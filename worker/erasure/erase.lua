-- @include failure_queue/entries
-- erase: take a person's number and code out of records, whatever their state.
-- KEYS  1 due  2 expiry  3 dead
-- Returns one status a key: erased; marked, where a call is under way and its end will erase it;
-- missing; newer.
local clock_offset = ARGV[1]
local version = tonumber(ARGV[2])
local record_prefix = ARGV[3]
local keep_seconds = ARGV[4] -- for which a late duplicate of the message is still recognised
local chosen = { unpack(ARGV, 5) } -- keys

local due, expiry, dead = KEYS[1], KEYS[2], KEYS[3]
local now, statuses = clock(clock_offset), {}
for _, key in ipairs(chosen) do
  local record = record_prefix .. key
  local r = read(record, 'v', 'state', 'erased_at', 'number', 'mobile', 'purpose')
  local status = 'erased'
  if not r.state then
    status = 'missing'
  elseif number(r.v) > version then
    status = 'newer'
  elseif r.state == 'calling' then
    redis.call('HSET', record, 'erase', keep_seconds)
    status = 'marked'
  elseif not r.erased_at then
    local due_of, expiry_of = sets_of(r.v, due, expiry)
    redis.call('ZREM', due_of, key)
    redis.call('ZREM', expiry_of, key)
    for _, name in ipairs(newest_names(dead, r)) do
      if redis.call('GET', name) == key then redis.call('DEL', name) end
    end
    if r.state == 'dead' then unindex(record, key, dead) end
    -- @fates local ended = r.state ~= 'waiting'
    -- @fates if not ended then tell(dead, key, 'dead', 'erased', '') end
    leave_erased(record, now, r.state == 'accepted' and 'accepted' or 'dead', keep_seconds)
  end
  statuses[#statuses + 1] = status
end
return statuses
