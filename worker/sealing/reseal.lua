-- @include store/prelude
-- reseal: put a record's pair under another key, if it is still the pair that the caller read.
-- KEYS  1 record
-- Returns 1 if it was replaced, else 0: it ended, or somebody else was first.
local clock_offset = ARGV[1]
local version = tonumber(ARGV[2])
local before = ARGV[3]
local after = ARGV[4]

local record = KEYS[1]
local r = read(record, 'v', 'sealed')
if r.sealed ~= before or number(r.v) > version then return 0 end
redis.call('HSET', record, 'sealed', after)
return 1
