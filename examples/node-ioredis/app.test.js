// `REDIS_URL=... node --test`: needs a running voicecode with a simulated gateway.
'use strict';
const assert = require('node:assert');
const { after, before, test } = require('node:test');
const { server } = require('./app.js');

let address;
before(() => new Promise(resolve => server.listen(0, '127.0.0.1', resolve)).then(() => {
  address = `http://127.0.0.1:${server.address().port}`;
}));
after(() => { server.closeAllConnections(); server.close(); });

async function ask(path, body, cookie) {
  const headers = { 'Content-Type': 'application/json', Connection: 'close', ...(cookie && { cookie }) };
  const init = body ? { method: 'POST', body: JSON.stringify(body), headers } : { headers };
  const response = await fetch(address + path, init);
  return [await response.json(), response.headers.get('set-cookie')?.split(';')[0]];
}

async function ended(cookie) {
  const until = Date.now() + 30_000;
  for (;;) {
    const [answer] = await ask('/status', null, cookie);
    if (answer.ended || Date.now() > until) return answer;
    await new Promise(resolve => setTimeout(resolve, 50));
  }
}

for (const [mobile, state, offer] of [['13800138000', 'accepted', 'voice'], ['19900004030', 'dead', 'sms']]) {
  test(`${state} with a worker and a simulated gateway`, async () => {
    const [called, cookie] = await ask('/call', { mobile });
    assert.equal(called.state, 'queued');
    const answer = await ended(cookie);
    assert.deepEqual([answer.state, answer.offer], [state, offer]);
    assert.equal((await ask('/check', { code: 'no' }, cookie))[0].state, 'wrong');
    assert.equal((await ask('/sms', {}, cookie))[0].state, 'sms');
  });
}

test('the page is there', async () => {
  const response = await fetch(address, { headers: { Connection: 'close' } });
  assert.match(await response.text(), /Call me with a code/);
});
