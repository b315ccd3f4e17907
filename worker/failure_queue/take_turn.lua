-- take turn: admit one worker to the next round of retention.
-- KEYS  1 lock
-- Returns 1 if it is this worker's turn, else 0.
-- Its first write frees memory; Redis then allows the rest, even when it is full:
-- retention is what makes room.
local clock_offset = ARGV[1]
local version = ARGV[2]
local operator = ARGV[3]
local lock_ms = ARGV[4]

local lock = KEYS[1]
if redis.call('EXISTS', lock) == 1 then return 0 end
redis.call('DEL', lock)
redis.call('SET', lock, operator, 'PX', lock_ms)
return 1
