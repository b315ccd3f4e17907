// Sign in with a code that is read out over the phone, with celery-node.
//
//     npm install && REDIS_URL=redis://127.0.0.1:6379/0 node app.js
'use strict';
const celery = require('celery-node');
const Redis = require('ioredis');
const { serve, statusOf } = require('../node-server.js');

const url = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379/0';
const client = celery.createClient(url, url, 'voice_codes'); // the queue's name: without it nobody is called
const task = client.createTask('send_voice_code');
const redis = new Redis(url, { commandTimeout: 2000, connectTimeout: 1000, maxRetriesPerRequest: 0 });
redis.on('error', error => console.error('redis:', error.message));

async function send({ mobile, code, key, expiresAt, purpose }) {
  // celery-node waits for Redis without an end: this question has one, and comes first.
  if (await redis.hget('{voice_codes}:sending', 'offer') === 'sms') {
    return { state: 'refused', offer: 'sms', ended: true };
  }
  task.applyAsync([mobile, code], { key, expires_at: expiresAt, purpose });
  return { state: 'queued', offer: 'voice', ended: false };
}

async function status({ key, expiresAt }) {
  return statusOf(await redis.hmget('{voice_codes}:code:' + key, 'state', 'reason'), expiresAt);
}

const server = serve({ send, status });
server.on('close', () => {
  redis.disconnect();
  client.disconnect();
});
if (require.main === module) server.listen(process.env.PORT ?? 8000, '127.0.0.1');
module.exports = { server };
