-- @include failure_queue/entries
-- restore: bring one dead letter back from a file, as it was, at the time of its death.
-- KEYS  1 record  2 dead  3 audit
-- Returns restored, or exists if the key is known: what Redis holds is newer.
-- Executed twice with one run, it gives the same answer.
local clock_offset = ARGV[1]
local version = ARGV[2]
local key = ARGV[3]
local run = ARGV[4]
local operator = ARGV[5]
local audit_entries = ARGV[6]
local fields = { unpack(ARGV, 7) } -- each field's name, and behind it its value

local record, dead, audit = KEYS[1], KEYS[2], KEYS[3]
local r = read(record, 'state', 'act')
if r.state then return r.act == run and 'restored' or 'exists' end
redis.call('HSET', record, unpack(fields))
redis.call('HSET', record, 'state', 'dead', 'act', run)
redis.call('HDEL', record, 'discarded_at')
r = read(record, 'died_at', 'reason', 'row')
index(record, key, dead, number(r.died_at))
audit_line(audit, audit_entries, 'import', key, operator, run, r)
return 'restored'
