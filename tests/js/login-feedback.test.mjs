// Tests of the built-in Action that gives feedback at the end of a login, run as Auth0 runs it: one handler, an event and
// an `api`. Verify is what stands for `fetch`.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';
import vm from 'node:vm';

const source = readFileSync(new URL('../../crates/core/src/builtin/login-feedback.js', import.meta.url), 'utf8');
const require = createRequire(import.meta.url);

const SERVICE = `VA${'b2'.repeat(16)}`;
const KEY = `SK${'c3'.repeat(16)}`;
const KEY_SECRET = 'kEySeCrEt0123456789kEySeCrEt0123';
const NUMBER = '+15005550006';
const OTHER = '+15005550007';
const SECRETS = { TWILIO_VERIFY_SID: SERVICE, TWILIO_API_KEY: KEY, TWILIO_API_SECRET: `${KEY_SECRET}\n` };

const at = (seconds) => new Date(Date.now() - seconds * 1000).toISOString();
const mfa = (more = {}) => ({ name: 'mfa', type: 'phone', timestamp: at(1), ...more });
const sms = (more = {}) => ({ name: 'sms', timestamp: at(1), ...more });
const phone = (options = { phone_number: NUMBER }) => ({ type: 'phone', options });

function login({ methods = [mfa()], user = {}, ...rest } = {}) {
  return {
    authentication: { methods: [{ name: 'pwd', timestamp: at(2) }, ...methods] },
    transaction: { protocol: 'oidc-basic-profile' },
    secrets: SECRETS,
    user: { user_id: 'auth0|1', enrolledFactors: [phone()], ...user },
    ...rest,
  };
}

// An `api` like Auth0's, with a cache; every other method would change the login.
function apiOf() {
  const kept = new Map();
  return { cache: { get: (key) => kept.get(key), set: (key, value, options) => kept.set(key, { value, ...options }) }, kept };
}

const answer = (status, body) => async () => new Response(JSON.stringify(body), { status });
const APPROVED = answer(200, { status: 'approved' });
const GONE = answer(404, { code: 20404, status: 404, message: `no verification of ${NUMBER}` });

// Runs the Action over these events, and tells its requests and what it printed.
async function run(events, { reply = APPROVED, api = apiOf() } = {}) {
  const [requests, said] = [[], []];
  const fetch = async (url, options) => {
    requests.push({ url, ...options });
    return reply(url, options);
  };
  const print = (line) => said.push(line);
  const scope = { exports: {}, require, fetch, console: { log: print, error: print }, Buffer, URLSearchParams, AbortSignal };
  vm.compileFunction(source, Object.keys(scope), { filename: 'login-feedback.js' })(...Object.values(scope));
  assert.deepEqual(Object.keys(scope.exports), ['onExecutePostLogin']);
  for (const event of [events].flat()) assert.equal(await scope.exports.onExecutePostLogin(event, api), undefined);
  for (const line of said) {
    assert.ok(!/\d{6}|SK|VA|kEy/.test(line), `what is printed holds no number and no secret: ${line}`);
  }
  return { requests, said, numbers: requests.map(({ url }) => decodeURIComponent(url.split('/').at(-1))) };
}

const numbers = async (event, options) => (await run(event, options)).numbers;

test('the request approves the verification of the number, by the key of the secrets', async () => {
  const { requests, said } = await run(login());
  assert.equal(requests.length, 1);
  const [{ url, method, body, headers, redirect, signal }] = requests;
  assert.equal(url, `https://verify.twilio.com/v2/Services/${SERVICE}/Verifications/%2B15005550006`);
  assert.deepEqual([method, body, redirect], ['POST', 'Status=approved', 'error']);
  assert.equal(headers.authorization, `Basic ${Buffer.from(`${KEY}:${KEY_SECRET}`).toString('base64')}`);
  assert.ok(signal instanceof AbortSignal);
  assert.deepEqual(said, ['feedback approved']);
});

describe('which logins', () => {
  test('a proof by the phone in this login, and no other', async () => {
    const otp = [{ type: 'otp' }];
    const rows = [
      ['by the phone', login(), 1],
      ['the kind of factor is not told', login({ methods: [mfa({ type: undefined })] }), 1],
      ['without a time', login({ methods: [mfa({ timestamp: undefined })] }), 1],
      ['by another factor', login({ methods: [mfa({ type: 'otp' })] }), 0],
      ['not told, and no phone enrolled', login({ methods: [mfa({ type: undefined })], user: { enrolledFactors: otp, phone_number: NUMBER } }), 0],
      ['nothing was asked', login({ methods: [] }), 0],
      ['earlier in the session', login({ methods: [mfa({ timestamp: at(180) })] }), 0],
      ['by a clock that is ahead', login({ methods: [mfa({ timestamp: at(-600) })] }), 1],
      ['enrolled just now', login({ methods: [mfa({ type: undefined })], user: { enrolledFactors: [], phone_number: NUMBER } }), 1],
      ['a refresh token', login({ transaction: { protocol: 'oauth2-refresh-token' } }), 0],
      ['a token exchange', login({ transaction: { protocol: 'oauth2-token-exchange' } }), 0],
      ['no methods', login({ authentication: {} }), 0],
      ['nothing known', {}, 0],
    ];
    for (const [what, event, count] of rows) assert.equal((await numbers(event)).length, count, what);
  });

  test('a passwordless login, by the number of the user', async () => {
    const users = [
      { phone_number: NUMBER },
      { name: NUMBER },
      { identities: [{ connection: 'sms', profileData: { phone_number: NUMBER, phone_verified: true } }] },
    ];
    for (const user of users) {
      const event = login({ methods: [sms()], user: { enrolledFactors: [], ...user } });
      assert.deepEqual(await numbers(event), [NUMBER], JSON.stringify(user));
    }
  });

  test('both kinds in one login are reported, each number once', async () => {
    assert.deepEqual(await numbers(login({ methods: [sms(), mfa()], user: { phone_number: OTHER } })), [OTHER, NUMBER]);
    assert.deepEqual(await numbers(login({ methods: [sms(), mfa()], user: { phone_number: NUMBER } })), [NUMBER]);
  });

  test('a proof is reported once, and the next one again', async () => {
    const first = login();
    assert.equal((await run([first, first, first])).requests.length, 1);
    assert.equal((await run([first, first], { reply: GONE })).requests.length, 1);
    assert.equal((await run([first, login({ methods: [mfa({ timestamp: at(0) })] })])).requests.length, 2);
    assert.equal((await run([first, login({ methods: first.authentication.methods, user: { user_id: 'auth0|2' } })])).requests.length, 2);
  });

  test('what Verify did not take is tried again with the next login', async () => {
    assert.equal((await run([login({ methods: [] }), ...Array(2).fill(login())], { reply: answer(503, {}) })).requests.length, 2);
  });

  test('the cache holds no number and no user, and is not needed', async () => {
    const api = apiOf();
    await run(login(), { api });
    const [[key, { ttl }]] = [...api.kept];
    assert.ok(Buffer.byteLength(key) <= 64 && !key.includes('auth0') && !key.includes('5005550006'));
    assert.equal(ttl, 120_000);
    assert.equal((await run(login(), { api: {} })).requests.length, 1);
  });
});

describe('which number', () => {
  test('wherever the event may name it, without the marks that Auth0 stores', async () => {
    const rows = [
      [{ enrolledFactors: [phone({ phoneNumber: NUMBER })] }, [NUMBER]],
      [{ enrolledFactors: [phone({ name: '+1 (500) 555-0006' })] }, [NUMBER]],
      [{ enrolledFactors: [{ type: 'phone', phone_number: NUMBER }] }, [NUMBER]],
      [{ enrolledFactors: [{ type: 'phone' }], phone_number: NUMBER }, [NUMBER]],
      [{ enrolledFactors: [{ type: 'phone', options: null }], phone_number: '+1 500 555 0006' }, [NUMBER]],
      [{ enrolledFactors: undefined, phone_number: NUMBER }, [NUMBER]],
      [{ enrolledFactors: [phone()], phone_number: OTHER }, [NUMBER]],
      [{ enrolledFactors: [phone(), phone({ phone_number: OTHER })] }, [NUMBER, OTHER]],
      [{ enrolledFactors: [{ type: 'otp', options: { name: OTHER } }, phone()] }, [NUMBER]],
    ];
    for (const [user, expected] of rows) assert.deepEqual(await numbers(login({ user })), expected, JSON.stringify(user));
    const own = login({ methods: [mfa({ phone_number: OTHER })] });
    assert.deepEqual(await numbers(own), [OTHER], 'the proof itself says it best');
    const many = [1, 2, 3, 4, 5].map((digit) => phone({ phone_number: `+1500555000${digit}` }));
    assert.equal((await numbers(login({ user: { enrolledFactors: many } }))).length, 3);
  });

  test('a masked, missing or odd one is told, and nothing is sent', async () => {
    for (const name of ['XXXXXXX0006', '+1*****0006', '15005550006', '+0123456789', '', 5, null, '+15005550006/../x']) {
      const { requests, said } = await run(login({ user: { enrolledFactors: [phone({ phone_number: name })] } }));
      assert.equal(requests.length, 0, String(name));
      assert.match(said.join(), /names no whole number/);
    }
  });
});

describe('it cannot break a login', () => {
  test('whatever Verify answers', async () => {
    const rows = [
      [APPROVED, 'feedback approved'],
      [GONE, 'feedback nothing left to approve'],
      [answer(401, { code: 20003, message: NUMBER }), 'feedback failed: HTTP 401, code 20003'],
      [answer(403, { code: 70051 }), 'feedback failed: HTTP 403, code 70051'],
      [answer(400, { code: 60200 }), 'feedback failed: HTTP 400, code 60200'],
      [answer(429, { code: 20429 }), 'feedback failed: HTTP 429, code 20429'],
      [answer(500, { code: Number(NUMBER) }), 'feedback failed: HTTP 500'],
      [async () => new Response('<html>', { status: 502 }), 'feedback failed: HTTP 502'],
      [async () => { throw new TypeError(`fetch failed for ${NUMBER}`); }, 'feedback failed: no answer in time'],
    ];
    for (const [reply, words] of rows) assert.deepEqual((await run(login(), { reply })).said, [words]);
  });

  test('a Verify that says nothing holds it up for two seconds', async () => {
    const began = Date.now();
    const never = (_, { signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    // A timeout of an AbortSignal keeps no process alive.
    const alive = setTimeout(() => {}, 10_000);
    const { said } = await run(login(), { reply: never });
    clearTimeout(alive);
    assert.deepEqual(said, ['feedback failed: no answer in time']);
    assert.ok(Date.now() - began < 4000);
  });

  test('whatever the event holds', async () => {
    const odd = [null, 5, 'x', [], [null], {}];
    for (const value of odd) {
      await run([
        login({ authentication: value }),
        login({ authentication: { methods: value } }),
        login({ user: value }),
        login({ user: { enrolledFactors: value, identities: value, phone_number: value } }),
        login({ transaction: value }),
        login({ secrets: value }),
      ]);
    }
  });

  test('a secret that is missing is told', async () => {
    for (const name of Object.keys(SECRETS)) {
      const { requests, said } = await run(login({ secrets: { ...SECRETS, [name]: '' } }));
      assert.equal(requests.length, 0);
      assert.match(said.join(), /are needed/);
    }
    assert.equal((await run(login({ secrets: { ...SECRETS, TWILIO_VERIFY_SID: 'VA/../x' } }))).requests.length, 0);
  });

  test('it does not read as an Action that asks for factors', () => {
    assert.ok(!/challengeWith|enrollWith|multifactor/.test(source));
  });
});
