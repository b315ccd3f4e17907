-- @include failure_queue/entries
-- inspect: what a replay of each of these dead letters would meet now. Reads only.
-- KEYS  1 dead
-- Returns one status a key: sendable, or why not: missing, not_dead, expired, superseded,
-- ambiguous, unsendable, retired, newer.
local clock_offset = ARGV[1]
local version = tonumber(ARGV[2])
local record_prefix = ARGV[3]
local new_life_seconds = tonumber(ARGV[4]) -- '' keeps each code's own life
local allow_ambiguous = ARGV[5] -- '1' or '0'
local allow_superseded = ARGV[6] -- '1' or '0'
local chosen = { unpack(ARGV, 7) } -- keys of dead letters

local dead = KEYS[1]
local now, statuses = clock(clock_offset), {}
for _, key in ipairs(chosen) do
  statuses[#statuses + 1] = (verdict(record_prefix .. key, key, dead, now, version, new_life_seconds,
    allow_ambiguous == '1', allow_superseded == '1'))
end
return statuses
