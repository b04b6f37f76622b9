// Tests of the built-in Action for `custom-phone-provider`, in both variants: with the real twilio helper, where only the
// HTTP client is ours, and by `fetch`. Either sends the finished request to a server on the loopback interface.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { after, before, beforeEach, describe, test } from 'node:test';
import vm from 'node:vm';

const realTwilio = createRequire(import.meta.url)('twilio');
const part = (name) => readFileSync(new URL(`../../crates/core/src/builtin/twilio-verify.${name}.js`, import.meta.url), 'utf8');
const assembled = (way, trigger) => part('head') + part(way) + part('core') + part(trigger);

const ACCOUNT = `AC${'a1'.repeat(16)}`;
const SERVICE = `VA${'b2'.repeat(16)}`;
const KEY = `SK${'c3'.repeat(16)}`;
const KEY_SECRET = 'kEySeCrEt0123456789kEySeCrEt0123';
const TOKEN = 'd4'.repeat(16);
const NUMBER = '+15005550006';
const CODE = '483920';

const WITH_KEY = {
  TWILIO_ACCOUNT_SID: ACCOUNT,
  TWILIO_VERIFY_SID: SERVICE,
  TWILIO_API_KEY: KEY,
  TWILIO_API_SECRET: KEY_SECRET,
};
const WITH_TOKEN = { TWILIO_ACCOUNT_SID: ACCOUNT, TWILIO_VERIFY_SID: SERVICE, TWILIO_AUTH_TOKEN: TOKEN };

// Answers every request with `reply(request, response)` and keeps the requests.
let server;
let port;
let requests;
let reply;

const created = (_, response) => answer(response, 201, { sid: `VE${'e5'.repeat(16)}`, status: 'pending' });

function answer(response, status, body, type = 'application/json') {
  response.writeHead(status, { 'Content-Type': type });
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
  reply = created;
});

class Loopback extends realTwilio.RequestClient {
  request(options) {
    const url = new URL(options.uri);
    assert.equal(url.origin, 'https://verify.twilio.com');
    return super.request({ ...options, uri: `http://127.0.0.1:${port}${url.pathname}${url.search}` });
  }
}

// Sends to our server what code sends to Twilio by `fetch`.
function toLoopback(address, options) {
  const url = new URL(address);
  assert.equal(url.origin, 'https://verify.twilio.com');
  return fetch(`http://127.0.0.1:${port}${url.pathname}${url.search}`, options);
}

// No reason and no log line has a piece of the number, the code or a secret.
function assertClean(text, event) {
  assert.equal(typeof text, 'string');
  assert.ok(text.length > 0 && text.length <= 1024, `length of ${text}`);
  assert.doesNotMatch(text, /undefined|null|NaN|\[object/);
  const code = String(event?.notification?.code ?? '');
  const digits = String(event?.notification?.recipient ?? '').replace(/\D/g, '');
  const values = Object.values(event?.secrets ?? {}).map((value) => String(value).trim());
  for (const value of [code, digits, digits.slice(-4), ...values, ...values.map((value) => value.slice(0, 8))]) {
    if (value.length >= 4) assert.ok(!text.includes(value), `"${text}" holds "${value}"`);
  }
}

function event({ secrets = WITH_KEY, user, request, ...notification } = {}) {
  const usual = {
    recipient: NUMBER,
    code: CODE,
    delivery_method: 'text',
    message_type: 'otp_verify',
    as_text: `Your code is ${CODE}`,
    as_voice: `Your code is ${CODE}`,
    locale: 'en_US',
  };
  return { secrets, user, request, notification: { ...usual, ...notification } };
}

const basic = (user, password) => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

for (const way of ['helper', 'fetch']) describe(`by ${way}`, () => {
  const source = assembled(way, 'unified');
  const legacySource = assembled(way, 'legacy');

  // The line that Lockstep fills in.
  const MARKED = /^const RATE_LIMITS = .*; \/\/ lockstep:rate-limits$/gm;
  const withLimits = (limits) =>
    source.replace(MARKED, () => `const RATE_LIMITS = ${JSON.stringify(limits)}; // lockstep:rate-limits`);

  // A fresh instance of the Action, as after a deployment. `made` lists the arguments of every client that it makes.
  function load({ twilio, timers = {}, timeout, limits, code = limits ? withLimits(limits) : source } = {}) {
    const made = [];
    const limitsAsked = [];
    const logged = [];
    const helper = (user, password, options) => {
      made.push({ user, password, options });
      const client = { timeout: timeout ?? options.timeout, keepAlive: options.keepAlive };
      return realTwilio(user, password, { ...options, httpClient: new Loopback(client) });
    };
    const log = (...words) => logged.push(words.join(' '));
    const scope = {
      exports: {},
      require: (name) => {
        assert.deepEqual([way, name], ['helper', 'twilio'], 'the Action declares one dependency, or none');
        return twilio ?? helper;
      },
      console: { log, info: log, warn: log, error: log, debug: log },
      setTimeout: timers.setTimeout ?? setTimeout,
      clearTimeout: timers.clearTimeout ?? clearTimeout,
      fetch: twilio ? async () => twilio().verify.v2.services().verifications.create() : toLoopback,
      AbortSignal: { timeout: (ms) => (limitsAsked.push(ms), AbortSignal.timeout(timeout ?? ms)) },
    };
    vm.compileFunction(code, Object.keys(scope), { filename: 'twilio-verify.js' })(...Object.values(scope));

    const handler = scope.exports.onExecuteCustomPhoneProvider;
    const run = async (event) => {
      const calls = [];
      const call = (act) => (reason) => calls.push([act, reason]);
      assert.equal(await handler(event, { notification: { retry: call('retry'), drop: call('drop') } }), undefined);
      assert.ok(calls.length <= 1, 'the last call wins, so there must be only one');
      for (const text of [...logged, ...calls.map(([, reason]) => reason)]) assertClean(text, event);
      return calls[0] ?? ['sent'];
    };
    return { run, made, limitsAsked, exports: scope.exports };
  }

  describe('source', () => {
    test('is plain ASCII with LF only, and small enough for an Action', () => {
      assert.match(source, /^[\n\x20-\x7e]+$/);
      assert.doesNotMatch(source, /\\u/);
      assert.ok(source.endsWith('};\n') && source.length < 100_000);
    });

    test('exports the one handler', () => {
      assert.deepEqual(Object.keys(load().exports), ['onExecuteCustomPhoneProvider']);
    });
  });

  describe('request', () => {
    test('is the form Verify expects, signed with the key', async () => {
      assert.deepEqual(await load().run(event()), ['sent']);
      assert.equal(requests.length, 1);
      const [{ method, url, headers, form }] = requests;
      assert.equal(`${method} ${url}`, `POST /v2/Services/${SERVICE}/Verifications`);
      assert.equal(headers.authorization, basic(KEY, KEY_SECRET));
      assert.equal(headers['content-type'], 'application/x-www-form-urlencoded');
      assert.equal(headers.connection, 'close');
      // The request has no other fields. A Locale in particular would be dangerous: an unknown one is answered with 404.
      assert.deepEqual(Object.fromEntries(form), { To: NUMBER, Channel: 'sms', CustomCode: CODE });
    });

    const forms = [
      ['voice is a call', { delivery_method: 'voice' }, { Channel: 'call' }],
      ['spaces in the number', { recipient: ' +1 500 555 0006\n' }, { To: NUMBER }],
      ['a hard space in the number', { recipient: '+1\xa0500\xa05550006' }, { To: NUMBER }],
      ['hyphens in the number', { recipient: '+1-500-555-0006' }, { To: NUMBER }],
      ['brackets in the number', { recipient: '+1 (500) 555-0006' }, { To: NUMBER }],
      ['square brackets in the number', { recipient: '[+1]500 555 0006' }, { To: NUMBER }],
      ['the shortest number', { recipient: '+2901234' }, { To: '+2901234' }],
      ['the longest number', { recipient: '+123456789012345' }, { To: '+123456789012345' }],
      ['a code of four', { code: '0042' }, { CustomCode: '0042' }],
      ['a code of ten', { code: '0123456789' }, { CustomCode: '0123456789' }],
      ['a code given as a number', { code: 483920 }, { CustomCode: CODE }],
      ['enrolment', { message_type: 'otp_enroll' }, { CustomCode: CODE }],
      ['a password change by code', { message_type: 'change_password' }, { CustomCode: CODE }],
      ['no locale', { locale: undefined }, { CustomCode: CODE }],
    ];
    for (const [name, changes, expected] of forms) {
      test(name, async () => {
        assert.deepEqual(await load().run(event(changes)), ['sent']);
        const form = Object.fromEntries(requests[0].form);
        assert.deepEqual(form, { To: NUMBER, Channel: 'sms', CustomCode: CODE, ...expected });
      });
    }
  });

  describe('rate limits', () => {
    const limits = { by_number: 'recipient', by_user: 'user', by_ip: 'ip' };
    const whole = { user: { user_id: 'auth0|5f7c8ec7' }, request: { ip: '192.0.2.7' } };
    const passed = async (changes, declared = limits) => {
      assert.deepEqual(await load({ limits: declared }).run(event(changes)), ['sent']);
      const sent = requests[0].form.get('RateLimits');
      return sent === null ? null : JSON.parse(sent);
    };

    test('stand in one marked line, empty as shipped', () => {
      assert.deepEqual(source.match(MARKED), ['const RATE_LIMITS = {}; // lockstep:rate-limits']);
    });

    test('are passed with the value of each', async () => {
      const expected = { by_number: NUMBER, by_user: 'auth0|5f7c8ec7', by_ip: '192.0.2.7' };
      assert.deepEqual(await passed(whole), expected);
      assert.deepEqual([...requests[0].form.keys()].sort(), ['Channel', 'CustomCode', 'RateLimits', 'To']);
    });

    test('count the number as it is sent, without spaces', async () => {
      assert.deepEqual(await passed({ recipient: '+1 500 555 0006' }, { n: 'recipient' }), { n: NUMBER });
    });

    const partial = [
      ['no user and no request', {}, { by_number: NUMBER }],
      ['an empty address', { ...whole, request: { ip: '' } }, { by_number: NUMBER, by_user: 'auth0|5f7c8ec7' }],
      ['an address that is no text', { request: { ip: ['192.0.2.7'] } }, { by_number: NUMBER }],
      ['null', { user: null, request: null }, { by_number: NUMBER }],
    ];
    for (const [name, changes, expected] of partial) {
      test(`without a value are left out: ${name}`, async () => {
        assert.deepEqual(await passed(changes), expected);
      });
    }

    test('without any value are not sent at all', async () => {
      assert.equal(await passed({}, { by_ip: 'ip' }), null);
    });

    test('of a kind the code does not know are left out', async () => {
      assert.equal(await passed(whole, { x: 'constructor', y: 'phone' }), null);
    });

    test('that are used up hold the message back, without telling the value', async () => {
      reply = (_, response) => answer(response, 429, { code: 20429, status: 429, message: `Max for ${NUMBER}` });
      const [act, reason] = await load({ limits }).run(event(whole));
      assert.equal(act, 'retry');
      assert.match(reason, /rate limit of the Verify service is used up/);
      for (const value of ['192.0.2.7', '5f7c8ec7']) assert.ok(!reason.includes(value));
    });

    test('that the service lacks are hinted at', async () => {
      reply = (_, response) => answer(response, 400, { code: 60200, status: 400, message: 'x' });
      const [act, reason] = await load({ limits }).run(event(whole));
      assert.equal(act, 'drop');
      assert.match(reason, /a rate limit is not there/);
    });
  });

  describe('credentials', () => {
    const signed = [
      ['key', WITH_KEY, basic(KEY, KEY_SECRET)],
      ['token', WITH_TOKEN, basic(ACCOUNT, TOKEN)],
      ['key before token', { ...WITH_TOKEN, ...WITH_KEY }, basic(KEY, KEY_SECRET)],
      ['token when the key lacks its secret', { ...WITH_TOKEN, TWILIO_API_KEY: KEY }, basic(ACCOUNT, TOKEN)],
      ['values with line ends', { ...WITH_KEY, TWILIO_API_SECRET: `${KEY_SECRET}\n` }, basic(KEY, KEY_SECRET)],
    ];
    for (const [name, secrets, authorization] of signed) {
      test(name, async () => {
        assert.deepEqual(await load().run(event({ secrets })), ['sent']);
        assert.equal(requests[0].headers.authorization, authorization);
      });
    }

    const refused = [
      ['no account', { ...WITH_KEY, TWILIO_ACCOUNT_SID: undefined }, /TWILIO_ACCOUNT_SID is missing/],
      ['no service', { ...WITH_KEY, TWILIO_VERIFY_SID: '' }, /TWILIO_VERIFY_SID is missing/],
      ['key without its secret', { ...WITH_KEY, TWILIO_API_SECRET: undefined }, /TWILIO_API_SECRET is missing/],
      ['secret without its key', { ...WITH_KEY, TWILIO_API_KEY: ' ' }, /TWILIO_API_KEY is missing/],
      ['neither key nor token', { ...WITH_TOKEN, TWILIO_AUTH_TOKEN: '' }, /TWILIO_API_KEY .*TWILIO_AUTH_TOKEN/],
      ['key as the account', { ...WITH_KEY, TWILIO_ACCOUNT_SID: KEY }, /TWILIO_ACCOUNT_SID is not a SID/],
      ['account as the service', { ...WITH_KEY, TWILIO_VERIFY_SID: ACCOUNT }, /TWILIO_VERIFY_SID is not a SID/],
      ['a path as the service', { ...WITH_KEY, TWILIO_VERIFY_SID: `${SERVICE}/..` }, /TWILIO_VERIFY_SID is not a SID/],
      ['no secrets', null, /TWILIO_ACCOUNT_SID is missing/],
    ];
    for (const [name, secrets, pattern] of refused) {
      test(name, async () => {
        const { run, made } = load();
        const [act, reason] = await run(event({ secrets }));
        assert.equal(act, 'drop');
        assert.match(reason, pattern);
        assert.deepEqual([requests.length, made.length], [0, 0]);
      });
    }
  });

  describe('dropped before sending', () => {
    const cases = [
      ['blocked account', { code: undefined, message_type: 'blocked_account' }, /type blocked_account without a code/],
      ['password breach', { code: null, message_type: 'password_breach' }, /type password_breach without a code/],
      ['password change by link', { code: '', message_type: 'change_password' }, /type change_password without a code/],
      ['odd message type', { code: '', message_type: `x ${NUMBER}` }, /type unknown without a code/],
      ['no message type', { code: '', message_type: undefined }, /type unknown without a code/],
      ['code of three', { code: '123' }, /4 to 10 characters/],
      ['code of eleven', { code: '12345678901' }, /4 to 10 characters/],
      ['e-mail as the method', { delivery_method: 'email' }, /neither text nor voice/],
      ['no method', { delivery_method: undefined }, /neither text nor voice/],
      ['inherited property as the method', { delivery_method: 'constructor' }, /neither text nor voice/],
      ['no plus sign', { recipient: '15005550006' }, /E\.164/],
      ['leading zero', { recipient: '+05005550006' }, /E\.164/],
      ['too short', { recipient: '+290123' }, /E\.164/],
      ['too long', { recipient: '+1234567890123456' }, /E\.164/],
      ['other separators', { recipient: '+1.500.555.0006' }, /E\.164/],
      ['an extension', { recipient: '+1-500-555-0006 x12' }, /E\.164/],
      ['a national prefix in brackets', { recipient: '+44 (0) 0000 000000 000000' }, /E\.164/],
      ['masked number', { recipient: 'XXXXXXX0006' }, /E\.164/],
      ['two numbers', { recipient: `${NUMBER}\n${NUMBER}` }, /E\.164/],
      ['no number', { recipient: undefined }, /E\.164/],
    ];
    for (const [name, changes, pattern] of cases) {
      test(name, async () => {
        const [act, reason] = await load().run(event(changes));
        assert.equal(act, 'drop');
        assert.match(reason, pattern);
        assert.equal(requests.length, 0);
      });
    }
  });

  describe('answers', () => {
    const cases = [
      [400, 60200, 'drop', /no such number/],
      [403, 60204, 'drop', /custom codes are off/],
      [403, 60205, 'drop', /landline/],
      [400, 60223, 'drop', /channel is disabled/],
      [400, 60238, 'drop', /under review/],
      [400, 21608, 'drop', /trial account/],
      [403, 60410, 'drop', /Fraud Guard.* 5 minutes to 12 hours/],
      [429, 60410, 'drop', /Fraud Guard/],
      [403, 60605, 'drop', /geo permissions/],
      [401, 20003, 'drop', /credentials were refused/],
      [401, undefined, 'drop', /credentials were refused/],
      [403, 20403, 'drop', /suspended/],
      [404, 20404, 'drop', /TWILIO_VERIFY_SID/],
      [401, 70051, 'drop', /permission to create verifications/],
      [403, 70051, 'drop', /permission to create verifications/],
      [400, 60999, 'drop', /^Twilio Verify answered HTTP 400, code 60999$/],
      [400, undefined, 'drop', /^Twilio Verify answered HTTP 400$/],
      [429, 60203, 'drop', /without feedback/],
      [429, 60202, 'drop', /five checks/],
      [429, 60212, 'retry', /HTTP 429, code 60212$/],
      [429, 20429, 'retry', /too many at once/],
      [429, 25109, 'retry', /HTTP 429, code 25109$/],
      [429, undefined, 'retry', /HTTP 429$/],
      [500, 20500, 'retry', /HTTP 500, code 20500$/],
      [503, 60410, 'retry', /HTTP 503, code 60410/],
      [503, undefined, 'retry', /HTTP 503$/],
      [307, undefined, 'retry', /HTTP 307$/],
    ];
    // Both forms of error body that the helper knows quote the number, the code and the credentials here.
    const gossip = `Invalid parameter To: ${NUMBER} CustomCode ${CODE} key ${KEY} ${KEY_SECRET} on ${SERVICE}`;
    const shapes = {
      classic: (status, code) => ({ code, status, message: gossip, more_info: gossip, details: { to: NUMBER } }),
      problem: (status, code) => ({ code, status, type: gossip, title: gossip, detail: gossip, errors: [gossip] }),
    };
    for (const [status, code, act, pattern] of cases) {
      for (const [shape, body] of Object.entries(shapes)) {
        test(`${status} ${code ?? 'without a code'}, ${shape} body: ${act}`, async () => {
          reply = (_, response) => answer(response, status, body(status, code));
          const [seen, reason] = await load().run(event());
          assert.equal(seen, act);
          assert.match(reason, pattern);
          assert.match(reason, new RegExp(`^Twilio Verify answered HTTP ${status}${code ? `, code ${code}` : ''}`));
          assert.equal(requests.length, 1, 'the helper must not repeat by itself');
        });
      }
    }

    const odd = [
      ['a gateway page', 502, '<html>Bad gateway</html>', 'retry', /HTTP 502$/],
      ['an empty body', 403, '', 'drop', /HTTP 403$/],
      ['a body of null', 400, 'null', 'drop', /HTTP 400$/],
      ['the number as the code', 400, { code: Number(NUMBER) }, 'drop', /HTTP 400$/],
      ['the sent code as the code', 400, { code: Number(CODE) }, 'drop', /HTTP 400$/],
      // The newest helpers believe a status in the body.
      ['the number as the status', 400, { code: 60200, status: Number(NUMBER), type: '', title: '' },
        ...(way === 'helper' ? ['retry', /unknown/] : ['drop', /HTTP 400, code 60200/])],
      ['text as the code', 400, { code: gossip }, 'drop', /HTTP 400$/],
      ['a page where the verification should be', 200, `<html>${NUMBER}</html>`, 'retry', /no usable answer/],
    ];
    for (const [name, status, body, act, pattern] of odd) {
      test(name, async () => {
        reply = (_, response) => answer(response, status, body);
        const [seen, reason] = await load().run(event());
        assert.equal(seen, act);
        assert.match(reason, pattern);
      });
    }
  });

  describe('network', () => {
    test('a cut connection is retried', async () => {
      reply = (request) => request.socket.destroy();
      assert.deepEqual(await load().run(event()), ['retry', 'no usable answer from Twilio Verify: ECONNRESET']);
    });

    test('a silent server is given up by the request limit', async () => {
      reply = () => {};
      const { run, made, limitsAsked } = load({ timeout: 50 });
      const [act, reason] = await run(event());
      assert.equal(act, 'retry');
      assert.match(reason, /: (ECONNABORTED|ETIMEDOUT)$/);
      assert.deepEqual(way === 'helper' ? [made[0].options.timeout] : limitsAsked, [10_000]);
    });

    // The clock is handed in, so that nobody waits: the Action's only timer is the limit of the whole send.
    test('a send that never ends is given up before Auth0 ends the Action', async () => {
      const pending = withResolvers();
      const timers = { setTimeout: (run, ms) => (queueMicrotask(run), ms), clearTimeout: (id) => (timers.cleared = id) };
      const verdict = await load({ twilio: fake(() => pending.promise), timers }).run(event());
      assert.deepEqual(verdict, ['retry', 'no usable answer from Twilio Verify: ETIMEDOUT']);
      assert.ok(timers.cleared < 20_000 - 5_000, 'time is left to report');
      pending.reject(new Error('late')); // Must not end the instance as an unhandled rejection.
      await new Promise(setImmediate);
    });

    test('the limit is taken back after a send', async () => {
      const running = new Set();
      const timers = { setTimeout: (_, ms) => (running.add(ms), ms), clearTimeout: (id) => running.delete(id) };
      assert.deepEqual(await load({ timers }).run(event()), ['sent']);
      assert.equal(running.size, 0);
    });
  });

  describe('never throws', () => {
    const failures = [
      ['an error that quotes the request', () => { throw new Error(`cannot send ${CODE} to ${NUMBER}`); }],
      ['an error whose code quotes the number', () => Promise.reject(Object.assign(new Error(), { code: NUMBER }))],
      ['nothing thrown', () => Promise.reject(undefined)],
    ];
    for (const [name, create] of failures) {
      test(name, async () => {
        const verdict = await load({ twilio: fake(create) }).run(event());
        assert.deepEqual(verdict, ['retry', 'no usable answer from Twilio Verify: unknown error']);
      });
    }

    test('a helper that cannot be built', { skip: way === 'fetch' && 'it has none' }, async () => {
      const twilio = () => { throw new Error(`bad secret ${KEY_SECRET}`); };
      assert.equal((await load({ twilio }).run(event()))[0], 'retry');
    });

    for (const broken of [undefined, {}, { secrets: WITH_KEY }, { secrets: WITH_KEY, notification: {} }]) {
      test(`event ${broken ? `with ${Object.keys(broken).join(' and ') || 'nothing'}` : 'missing'}`, async () => {
        assert.notEqual((await load().run(broken))[0], 'sent');
      });
    }
  });

  describe('client', () => {
    test('is kept between sends, and made again when a secret changes', async () => {
      const { run, made } = load();
      const changed = { ...WITH_KEY, TWILIO_API_SECRET: 'nEwSeCrEt0123456789nEwSeCrEt0123' };
      const account = { ...changed, TWILIO_ACCOUNT_SID: `AC${'f6'.repeat(16)}` };
      for (const secrets of [WITH_KEY, WITH_KEY, changed, changed, account, WITH_TOKEN, WITH_TOKEN]) {
        assert.deepEqual(await run(event({ secrets })), ['sent']);
      }
      if (way === 'helper') assert.deepEqual(
        made.map(({ user, password, options }) => [user, password, options.accountSid]),
        [
          [KEY, KEY_SECRET, ACCOUNT],
          [KEY, changed.TWILIO_API_SECRET, ACCOUNT],
          [KEY, changed.TWILIO_API_SECRET, account.TWILIO_ACCOUNT_SID],
          [ACCOUNT, TOKEN, ACCOUNT],
        ],
      );
      assert.equal(requests.length, 7);
      assert.equal(requests[2].headers.authorization, basic(KEY, changed.TWILIO_API_SECRET));
    });

    test('follows another service without a new client', async () => {
      const { run, made } = load();
      const other = `VA${'9f'.repeat(16)}`;
      await run(event());
      await run(event({ secrets: { ...WITH_KEY, TWILIO_VERIFY_SID: other } }));
      assert.equal(made.length, way === 'helper' ? 1 : 0);
      assert.equal(requests[1].url, `/v2/Services/${other}/Verifications`);
    });

    test('sends side by side do not mix', async () => {
      const { run } = load();
      const numbers = Array.from({ length: 20 }, (_, n) => `+150055500${10 + n}`);
      const verdicts = await Promise.all(numbers.map((recipient, n) => run(event({ recipient, code: `77${100 + n}` }))));
      assert.ok(verdicts.every(([act]) => act === 'sent'));
      const seen = requests.map(({ form }) => `${form.get('To')} ${form.get('CustomCode')}`).sort();
      assert.deepEqual(seen, numbers.map((number, n) => `${number} 77${100 + n}`).sort());
    });
  });

  // The trigger of the legacy phone set-up has another event and no `api.notification`, and failures are thrown.
  describe('legacy trigger', () => {
    const messageOptions = (options) => ({
      secrets: WITH_KEY,
      message_options: {
        action: 'second-factor-authentication',
        message_type: 'sms',
        recipient: NUMBER,
        code: CODE,
        text: `${CODE} is your code`,
        ...options,
      },
    });
    const run = (event, helper = {}) => load({ ...helper, code: legacySource }).exports.onExecuteSendPhoneMessage(event, {});

    test('exports its own handler and no other', () => {
      assert.deepEqual(Object.keys(load({ code: legacySource }).exports), ['onExecuteSendPhoneMessage']);
      assert.deepEqual(Object.keys(load().exports), ['onExecuteCustomPhoneProvider']);
      assert.match(legacySource, /^[\n\x20-\x7e]+$/);
    });

    for (const [type, channel] of [['sms', 'sms'], ['voice', 'call']]) {
      for (const action of ['enrollment', 'second-factor-authentication']) {
        test(`${type} for ${action} goes out by ${channel}`, async () => {
          assert.equal(await run(messageOptions({ message_type: type, action, recipient: '+1 500 555 0006' })), undefined);
          const [{ method, url, form }] = requests;
          assert.deepEqual([method, url], ['POST', `/v2/Services/${SERVICE}/Verifications`]);
          assert.deepEqual(Object.fromEntries(form), { To: NUMBER, Channel: channel, CustomCode: CODE });
        });
      }
    }

    test('a refusal is thrown with a reason that names neither number nor code', async () => {
      reply = (_, response) => answer(response, 429, { code: 60203, message: `Max send attempts for ${NUMBER}`, status: 429 });
      const failed = await run(messageOptions()).catch((error) => error);
      assert.ok(failed instanceof Error);
      assert.match(failed.message, /HTTP 429, code 60203: five sends without feedback/);
      assertClean(failed.message, { secrets: WITH_KEY, notification: { code: CODE, recipient: NUMBER } });
    });

    for (const [name, event, reason] of [
      ['no code', messageOptions({ code: undefined }), /without a code/],
      ['another message type', messageOptions({ message_type: 'email' }), /neither text nor voice/],
      ['no number', messageOptions({ recipient: 'jo@acme.example' }), /E\.164/],
      ['no secrets', { ...messageOptions(), secrets: {} }, /TWILIO_ACCOUNT_SID is missing/],
      ['no event', undefined, /./],
    ]) {
      test(`${name} is thrown before anything is sent`, async () => {
        await assert.rejects(run(event), (error) => error instanceof Error && reason.test(error.message));
        assert.equal(requests.length, 0);
      });
    }
  });
});

// A helper whose `create` is ours, for failures that no server can cause.
function fake(create) {
  return () => ({ verify: { v2: { services: () => ({ verifications: { create } }) } } });
}

function withResolvers() {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}
