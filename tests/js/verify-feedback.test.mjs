// Tests of the built-in Function that receives the log stream, under the contract of Twilio's runtime. Verify is a
// server on the loopback interface.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { after, before, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';

const sourceUrl = new URL('../../crates/core/src/builtin/verify-feedback.js', import.meta.url);
const source = readFileSync(sourceUrl, 'utf8');
const require = createRequire(import.meta.url);

const SERVICE = `VA${'b2'.repeat(16)}`;
const KEY = `SK${'c3'.repeat(16)}`;
const KEY_SECRET = 'kEySeCrEt0123456789kEySeCrEt0123';
const SECRET = 'Bearer wEbHoOkSeCrEt-0123456789';
const FORMER = 'Bearer fOrMeRsEcReT-0123456789';
const NUMBER = '+15005550006';

const CONTEXT = {
  ACCOUNT_SID: `AC${'a1'.repeat(16)}`,
  DOMAIN_NAME: 'acme-1234.twil.io',
  TWILIO_VERIFY_SID: SERVICE,
  TWILIO_API_KEY: KEY,
  TWILIO_API_SECRET: KEY_SECRET,
  WEBHOOK_SECRET: SECRET,
};

let server;
let port;
let requests;
let reply;

function answer(response, status, body) {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

before(async () => {
  server = createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const { method, url, headers } = request;
      requests.push({ method, url, headers, form: new URLSearchParams(Buffer.concat(chunks).toString()) });
      reply(request, response);
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = server.address().port;
});

after(() => {
  server.close();
  server.closeAllConnections();
});

beforeEach(() => {
  requests = [];
  reply = (_, response) => answer(response, 200, { status: 'approved' });
});

// A class like the runtime's own, as far as handlers use it.
class Response {
  statusCode = 200;
  headers = {};
  body = null;
  setStatusCode(code) { this.statusCode = code; }
  appendHeader(name, value) { this.headers[name] = value; }
  setBody(body) { this.body = body; }
}

// The event that the runtime makes of a request: the headers in lower case, then the members of query and body, which
// override what is there.
function eventOf({ headers = {}, query = {}, body = {} } = {}) {
  return { request: { headers, cookies: {} }, ...query, ...body };
}

function load({ fetch: sent, now, limit } = {}) {
  const logged = [];
  const log = (...words) => logged.push(words.join(' '));
  const loopback = (url, options) => {
    const target = new URL(url);
    assert.equal(target.origin, 'https://verify.twilio.com');
    assert.equal(options.redirect, 'error');
    return fetch(`http://127.0.0.1:${port}${target.pathname}`, options);
  };
  const scope = {
    exports: {},
    require: (name) => {
      assert.ok(['crypto', 'fs'].includes(name), `no dependency but Node's own: ${name}`);
      return require(name);
    },
    console: { log, info: log, warn: log, error: log, debug: log },
    Twilio: { Response },
    fetch: sent ?? loopback,
    AbortSignal: limit ? { timeout: () => AbortSignal.timeout(limit) } : AbortSignal,
    Date: now ? Object.assign(function () {}, { now, parse: Date.parse }) : Date,
    __filename: fileURLToPath(sourceUrl),
  };
  vm.compileFunction(source, Object.keys(scope), { filename: 'verify-feedback.js' })(...Object.values(scope));
  const run = async (event, context = CONTEXT) => {
    const calls = [];
    const result = await new Promise((resolve) => {
      const returned = scope.exports.handler(context, event, (...args) => {
        calls.push(args);
        resolve(args);
      });
      assert.equal(returned, undefined, 'nothing is returned: only the callback counts');
    });
    await new Promise(setImmediate);
    assert.equal(calls.length, 1, 'the callback is called once');
    const [error, response] = result;
    assert.equal(error, null);
    assert.ok(response instanceof Response);
    assert.equal(response.headers['Content-Type'], 'application/json');
    const shown = [...logged, JSON.stringify(response.body)];
    for (const text of shown) assertClean(text, event);
    return { status: response.statusCode, body: response.body, logged };
  };
  return { run, exports: scope.exports };
}

// No log line and no answer has a number, a header or a secret.
function assertClean(text, event) {
  for (const secret of [SECRET, FORMER, KEY, KEY_SECRET, SECRET.slice(7), event?.request?.headers?.authorization]) {
    if (typeof secret === 'string' && secret.length >= 8) assert.ok(!text.includes(secret), `"${text}" holds a secret`);
  }
  assert.doesNotMatch(text, /5005550|500 555/, 'a number');
}

const authorized = { authorization: SECRET };
const record = (details, data = {}) => ({
  log_id: '900',
  data: { log_id: '900', type: 'gd_auth_succeed', date: new Date().toISOString(), user_id: 'auth0|1', details, ...data },
});
const withNumber = (number = NUMBER, data = {}) => record({ authenticator: { type: 'sms', phone_number: number } }, data);
const passwordless = (data) => record({ prompts: [] }, { type: 's', connection: 'sms', user_id: 'sms|5f7c8ec7', ...data });
const array = (...records) => eventOf({ headers: authorized, body: Object.assign({}, records) });
const basic = `Basic ${Buffer.from(`${KEY}:${KEY_SECRET}`).toString('base64')}`;

describe('source', () => {
  test('is plain ASCII with LF only, and exports the one handler', () => {
    assert.match(source, /^[\n\x20-\x7e]+$/);
    assert.ok(source.endsWith('};\n') && source.length < 100_000);
    assert.deepEqual(Object.keys(load().exports), ['handler']);
  });
});

describe('request', () => {
  test('is the form Verify expects, signed with the key', async () => {
    const { status, body } = await load().run(array(withNumber()));
    assert.equal(status, 200);
    assert.equal(body.approved, 1);
    assert.equal(requests.length, 1);
    const [{ method, url, headers, form }] = requests;
    assert.equal(`${method} ${url}`, `POST /v2/Services/${SERVICE}/Verifications/%2B15005550006`);
    assert.equal(headers.authorization, basic);
    assert.equal(headers['content-type'], 'application/x-www-form-urlencoded');
    assert.deepEqual(Object.fromEntries(form), { Status: 'approved' });
  });

  const shapes = [
    ['an array', array(withNumber())],
    ['an object', eventOf({ headers: authorized, body: withNumber() })],
    ['an object without a wrapper', eventOf({ headers: authorized, body: withNumber().data })],
  ];
  for (const [name, event] of shapes) {
    test(`takes ${name}`, async () => {
      assert.equal((await load().run(event)).status, 200);
      assert.equal(requests.length, 1);
    });
  }

  test('takes every event of a batch, each number once', async () => {
    const numbers = Array.from({ length: 23 }, (_, n) => `+150055500${10 + n}`);
    const { status, body } = await load().run(array(...numbers.map((n) => withNumber(n)), withNumber(numbers[3])));
    assert.equal(status, 200);
    assert.equal(body.approved, 23);
    const seen = requests.map(({ url }) => decodeURIComponent(url.split('/').at(-1))).sort();
    assert.deepEqual(seen, [...numbers].sort());
  });

  test('has at most ten calls under way', async () => {
    let [now, most] = [0, 0];
    reply = (_, response) => {
      now += 1;
      most = Math.max(most, now);
      setTimeout(() => {
        now -= 1;
        answer(response, 200, {});
      }, 15);
    };
    const numbers = Array.from({ length: 40 }, (_, n) => `+150055500${10 + n}`);
    assert.equal((await load().run(array(...numbers.map((n) => withNumber(n))))).body.approved, 40);
    assert.ok(most > 1 && most <= 10, `${most} at once`);
  });

  const places = [
    ['the authenticator', { authenticator: { phone_number: NUMBER }, enrollment: { phone_number: '+15005550999' } }],
    ['the enrolment', { authenticator: { phone_number: null }, enrollment: { phone_number: NUMBER } }],
    ['the name of the enrolment', { enrollment: { name: NUMBER, identifier: 'x' } }],
    ['the identifier of the enrolment', { enrollment: { identifier: NUMBER } }],
    ['spaces', { authenticator: { phone_number: ' +1 500 555\u00a00006 ' } }],
    ['hyphens', { authenticator: { phone_number: '+1-500-555-0006' } }],
    ['brackets', { authenticator: { phone_number: '+1 (500) 555-0006' } }],
    ['a masked number before a whole one', { authenticator: { phone_number: 'XXXXXXX0006' }, enrollment: { name: NUMBER } }],
  ];
  for (const [name, details] of places) {
    test(`number from ${name}`, async () => {
      await load().run(array(record(details)));
      assert.deepEqual(requests.map(({ url }) => decodeURIComponent(url.split('/').at(-1))), [NUMBER]);
    });
  }

  const logins = [
    ['the name of the user', { user_name: NUMBER }],
    ['a place nobody documents', { details: { prompts: [{ identity: { deep: '+1 (500) 555-0006' } }] } }],
    ['the name first', { user_name: NUMBER, details: { other: '+15005550999' } }],
  ];
  for (const [name, data] of logins) {
    test(`number of a passwordless login from ${name}`, async () => {
      const { body } = await load().run(array(passwordless(data)));
      assert.equal(body.approved, 1);
      assert.deepEqual(requests.map(({ url }) => decodeURIComponent(url.split('/').at(-1))), [NUMBER]);
    });
  }

  test('a record that is nested without end has an end', async () => {
    const nested = { deep: {} };
    nested.deep.deep = nested;
    const { body } = await load().run(array(passwordless({ details: { nested, many: Array(5000).fill('x') } })));
    assert.equal(body.unusable, 1);
  });

  test('first enrolment counts too', async () => {
    await load().run(array(withNumber(NUMBER, { type: 'gd_enrollment_complete' })));
    assert.equal(requests.length, 1);
  });
});

describe('skipped', () => {
  const ago = (minutes) => new Date(Date.now() - minutes * 60_000).toISOString();
  const cases = [
    ['another type', 'other', withNumber(NUMBER, { type: 'gd_auth_failed' })],
    ['a type that is no text', 'other', withNumber(NUMBER, { type: { gd_auth_succeed: 1 } })],
    ['an old event', 'old', withNumber(NUMBER, { date: ago(11) })],
    ['another factor', 'without', record({ authenticator: { type: 'totp', phone_number: null } })],
    ['no details', 'without', record(undefined)],
    ['details of another shape', 'without', record([1])],
    ['a masked number', 'masked', withNumber('XXXXXXX0006')],
    ['a number masked by stars', 'masked', withNumber('+1*******06')],
    ['a masked number with spaces', 'masked', withNumber('+1 *** *** 0006')],
    ['a number that is none', 'unusable', withNumber('+05005550006')],
    ['a number with a path in it', 'unusable', withNumber('+15005550006/../x')],
    ['a number without a plus', 'unusable', withNumber('15005550006')],
    ['a hashed number', 'unusable', withNumber('9f86d081884c7d65')],
    ['a passwordless login without a number', 'unusable', passwordless({ user_name: 'jo@acme.example' })],
    ['a passwordless login with a masked number', 'masked', passwordless({ user_name: '+1*******06' })],
    ['a login by password', 'other', passwordless({ connection: 'Username-Password-Authentication', user_name: NUMBER })],
    ['a login by e-mail', 'other', passwordless({ connection: 'email', user_name: NUMBER })],
    ['a connection of another shape', 'other', passwordless({ connection: { sms: 1 }, user_name: NUMBER })],
    ['a failed passwordless login', 'other', passwordless({ type: 'f', user_name: NUMBER })],
    ['a name with an x', 'without', record({ enrollment: { name: "Max's phone" } })],
  ];
  for (const [name, word, one] of cases) {
    test(name, async () => {
      const { status, body } = await load().run(array(one));
      assert.equal(status, 200);
      assert.equal(body[word], 1, JSON.stringify(body));
      assert.equal(requests.length, 0);
    });
  }

  test('a recent event, and one without a date, are not', async () => {
    await load().run(array(withNumber(NUMBER, { date: ago(9) }), withNumber('+15005550007', { date: undefined })));
    assert.equal(requests.length, 2);
  });

  test('masked numbers are pointed out', async () => {
    const { logged } = await load().run(array(withNumber('XXXXXXX0006')));
    assert.ok(logged.some((line) => line.includes('1 events hold a masked number')), logged.join());
  });

  test('numbers in another form are pointed out once, apart from a factor without a phone', async () => {
    const totp = record({ authenticator: { type: 'totp', phone_number: null } });
    const { logged, body } = await load().run(array(withNumber('15005550006'), withNumber('9f86d081884c7d65'), totp));
    const lines = logged.filter((line) => line.includes('no number in E.164 form'));
    assert.deepEqual([lines.length, body.unusable, body.without], [1, 2, 1], logged.join());
    assert.match(lines[0], /^2 events of a phone/);
  });
});

describe('authorization', () => {
  const rotating = { ...CONTEXT, WEBHOOK_SECRET_PREVIOUS: FORMER };
  const accepted = [
    ['the secret', SECRET, CONTEXT],
    ['the former secret while it changes', FORMER, rotating],
    ['the new secret while it changes', SECRET, rotating],
    ['blanks around the variable', SECRET, { ...CONTEXT, WEBHOOK_SECRET: ` ${SECRET}\n` }],
    // Node hands headers over as Latin-1.
    ['letters beyond ASCII', Buffer.from('sécrét-€', 'utf8').toString('latin1'), { ...CONTEXT, WEBHOOK_SECRET: 'sécrét-€' }],
  ];
  for (const [name, authorization, context] of accepted) {
    test(`takes ${name}`, async () => {
      const event = eventOf({ headers: { authorization }, body: { 0: withNumber() } });
      assert.equal((await load().run(event, context)).status, 200);
      assert.equal(requests.length, 1);
    });
  }

  const refused = [
    ['another secret', { authorization: `${SECRET}x` }],
    ['a part of it', { authorization: SECRET.slice(0, -1) }],
    ['the former one, once it is gone', { authorization: FORMER }],
    ['an empty header', { authorization: '' }],
    ['no header', {}],
    ['a repeated header', { authorization: [SECRET, SECRET] }],
    ['another header', { 'x-authorization': SECRET }],
  ];
  for (const [name, headers] of refused) {
    test(`refuses ${name}`, async () => {
      const { status } = await load().run(eventOf({ headers, body: { 0: withNumber() } }));
      assert.equal(status, 401);
      assert.equal(requests.length, 0);
    });
  }

  // Members of body and query are spread over the event after the request, so they could hide it.
  for (const request of ['1', 1, null, [], {}, { headers: null }, { headers: 'x' }, { headers: { authorization: { length: 1 } } }]) {
    test(`a body that overwrites the request with ${JSON.stringify(request)} gets nowhere`, async () => {
      const event = eventOf({ headers: authorized, body: { request, 0: withNumber() } });
      assert.equal((await load().run(event)).status, 401);
      assert.equal(requests.length, 0);
    });
  }

  test('without a secret nobody gets in, and that is the operator\'s fault', async () => {
    for (const WEBHOOK_SECRET of [undefined, '', '  ']) {
      const event = eventOf({ headers: { authorization: '' }, body: { 0: withNumber() } });
      assert.equal((await load().run(event, { ...CONTEXT, WEBHOOK_SECRET })).status, 500);
    }
  });
});

describe('bodies that hold no event', () => {
  const cases = [
    ['nothing, as of text/plain or JSON lines', {}],
    ['an empty array', {}],
    ['numbers', { 0: 1, 1: null }],
    ['another object', { hello: 'world' }],
  ];
  for (const [name, body] of cases) {
    test(name, async () => {
      const { status, body: said } = await load().run(eventOf({ headers: authorized, body }));
      assert.equal(status, 400);
      assert.match(said.error, /JSONARRAY/);
    });
  }

  for (const event of [undefined, null, 'x', []]) {
    test(`an event that is ${JSON.stringify(event)}`, async () => {
      assert.equal((await load().run(event)).status, 200, 'as a look at whether it lives');
      assert.equal(requests.length, 0);
    });
  }
});

describe('health', () => {
  test('tells the hash of the code and nothing else', async () => {
    const { status, body } = await load().run(eventOf({ headers: { 'user-agent': 'x' } }));
    assert.equal(status, 200);
    assert.deepEqual(body, { build: createHash('sha256').update(source).digest('hex').slice(0, 16) });
    assert.equal(requests.length, 0);
  });
});

describe('answers of Verify', () => {
  const cases = [
    [404, { code: 20404 }, 200, 'gone'],
    [404, 'not JSON', 200, 'gone'],
    [401, { code: 20003 }, 502, 'refused'],
    [403, { code: 70051 }, 502, 'refused'],
    [429, { code: 20429 }, 503, 'retry'],
    [408, {}, 503, 'retry'],
    [500, {}, 503, 'retry'],
    [503, '<html>', 503, 'retry'],
    [400, { code: 60200, message: `Invalid parameter To: ${NUMBER}` }, 200, 'rejected'],
    [400, { code: Number(NUMBER) }, 200, 'rejected'],
  ];
  for (const [status, body, expected, word] of cases) {
    test(`${status} ${JSON.stringify(body)}: ${word}, ${expected}`, async () => {
      reply = (_, response) => answer(response, status, body);
      const seen = await load().run(array(withNumber()));
      assert.equal(seen.status, expected);
      assert.equal(seen.body[word], 1);
      assert.equal(requests.length, 1, 'the batch is repeated by Auth0, not by us');
      if (word !== 'gone') {
        const line = seen.logged.find((text) => text.includes(`HTTP ${status}`));
        assert.match(line, /ending in 06: HTTP \d{3}(, code \d{5})?$/);
      }
    });
  }

  test('one failure in a batch: the others are done, and the batch comes again', async () => {
    reply = (request, response) => answer(response, request.url.endsWith('07') ? 503 : 200, {});
    const { status, body } = await load().run(array(withNumber(), withNumber('+15005550007'), withNumber('+15005550008')));
    assert.equal(status, 503);
    assert.deepEqual([body.approved, body.retry], [2, 1]);
  });

  test('a refused key outweighs what may be tried again', async () => {
    reply = (request, response) => answer(response, request.url.endsWith('07') ? 503 : 401, {});
    assert.equal((await load().run(array(withNumber(), withNumber('+15005550007')))).status, 502);
  });

  test('a cut connection', async () => {
    reply = (request) => request.socket.destroy();
    const { status, logged } = await load().run(array(withNumber()));
    assert.equal(status, 503);
    assert.ok(logged.includes('feedback for a number ending in 06: no answer'), logged.join());
  });

  test('a silent server is given up', async () => {
    reply = () => {};
    assert.equal((await load({ limit: 50 }).run(array(withNumber()))).status, 503);
  });

  test('a redirect is not followed', async () => {
    reply = (_, response) => {
      response.writeHead(307, { Location: '/elsewhere' });
      response.end();
    };
    assert.equal((await load().run(array(withNumber()))).status, 503);
    assert.equal(requests.length, 1);
  });

  test('no call is begun that could outlast the Function', async () => {
    const start = Date.now();
    let clock = start;
    const sent = [];
    const fetch = async (url) => {
      sent.push(url);
      clock = start + 6000;
      return { ok: true, status: 200, json: async () => ({}) };
    };
    const numbers = Array.from({ length: 25 }, (_, n) => `+150055500${10 + n}`);
    const { status, body } = await load({ fetch, now: () => clock }).run(array(...numbers.map((n) => withNumber(n))));
    assert.equal(status, 503);
    assert.equal(body.approved, sent.length);
    assert.ok(sent.length >= 1 && sent.length <= 10, `${sent.length} calls`);
    assert.equal(body.retry, 25 - sent.length);
  });
});

describe('configuration', () => {
  const cases = [
    ['no service', { TWILIO_VERIFY_SID: '' }],
    ['a path as the service', { TWILIO_VERIFY_SID: `${SERVICE}/..` }],
    ['no key', { TWILIO_API_KEY: undefined }],
    ['no secret of the key', { TWILIO_API_SECRET: ' ' }],
  ];
  for (const [name, changes] of cases) {
    test(`${name}: Auth0 keeps the events`, async () => {
      const { status, body } = await load().run(array(withNumber()), { ...CONTEXT, ...changes });
      assert.equal(status, 500);
      assert.match(body.error, /TWILIO_/);
      assert.equal(requests.length, 0);
    });
  }

  test('what nobody foresaw still ends in the callback', async () => {
    const hostile = new Proxy({}, { get() { throw new Error(SECRET); } });
    assert.equal((await load().run(array(withNumber()), hostile)).status, 500);
  });
});
