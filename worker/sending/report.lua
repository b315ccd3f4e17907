-- @include sending/state
-- report: a worker says how it is, and learns whether to fetch.
-- It reports each second, and at once when something has changed.
-- KEYS  1 sending
-- Returns {fetch '1' or '0', state, row, mends, since, generation, by, transition or '',
--          what this worker is to log ('', 'minute', 'move' or 'page'), parked, refused,
--          the row that blocks this worker's configuration or '',
--          '1' if this worker is the one to page for that,
--          when the incident that lasts began, or 0}.
local clock_offset = ARGV[1]
local version = ARGV[2] -- of records
local instance = ARGV[3] -- of the worker
local said = ARGV[4] -- what it says of itself, as JSON, without a time
local told = tonumber(ARGV[5]) -- epoch seconds of the latest move that it has logged, or 0
local paged = tonumber(ARGV[6]) -- epoch seconds of the latest move that it has paged for, or 0

local sending = KEYS[1]
local now = clock(clock_offset)
local worker = cjson.decode(said)
worker.at = now
redis.call('HSET', sending .. ':fleet', instance, cjson.encode(worker))
local s = sending_state(sending)
local seen = survey(sending, now)
local transition = review(sending, now, s, seen)
local block = block_of(sending, worker.config)

local fetch, pages = '1', '0'
if s.state == 'sending' then
  if block or worker.unfit or (worker.standby and seen.primary) then fetch = '0' end
  local configs, field = sending .. ':configs', worker.config .. ':paged'
  if block and (redis.call('HSETNX', configs, field, instance) == 1
    or redis.call('HGET', configs, field) == instance) then
    pages = '1'
  end
end

-- Each move has one line. The first worker to report afterwards logs it, and says so in its next
-- report. Where that does not come within ten seconds, another one logs it.
local r = read(sending, 'by', 'parked', 'refused', 'told', 'paged', 'row')
local since = number(s.since)
local function known(field, moment)
  -- After a fail-over to a server whose clock is behind, what was known lies in the future.
  local before = number(r[field]) <= since and number(r[field]) or 0
  if moment <= before or moment > since then return before end
  redis.call('HSET', sending, field, stamp(moment))
  return moment
end
told, paged = known('told', told), known('paged', paged)

local tell = ''
if told < since then
  local teller = sending .. ':teller'
  if redis.call('SET', teller, instance, 'NX', 'EX', 10) or redis.call('GET', teller) == instance then
    tell = s.state == 'stopped' and paged < number(s.incident) and 'page' or 'move'
  end
elseif s.state ~= 'sending' and redis.call('SET', sending .. ':told', instance, 'NX', 'EX', 60) then
  tell = 'minute'
end
return { fetch, s.state, r.row or '', s.mends or '', s.since or '', number(s.generation), r.by or '',
  transition or '', tell, number(r.parked), number(r.refused),
  block and block.row or '', pages,
  s.state == 'sending' and '0' or stamp(number(s.incident)) }
