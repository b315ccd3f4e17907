-- @include ledger/digests
-- reseal: put a record's number and code under another key, if they are still as the caller read
-- them.
-- KEYS  1 record
-- Returns 1 if it was done, else 0: it ended, or somebody else was first.
local clock_offset = ARGV[1]
local version = tonumber(ARGV[2])
local before = ARGV[3] -- the sealed pair, or '' where number and code were in clear
local code = ARGV[4] -- in clear, else ''
local after = ARGV[5]

local record = KEYS[1]
local r = read(record, 'v', 'sealed', 'mobile', 'code', 'number')
if number(r.v) > version or (r.sealed or '') ~= before or (r.code or '') ~= code then return 0 end
-- Version 0.1.0 counts numbers by their digits, until retention has given the record a digest.
if not r.number then return 0 end
redis.call('HSET', record, 'sealed', after, 'mobile', masked(r.mobile or ''), 'code', '')
return 1
