-- @include ledger/dead_letters
-- Included by the scripts that move messages: how `unacked` stores one,
-- and how one that cannot be read becomes a dead letter.

-- `unacked` holds ["message", "exchange", "routing key"] as kombu writes it.
-- The message comes out byte for byte as it went in.
local function stored_message(value)
  return string.match(value, '^%[(.*),%s*"[^"]*",%s*"[^"]*"%]$') or value
end

-- Makes a dead letter of raw bytes and returns its key: the message's own id if that can be read
-- and serve as a key, else a digest of the bytes. The same bytes twice are one dead letter.
-- `salt`: a secret that stands before the bytes.
local function bury_raw(prefix, salt, raw, due, expiry, dead, now, reason, detail, version, cap)
  local digest = redis.sha1hex(salt .. raw)
  local readable, message = pcall(cjson.decode, raw)
  local headers = readable and type(message) == 'table' and message.headers
  local id = type(headers) == 'table' and headers.id
  local key = 'raw:' .. digest
  local is_key = type(id) == 'string' and #id <= 128 and string.match(id, '^[%w_.:-]+$')
  if is_key and not string.match(id, string.rep('%d', 11)) then
    if redis.call('EXISTS', prefix .. id) == 0 then key = id end
  end
  local record = prefix .. key
  if redis.call('HGET', record, 'digest') ~= digest then
    -- A removal comes first: it needs no memory, and later writes then succeed on a full Redis.
    redis.call('ZREM', due, key)
    redis.call('HSET', record, 'v', version, 'digest', digest, 'detail', detail, 'mobile', '',
      'raw', string.sub(raw, 1, cap), 'raw_bytes', #raw, 'task_id', key, 'first_seen', stamp(now),
      'expires_at', '0', 'attempt', 0, 'scope', 'message')
    bury(record, key, due, expiry, dead, now, reason, '')
  end
  return key
end
