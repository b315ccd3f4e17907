-- @include ledger/dead_letters
-- upkeep: bury what has expired, and hint what is due. Nothing leaves `due` here save what is buried or has no record.
-- KEYS  1 due  2 expiry  3 dead  4 queue  5 list of hints (the queue itself where the worker reads nothing else)
-- ARGV  1 clock offset  2 version  3 token of this run  4 prefix of records  5 hold seconds  6 how many to bury at the most
--       7 seconds by which a lease that is over counts as alive  8 task of a hint  9 length of the list of hints from which on nothing is hinted  10 how many to hint at the most
-- Returns {hinted, {buried key, reason, mobile, task id, ...}, {key without a record, ...}, 1 where more is left to bury now}.
local due, expiry, dead, queue, hints = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local version, token, prefix, hold, batch, lenience = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local now = clock(ARGV[1])
local buried, missing = {}, {}

local function in_call(r)
  return r.state == 'calling' and now < number(r.lease_until) + lenience
end

local function forget(key)
  redis.call('ZREM', due, key)
  redis.call('ZREM', expiry, key)
  missing[#missing + 1] = key
end

-- The expired ones first, and without a hint: a queue that is full must not keep them waiting.
local expired = redis.call('ZRANGEBYSCORE', expiry, '-inf', stamp(now), 'LIMIT', 0, batch)
for _, key in ipairs(expired) do
  local record = prefix .. key
  local r = read(record, 'v', 'state', 'lease_until', 'attempt', 'ambiguous', 'ambiguous_from', 'mobile', 'task_id')
  if not r.state then
    forget(key)
  elseif in_call(r) or tonumber(r.v) > tonumber(version) then
    redis.call('ZADD', expiry, stamp(math.max(number(r.lease_until) + lenience, now + 1)), key)
  else
    if r.state == 'calling' then count_death(record, r) end
    local reason = number(r.ambiguous) > 0 and 'ambiguous' or 'expired'
    bury(record, key, due, expiry, dead, now, reason, token)
    for _, value in ipairs({ key, reason, r.mobile or '', r.task_id or '' }) do buried[#buried + 1] = value end
  end
end

-- A hint is a message in kombu's format, with a plain body that holds the key and nothing else. Keys need no escaping.
local HINT = '{"body":"[[\\"%s\\"],{},{}]","content-encoding":"utf-8","content-type":"application/json",'
  .. '"headers":{"lang":"py","task":"%s","id":"%s","root_id":"%s","parent_id":null,"group":null,"argsrepr":"","kwargsrepr":"","v":%s},'
  .. '"properties":{"correlation_id":"%s","reply_to":"","delivery_mode":2,"delivery_info":{"exchange":"","routing_key":"%s"},'
  .. '"priority":0,"delivery_tag":"%s"}}'

local hinted = 0
local room = math.max(0, math.min(tonumber(ARGV[10]), tonumber(ARGV[9]) - redis.call('LLEN', hints)))
local ready = room > 0 and redis.call('ZRANGEBYSCORE', due, '-inf', stamp(now), 'LIMIT', 0, room) or {}
for i, key in ipairs(ready) do
  local r = read(prefix .. key, 'state', 'lease_until')
  if not r.state then
    forget(key)
  elseif in_call(r) then
    redis.call('ZADD', due, stamp(number(r.lease_until) + lenience), key)
  else
    local id = 'hint-' .. token .. '-' .. i
    redis.call('ZADD', due, stamp(now + hold), key)
    redis.call('LPUSH', hints, string.format(HINT, key, ARGV[8], id, id, version, id, queue, id))
    hinted = hinted + 1
  end
end
-- Workers that have nothing to do wait for the queue alone: one hint there wakes them for the others, also for those that a
-- worker left behind when it died.
if hints ~= queue and redis.call('EXISTS', queue) == 0 and redis.call('EXISTS', hints) == 1 then redis.call('RPOPLPUSH', hints, queue) end
return { hinted, buried, missing, #expired == batch and 1 or 0 }
