-- @include failure_queue/entries
-- inspect: what a replay of each of these dead letters would meet now. Reads only.
-- KEYS  1 dead
-- ARGV  1 clock offset  2 version  3 prefix of records  4 seconds of new life, or ''  5 '1' to allow those that may have rung
--       6 '1' to allow superseded ones  7... keys
-- Returns one word a key: sendable, expired, superseded, ambiguous, unsendable, not_dead, missing, newer.
local now = clock(ARGV[1])
local life = ARGV[4] ~= '' and tonumber(ARGV[4]) or nil
local words = {}
for i = 7, #ARGV do
  words[#words + 1] = (verdict(ARGV[3] .. ARGV[i], ARGV[i], KEYS[1], now, ARGV[2], life, ARGV[5] == '1', ARGV[6] == '1'))
end
return words
