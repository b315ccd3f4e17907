// Sign in with a code that is read out over the phone, with ioredis alone.
//
//     npm install && REDIS_URL=redis://127.0.0.1:6379/0 node app.js
'use strict';
const { randomUUID } = require('node:crypto');
const Redis = require('ioredis');
const { serve, statusOf } = require('../node-server.js');

const redis = new Redis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379/0', {
  commandTimeout: 2000, // a frozen Redis holds no web request
  connectTimeout: 1000,
  maxRetriesPerRequest: 0,
  enableOfflineQueue: true,
});
redis.on('error', error => console.error('redis:', error.message));

// Celery's message, version 2, as docs/producing.md shows it.
function message(task, args, kwargs) {
  const id = randomUUID();
  const body = [args, kwargs, { callbacks: null, errbacks: null, chain: null, chord: null }];
  return JSON.stringify({
    body: Buffer.from(JSON.stringify(body)).toString('base64'),
    'content-encoding': 'utf-8',
    'content-type': 'application/json',
    headers: {
      lang: 'js', task, id, root_id: id, parent_id: null, group: null,
      argsrepr: '[redacted]', kwargsrepr: '[redacted]',
    },
    properties: {
      correlation_id: id, reply_to: '', delivery_mode: 2, priority: 0, body_encoding: 'base64',
      delivery_info: { exchange: '', routing_key: 'voice_codes' },
      delivery_tag: randomUUID(), // a new one for each push
    },
  });
}

async function send({ mobile, code, key, expiresAt, purpose }) {
  if (await redis.hget('{voice_codes}:sending', 'offer') === 'sms') {
    return { state: 'refused', offer: 'sms', ended: true };
  }
  await redis.lpush('voice_codes', message('send_voice_code', [mobile, code], { key, expires_at: expiresAt, purpose }));
  return { state: 'queued', offer: 'voice', ended: false };
}

async function status({ key, expiresAt }) {
  return statusOf(await redis.hmget('{voice_codes}:code:' + key, 'state', 'reason'), expiresAt);
}

const server = serve({ send, status });
server.on('close', () => redis.disconnect());
if (require.main === module) server.listen(process.env.PORT ?? 8000, '127.0.0.1');
module.exports = { server, message };
