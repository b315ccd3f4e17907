-- @include sending/state
-- report: a worker says how it is, and learns whether to fetch.
-- It reports each second, and at once when something has changed.
-- KEYS  1 sending
-- Returns {fetch '1' or '0', state, row, mends, since, generation, by, transition or '',
--          '1' if this worker is to log this minute's line, parked, refused,
--          '1' if this worker's configuration is blocked, the row that blocks it}.
local clock_offset = ARGV[1]
local version = ARGV[2] -- of records
local instance = ARGV[3] -- of the worker
local said = ARGV[4] -- what it says of itself, as JSON, without a time

local sending = KEYS[1]
local now = clock(clock_offset)
local worker = cjson.decode(said)
worker.at = now
redis.call('HSET', sending .. ':fleet', instance, cjson.encode(worker))
local s = sending_state(sending)
local seen = survey(sending, now)
local transition = review(sending, now, s, seen)
local why = why_not(sending, worker)
local block = redis.call('HGET', sending .. ':configs', worker.config)

local fetch = '1'
if s.state == 'sending' and (why or (worker.standby and seen.primary)) then fetch = '0' end

local tell = ''
if s.state ~= 'sending' and not transition
  and redis.call('SET', sending .. ':told', instance, 'NX', 'EX', 60) then
  tell = '1'
end
local r = read(sending, 'by', 'parked', 'refused')
return { fetch, s.state, s.row or '', s.mends or '', s.since or '', number(s.generation), r.by or '',
  transition or '', tell, number(r.parked), number(r.refused),
  block and '1' or '0', block and cjson.decode(block).row or '' }
