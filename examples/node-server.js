// The page's five requests on Node's own http server. An app gives `send` and `status`.
'use strict';
const { randomBytes, randomInt, timingSafeEqual } = require('node:crypto');
const { readFileSync } = require('node:fs');
const { createServer } = require('node:http');
const path = require('node:path');

const PAGE = readFileSync(path.join(__dirname, 'page.html'));
const LIFE_SECONDS = 300;
const unavailable = { state: 'unavailable', offer: 'sms', ended: true };

function serve({ send, status }) {
  const logins = new Map(); // your database, with an end for each
  const loginOf = request => logins.get(/key=([\w:]+)/.exec(request.headers.cookie ?? '')?.[1]);

  const routes = {
    'POST /call': async (body, _login, response) => {
      const login = {
        key: 'login:' + randomBytes(8).toString('hex'),
        code: String(randomInt(10 ** 6)).padStart(6, '0'),
        expiresAt: Date.now() / 1000 + LIFE_SECONDS,
      };
      logins.set(login.key, login);
      response.setHeader('Set-Cookie', `key=${login.key}; HttpOnly; SameSite=Strict; Max-Age=${LIFE_SECONDS}`);
      return send({ ...login, mobile: String(body.mobile), purpose: 'login' });
    },
    'GET /status': async (_body, login) => (login ? status(login) : unavailable),
    // Your SMS provider gets login.code: it is good on both ways.
    'POST /sms': async (_body, login) => ({ state: login ? 'sms' : 'wrong', offer: 'voice', ended: true }),
    'POST /check': async (body, login) => {
      const [given, code] = [Buffer.from(String(body.code)), Buffer.from(login?.code ?? '')];
      const right = given.length === code.length && code.length > 0 && timingSafeEqual(given, code);
      if (right) logins.delete(login.key);
      return { state: right ? 'signed in' : 'wrong', offer: 'voice', ended: true };
    },
  };

  return createServer(async (request, response) => {
    if (request.url === '/') return response.setHeader('Content-Type', 'text/html').end(PAGE);
    const route = routes[`${request.method} ${request.url}`];
    if (!route) return response.writeHead(404).end();
    try {
      const chunks = await request.toArray();
      const body = request.method === 'POST' ? JSON.parse(Buffer.concat(chunks)) : {};
      const answer = await route(body, loginOf(request), response);
      return response.setHeader('Content-Type', 'application/json').end(JSON.stringify(answer));
    } catch (error) {
      console.error(error.message);
      return response.setHeader('Content-Type', 'application/json').end(JSON.stringify(unavailable));
    }
  });
}

// What a record says, and what it means that there is none.
function statusOf([state, reason], expiresAt) {
  state ??= Date.now() / 1000 < expiresAt ? 'queued' : 'unknown';
  const ended = ['accepted', 'dead', 'cancelled', 'unknown'].includes(state);
  return { state, reason, ended, offer: ['dead', 'unknown'].includes(state) ? 'sms' : 'voice' };
}

module.exports = { serve, statusOf };
