-- @include ledger/dead_letters
-- Included by the scripts that move messages: how one is stored in `unacked`, and how one that cannot be read becomes a dead letter.

-- `unacked` holds ["message", "exchange", "routing key"] as kombu writes it; the message comes out byte for byte as it went in.
local function stored_message(value)
  return string.match(value, '^%[(.*),%s*"[^"]*",%s*"[^"]*"%]$') or value
end

-- Makes a dead letter of raw bytes, under the message's own id where that can be read and serve as a key; else under their digest.
-- Returns its key. The same bytes twice are one dead letter.
local function bury_raw(prefix, raw, due, expiry, dead, now, reason, detail, version, cap)
  local digest = redis.sha1hex(raw)
  local readable, message = pcall(cjson.decode, raw)
  local headers = readable and type(message) == 'table' and message.headers
  local id = type(headers) == 'table' and headers.id
  local key = 'raw:' .. digest
  if type(id) == 'string' and #id <= 128 and string.match(id, '^[%w_.:-]+$') and not string.match(id, '%d%d%d%d%d%d%d%d%d%d%d') then
    if redis.call('EXISTS', prefix .. id) == 0 then key = id end
  end
  local record = prefix .. key
  if redis.call('HGET', record, 'digest') ~= digest then
    -- A removal comes first: it needs no memory, and what follows it is then written even when Redis is full.
    redis.call('ZREM', due, key)
    redis.call('HSET', record, 'v', version, 'digest', digest, 'detail', detail, 'mobile', '', 'raw', string.sub(raw, 1, cap), 'raw_bytes', #raw,
      'task_id', key, 'first_seen', stamp(now), 'expires_at', '0', 'attempt', 0, 'scope', 'message')
    bury(record, key, due, expiry, dead, now, reason, '')
  end
  return key
end
