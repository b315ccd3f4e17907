-- @include store/prelude
-- What is left of a record when its person was erased or its code cancelled: enough for a late
-- duplicate of its message to be known, so that nobody is called for it.

-- @fates local function tell(dead, key, state, reason, row)
-- @fates   local fates = string.sub(dead, 1, -#'dead' - 1) .. 'fates'
-- @fates   redis.call('XADD', fates, 'MAXLEN', '~', FATES_KEPT, '*',
-- @fates     'n', redis.call('INCR', fates .. ':count'),
-- @fates     'key', key, 'state', state, 'reason', reason, 'row', row or '')
-- @fates end

local function leave_erased(record, now, state, keep_seconds)
  local r = read(record, 'v', 'token', 'calls')
  local left = redis.call('PTTL', record)
  redis.call('DEL', record)
  redis.call('HSET', record, 'v', r.v, 'state', state, 'token', r.token or '', 'erased_at', stamp(now))
  if state == 'accepted' then
    redis.call('HSET', record, 'calls', r.calls or 1)
  elseif state == 'cancelled' then
    redis.call('HSET', record, 'cancelled_at', stamp(now))
  else
    redis.call('HSET', record, 'reason', 'erased', 'discarded_at', stamp(now))
  end
  redis.call('PEXPIRE', record, left > 0 and left or math.floor(tonumber(keep_seconds) * 1000))
end
