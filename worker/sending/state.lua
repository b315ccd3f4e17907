-- @include store/prelude
-- Whether the fleet sends: one record, whose transitions are made here and nowhere else.
--   1. sending -> stopped  Every live worker is unfit or blocked, or the purse is empty.
--   2. stopped -> trial    A worker is able again, a person resumes, or the stop's time is over.
--   3. trial -> sending    One call was accepted, then ten more; or a worker is able, and nobody
--                          asked for a call for five seconds.
--   4. trial -> stopped    What had stopped it is still there, or no worker is able.
--                          A trial that time or a person began (`forced`) needs no able worker:
--                          a try decides it, by any worker whose account no person must mend.
--   5. any -> held         A person holds. No timer and no reply ends that.
--   6. held -> trial       A person resumes.
-- Each transition raises `generation`; a result counts only in the generation of its claim.
-- A record that is gone means sending.
-- Beside the record `sending` there are
--   `:fleet`    worker -> what it last said
--   `:configs`  configuration -> why it is blocked
--               + `:accepted` -> when one of its calls was last accepted
--               + `:strikes` -> refusals since
--               + `:paged` -> the worker that has paged for its block
--   `:trial`    token -> end of its lease
--   `:told`     there for a minute after a log line about the stop
--   `:teller`   the worker that is to log the latest move

local LIVE_SECONDS = 6
local IDLE_TRIAL_SECONDS = 5
local NARROW, WIDE = 1, 10
local FORGET_FAILURES_SECONDS = 600

-- Returns the seconds since a moment. After a fail-over to a server whose clock is behind, it may
-- lie in the future; then it counts as long ago.
local function age(now, moment)
  local seconds = now - number(moment)
  return seconds < -1 and math.huge or seconds
end

local function sending_state(sending)
  -- Most of the time it sends, and a claim needs no more than this.
  local s = read(sending, 'state', 'generation', 'since', 'failures', 'blocks')
  if s.state and s.state ~= 'sending' then
    s = read(sending, 'state', 'generation', 'since', 'failures', 'blocks', 'row', 'mends', 'cap', 'probe',
      'scope', 'width', 'accepted', 'forced', 'active_at', 'returned', 'incident')
  end
  s.state = s.state or 'sending'
  return s
end

local function write_audit(sending, s, action, by, note)
  redis.call('XADD', string.gsub(sending, 'sending$', 'audit'), 'MAXLEN', '~', 1000000, '*',
    'action', action, 'key', '', 'operator', by or '', 'run', s.generation or '0', 'reason', note or '',
    'row', s.row or '')
end

-- Moves to another state and returns its name. `report` sees to its line in the log.
local function move(sending, now, s, state, by, note)
  s.generation = redis.call('HINCRBY', sending, 'generation', 1)
  -- Two moves never have one moment: it tells which of them the log has spoken of.
  s.state, s.since = state, stamp(s.since == stamp(now) and now + 0.001 or now)
  -- An incident begins with a stop and lasts until sending is resumed; it has one page.
  if state == 'sending' then s.incident = '' end
  if state == 'stopped' and number(s.incident) == 0 then s.incident = s.since end
  redis.call('HSET', sending, 'state', state, 'since', s.since, 'by', by or '', 'note', note or '',
    'row', s.row or '', 'mends', s.mends or '', 'cap', s.cap or '', 'scope', s.scope or '',
    'probe', s.probe or '',
    'failures', number(s.failures), 'forced', s.forced or '', 'width', NARROW, 'accepted', 0,
    'active_at', s.since, 'returned', 0, 'incident', s.incident or '',
    'offer', (state == 'stopped' or state == 'held') and 'sms' or 'voice')
  redis.call('DEL', sending .. ':trial')
  redis.call('DEL', sending .. ':teller')
  redis.call('SET', sending .. ':told', 'move', 'EX', 60)
  write_audit(sending, s, state, by, note)
  return state
end

-- `why`: {row, mends, cap seconds, scope, probe seconds}.
local function stop(sending, now, s, why)
  if s.state == 'trial' then
    s.failures = number(s.failures) + 1
  else
    if age(now, s.since) > FORGET_FAILURES_SECONDS then s.failures = 0 end
    redis.call('HSET', sending, 'stopped_at', stamp(now), 'parked', 0, 'refused', 0)
  end
  s.row, s.mends, s.cap, s.scope, s.forced = why.row, why.mends, why.cap, why.scope, ''
  s.probe = why.probe
  return move(sending, now, s, 'stopped', 'workers')
end

local function block_of(sending, config)
  local block = redis.call('HGET', sending .. ':configs', config)
  return block and cjson.decode(block) or nil
end

-- Returns what keeps a worker from sending, or nil: of two reasons the one that lasts longer.
local function why_not(block, unfit)
  if block and (not unfit or block.mends == 'person') then return block end
  return unfit
end

-- What the live workers say, as a table:
--   live       how many there are
--   able       whether one of them can send
--   open       whether one of them may try, because no person must mend its account
--   primary    whether one that is no standby can send
--   elsewhere  whether one on another host than `host` can
--   why        what keeps most of the others from sending. What time can mend in one of them goes
--              first: its codes wait for it, and need not die of what a person must mend in others.
local function survey(sending, now, host)
  local all, seen = redis.call('HGETALL', sending .. ':fleet'), { live = 0, able = false, primary = false }
  local counts = {}
  for i = 1, #all, 2 do
    local known, worker = pcall(cjson.decode, all[i + 1])
    if known and age(now, worker.at) < LIVE_SECONDS then
      seen.live = seen.live + 1
      local block = block_of(sending, worker.config)
      local why = why_not(block, worker.unfit)
      seen.open = seen.open or not (block and block.mends == 'person')
      if why then
        counts[why.row] = (counts[why.row] or (why.mends == 'time' and 1000 or 0)) + 1
        if not seen.why or counts[why.row] > counts[seen.why.row] then seen.why = why end
      else
        seen.able = true
        if not worker.standby then seen.primary = true end
        if worker.host ~= host then seen.elsewhere = true end
      end
    elseif not known or age(now, worker.at) > 86400 then
      redis.call('HDEL', sending .. ':fleet', all[i])
    end
  end
  return seen
end

local function tries_on_trial(sending, now)
  return redis.call('ZCOUNT', sending .. ':trial', '(' .. stamp(now), '+inf')
end

-- Makes the transition that the fleet's condition asks for, and returns the new state or nil.
local function review(sending, now, s, seen)
  if seen.live == 0 then return nil end
  local forced = s.state == 'trial' and s.forced == '1'
  if (s.state == 'sending' or s.state == 'trial') and not (seen.able or (forced and seen.open)) then
    return stop(sending, now, s, seen.why)
  end
  if s.state == 'trial' and seen.able then
    if forced and number(s.accepted) > 0 then redis.call('HSET', sending, 'forced', '') end
    local is_idle = age(now, s.active_at) > IDLE_TRIAL_SECONDS and tries_on_trial(sending, now) == 0
    if is_idle then return move(sending, now, s, 'sending', 'workers') end
  end
  if s.state ~= 'stopped' then return nil end
  -- Each failed trial delays the next: an answered balance query alone must not cause hammering.
  local failures = number(s.failures)
  local probe = s.probe and number(s.probe) or 15
  local pause = math.min(4 * probe, probe / 5 * 2 ^ math.min(failures, 5))
  if failures == 0 then pause = 0 end
  if s.row ~= 'spending_cap' and seen.able and age(now, s.since) >= pause then
    s.forced = ''
    return move(sending, now, s, 'trial', 'workers')
  end
  local cap = number(s.cap)
  if s.row == '4051' then cap = math.min(3600, cap * 2 ^ math.min(failures, 5)) end
  if s.mends == 'time' and age(now, s.since) >= cap then
    s.forced = '1'
    return move(sending, now, s, 'trial', 'workers')
  end
  return nil
end

-- What this worker may do with a code now: 'call'; 'trial', if there is a place; 'park';
-- 'refuse', because a person must act; or 'elsewhere', because another worker can send.
local function gate(sending, s, config, fit)
  if s.state == 'stopped' and s.mends == 'person' then return 'refuse' end
  if s.state == 'stopped' or s.state == 'held' then return 'park' end
  local block = s.blocks and block_of(sending, config)
  local able = fit and not block
  if s.state == 'sending' then return able and 'call' or 'elsewhere' end
  local may_try = s.forced == '1' and not (block and block.mends == 'person')
  return (able or may_try) and 'trial' or 'park'
end

local function enter_trial(sending, now, s, token, lease_until)
  local trial = sending .. ':trial'
  redis.call('ZREMRANGEBYSCORE', trial, '-inf', stamp(now))
  redis.call('HSET', sending, 'active_at', stamp(now))
  if redis.call('ZCARD', trial) >= number(s.width) then return false end
  redis.call('ZADD', trial, lease_until, token)
  return true
end

-- Blocks the configuration whose account was refused, and returns whether it was not blocked yet.
-- One that was accepted within the last minute is blocked at its second refusal.
local function block(sending, now, config, why)
  local configs = sending .. ':configs'
  local accepted_at = number(redis.call('HGET', configs, config .. ':accepted'))
  if age(now, accepted_at) < 60 and redis.call('HINCRBY', configs, config .. ':strikes', 1) < 2 then
    return false
  end
  why.since = now
  redis.call('HSET', sending, 'blocks', '1')
  local is_new = redis.call('HSET', configs, config, cjson.encode(why)) == 1
  if is_new then redis.call('HDEL', configs, config .. ':paged') end
  return is_new
end

local function note_accepted(sending, now, config)
  local configs = sending .. ':configs'
  redis.call('HSET', configs, config .. ':accepted', stamp(now))
  redis.call('HDEL', configs, config .. ':strikes')
end

-- Takes note of a result in its own generation, and returns the new state, 'blocked', or nil.
-- `effect`: 'good', 'noted' (good, and worth a note of the moment), 'neutral', 'fails' or 'blocks'.
-- `why`: of the last two, as JSON.
local function settle(sending, now, s, generation, token, config, effect, why)
  if config == '' then
    -- A worker outside a fleet: only an empty purse stops it, and any try ends its trial.
    if s.state == 'trial' then return move(sending, now, s, 'sending', 'workers') end
    return nil
  end
  if effect == 'noted' then
    note_accepted(sending, now, config)
    effect = 'good'
  end
  if s.state == 'trial' then redis.call('ZREM', sending .. ':trial', token) end
  if generation ~= number(s.generation) or s.state == 'held' then return nil end
  local news
  if effect == 'blocks' or effect == 'fails' then why = cjson.decode(why) end
  if effect == 'blocks' and block(sending, now, config, why) then news = 'blocked' end
  if s.state == 'trial' then
    redis.call('HSET', sending, 'active_at', stamp(now))
    if effect == 'good' then
      -- A forced trial has shown that this configuration works.
      redis.call('HDEL', sending .. ':configs', config)
      local accepted = redis.call('HINCRBY', sending, 'accepted', 1)
      if accepted == 1 then
        redis.call('HSET', sending, 'width', WIDE)
        -- A worker that was unfit says in its next report that it no longer is.
        if survey(sending, now).able then redis.call('HSET', sending, 'forced', '') end
      end
      if accepted > WIDE then return move(sending, now, s, 'sending', 'workers') end
      return accepted == 1 and 'widened' or nil
    elseif effect == 'fails' and why.mends == 'person' then
      -- A refused host: its worker says so in a moment, and the others go on without it.
      redis.call('HSET', sending, 'forced', '')
    elseif effect == 'fails' and (why.row == s.row or s.forced == '1') then
      -- A different failure may be chance; a worker that meets many becomes unfit.
      return stop(sending, now, s, why)
    elseif effect == 'blocks' and redis.call('HEXISTS', sending .. ':configs', config) == 1 then
      local seen = survey(sending, now)
      if not seen.able then return stop(sending, now, s, seen.why or why) end
      -- The others go on without this configuration.
      redis.call('HSET', sending, 'forced', '')
    end
  elseif s.state == 'sending' and news then
    local seen = survey(sending, now)
    if seen.live > 0 and not seen.able then return stop(sending, now, s, seen.why) end
  end
  return news
end
