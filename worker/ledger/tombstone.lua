-- @include ledger/digests
-- What is left of a record when its code is accepted: what de-duplication and support need, in a
-- hash that Redis packs. A hash that was large once stays large, so the record is written anew.

-- `accepted`: now, token, attempt, digest, number, voice_id, reply_code.
local function leave_tombstone(record, version, accepted, ttl_seconds)
  local r = read(record, 'v', 'digest', 'number', 'mobile', 'first_seen', 'expires_at', 'attempt',
    'ambiguous_total', 'replays', 'act')
  -- Version 0.1.0 made its digests without a key.
  local is_keyed = r.digest and string.find(r.digest, '.', 1, true)
  local kept = {
    v = math.max(number(r.v), tonumber(version)),
    state = 'accepted',
    digest = is_keyed and r.digest or first_digest(accepted.digest),
    number = r.number or accepted.number,
    mobile = masked(r.mobile or ''),
    voice_id = accepted.voice_id,
    reply_code = accepted.reply_code,
    token = accepted.token,
    accepted_at = stamp(accepted.now),
    first_seen = r.first_seen or '',
    expires_at = r.expires_at or '',
    attempt = r.attempt or accepted.attempt,
    calls = 1,
    ambiguous_total = r.ambiguous_total or '',
    replays = r.replays or '',
    act = r.act or '', -- of a replay, which may run twice
  }
  local fields = {}
  for name, value in pairs(kept) do
    if value ~= '' then
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
  end
  redis.call('DEL', record)
  redis.call('HSET', record, unpack(fields))
  redis.call('PEXPIRE', record, math.floor(ttl_seconds * 1000))
end
