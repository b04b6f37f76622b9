// Tests of the built-in Action for `post-login`, run as Auth0 runs it: one handler, an event, and an `api` that records
// the calls and refuses what the real one refuses.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import vm from 'node:vm';

const source = readFileSync(new URL('../../crates/core/src/builtin/mfa-post-login.js', import.meta.url), 'utf8');

const NOW = Date.parse('2026-11-20T12:00:00.000Z');
const ENROLLABLE = ['otp', 'phone', 'push-notification', 'webauthn-platform', 'webauthn-roaming'];

class FixedDate extends Date {
  static now() {
    return NOW;
  }
}

// The Action with these rules at the place that the manifest fills.
function load(rules) {
  const parts = /^([^]*\/\/ lockstep:rules begin\n)const RULES = \[\];\n(\/\/ lockstep:rules end\n[^]*)$/.exec(source);
  assert.ok(parts, 'the markers stand in the code');
  const whole = rules.map((rule, at) => ({ name: `r${at}`, require: 'mfa', factors: ['any'], ...rule }));
  const code = `${parts[1]}const RULES = ${JSON.stringify(whole, null, 2)};\n${parts[2]}`;
  const scope = { exports: {}, Date: FixedDate, require: () => assert.fail('it needs no package') };
  vm.compileFunction(code, Object.keys(scope), { filename: 'mfa-post-login.js' })(...Object.values(scope));
  assert.deepEqual(Object.keys(scope.exports), ['onExecutePostLogin']);
  return scope.exports.onExecutePostLogin;
}

// What a login is asked for: `['challenge', [types]]`, `['enroll', [types]]`, `['mfa_required']`.
async function asked(rules, event, { broken = false } = {}) {
  const calls = [];
  const call = (act, known) => (factors) => {
    if (broken) throw new Error('MFA customized via PostLogin action but feature is not enabled.');
    assert.ok(factors.length > 0, `${act} with nothing ends the login`);
    for (const { type } of factors) assert.ok(known.includes(type), `${act} does not know ${type}`);
    calls.push([act, factors.map(({ type, options }) => (options ? `${type}:${options.preferredMethod}` : type))]);
  };
  const api = {
    authentication: {
      challengeWithAny: call('challenge', [...ENROLLABLE, 'email', 'recovery-code']),
      enrollWithAny: call('enroll', [...ENROLLABLE, 'recovery-code']),
    },
    multifactor: {
      enable: (provider, options) => {
        assert.equal(provider, 'any');
        assert.deepEqual({ ...options }, { allowRememberBrowser: false });
        calls.push(['mfa_required']);
      },
    },
  };
  assert.equal(await load(rules)(event, api), undefined);
  return calls;
}

function login({ enrolled = [], methods = [], ...rest } = {}) {
  return {
    authentication: { methods: [{ name: 'pwd', timestamp: '2026-11-20T11:59:00.000Z' }, ...methods] },
    authorization: { roles: ['Admin'] },
    client: { client_id: 'app1', name: 'App' },
    connection: { id: 'con_1', name: 'users', strategy: 'auth0' },
    organization: { id: 'org_1', name: 'acme' },
    transaction: { protocol: 'oidc-basic-profile' },
    user: { user_id: 'auth0|1', enrolledFactors: enrolled.map((type) => ({ type })) },
    ...rest,
  };
}

const mfa = (type, timestamp = '2026-11-20T11:00:00.000Z') => ({ name: 'mfa', timestamp, ...(type && { type }) });
const CHALLENGED = [['challenge', ['otp']]];

describe('which logins', () => {
  const fits = async (rule, event = {}) => (await asked([rule], login({ enrolled: ['otp'], ...event }))).length > 0;

  test('each condition by itself', async () => {
    const rows = [
      [{}, true],
      [{ applications: ['app1'] }, true],
      [{ applications: ['app2'] }, false],
      [{ organizations: ['org_1'] }, true],
      [{ organizations: ['other', 'acme'] }, true],
      [{ organizations: ['other'] }, false],
      [{ roles: ['Owner', 'Admin'] }, true],
      [{ roles: ['admin'] }, false],
      [{ connections: ['users'] }, true],
      [{ connections: ['auth0'] }, true],
      [{ connections: ['samlp'] }, false],
      [{ applications: [] }, false],
    ];
    for (const [rule, expected] of rows) assert.equal(await fits(rule), expected, JSON.stringify(rule));
  });

  test('all kinds of conditions have to fit, one entry of each list is enough', async () => {
    assert.equal(await fits({ applications: ['app2', 'app1'], roles: ['Admin'], organizations: ['acme'] }), true);
    assert.equal(await fits({ applications: ['app1'], roles: ['Owner'] }), false);
  });

  test('what the event does not have fits no condition, and breaks nothing', async () => {
    const gone = { authorization: undefined, client: undefined, connection: undefined, organization: undefined };
    for (const key of ['applications', 'organizations', 'roles', 'connections']) {
      assert.equal(await fits({ [key]: ['undefined', ''] }, gone), false, key);
    }
    assert.deepEqual(await asked([{}], {}), [['enroll', ENROLLABLE]]);
    assert.deepEqual(await asked([], login()), []);
  });
});

describe('which factors', () => {
  test('an enrolled factor of the rule is asked for', async () => {
    const rows = [
      [['any'], ['phone', 'otp'], [['challenge', ['otp', 'phone']]]],
      [['phone'], ['phone', 'otp'], [['challenge', ['phone']]]],
      [['any'], ['email'], [['challenge', ['email']]]],
      [['any'], [], [['enroll', ENROLLABLE]]],
      [['otp', 'phone'], [], [['enroll', ['otp', 'phone']]]],
      // A stolen password alone must not be enough to enrol.
      [['webauthn-roaming'], ['otp'], [['challenge', ['otp']], ['enroll', ['webauthn-roaming']]]],
      [['any'], ['recovery-code'], [['challenge', ['recovery-code']], ['enroll', ENROLLABLE]]],
      [['otp', 'recovery-code'], ['otp', 'recovery-code'], [['challenge', ['otp', 'recovery-code']]]],
      [['any'], ['unheard-of', null], [['enroll', ENROLLABLE]]],
    ];
    for (const [factors, enrolled, expected] of rows) {
      assert.deepEqual(await asked([{ factors }], login({ enrolled })), expected, `${factors} / ${enrolled}`);
    }
  });

  test('only those who have one are asked, if the rule says so', async () => {
    const rule = { require: 'mfa_if_enrolled', factors: ['otp', 'recovery-code'] };
    assert.deepEqual(await asked([rule], login({ enrolled: ['otp'] })), CHALLENGED);
    assert.deepEqual(await asked([rule], login({ enrolled: ['phone'] })), []);
    assert.deepEqual(await asked([rule], login({ enrolled: ['recovery-code'] })), []);
    assert.deepEqual(await asked([rule], login()), []);
  });

  test('a rule about enrolment asks nobody who is enrolled', async () => {
    const rule = { require: 'enrollment', factors: ['any'] };
    assert.deepEqual(await asked([rule], login({ enrolled: ['phone'] })), []);
    assert.deepEqual(await asked([rule], login()), [['enroll', ENROLLABLE]]);
    // A verified email address is not an enrolled factor.
    assert.deepEqual(await asked([rule], login({ enrolled: ['email'] })), [['challenge', ['email']], ['enroll', ENROLLABLE]]);
  });

  test('the phone is asked in the way that the stack sends', async () => {
    const rule = { factors: ['phone'], phone: 'both' };
    assert.deepEqual(await asked([rule], login({ enrolled: ['phone'] })), [['challenge', ['phone:both']]]);
    assert.deepEqual(await asked([rule], login()), [['enroll', ['phone:both']]]);
  });
});

describe('several rules', () => {
  const rules = (...lists) => lists.map((factors) => ({ factors }));
  test('their order means nothing', async () => {
    const lists = [['otp', 'phone'], ['phone', 'webauthn-roaming'], ['phone']];
    const event = login({ enrolled: ['otp', 'phone', 'webauthn-roaming'] });
    assert.deepEqual(await asked(rules(...lists), event), [['challenge', ['phone']]]);
    assert.deepEqual(await asked(rules(...lists.reverse()), event), [['challenge', ['phone']]]);
  });

  test('without a factor in common each is asked, and no answer is asked for twice', async () => {
    const rows = [
      [[['otp'], ['webauthn-roaming']], ['otp', 'webauthn-roaming'], [['challenge', ['otp']], ['challenge', ['webauthn-roaming']]]],
      [
        [['otp', 'phone'], ['phone', 'webauthn-roaming'], ['otp', 'webauthn-roaming']],
        ['otp', 'webauthn-roaming'],
        [['challenge', ['otp']], ['challenge', ['webauthn-roaming']]],
      ],
      [[['otp'], ['webauthn-roaming']], [], [['enroll', ['otp']], ['enroll', ['webauthn-roaming']]]],
      [[['otp'], ['webauthn-roaming']], ['otp'], [['challenge', ['otp']], ['enroll', ['webauthn-roaming']]]],
      [[['any'], ['otp']], ['otp', 'phone'], [['challenge', ['otp']]]],
    ];
    for (const [lists, enrolled, expected] of rows) {
      assert.deepEqual(await asked(rules(...lists), login({ enrolled })), expected, JSON.stringify([lists, enrolled]));
    }
  });
});

describe('what was proven before', () => {
  const event = (...methods) => login({ enrolled: ['otp'], methods });
  test('a factor of the rule counts as long as the session', async () => {
    assert.deepEqual(await asked([{ factors: ['otp'] }], event(mfa('otp'))), []);
    assert.deepEqual(await asked([{ factors: ['otp'] }], event(mfa('phone'))), CHALLENGED);
    assert.deepEqual(await asked([{}], event(mfa('phone'))), []);
  });

  test('an entry that does not say which factor it was meets only a rule that takes any', async () => {
    assert.deepEqual(await asked([{}], event(mfa())), []);
    assert.deepEqual(await asked([{ factors: ['otp'] }], event(mfa())), CHALLENGED);
  });

  test('or as many hours as the rule says', async () => {
    const rows = [
      [2, '2026-11-20T11:00:00.000Z', []],
      [1, '2026-11-20T10:59:59.000Z', CHALLENGED],
      [0, '2026-11-20T11:59:59.999Z', CHALLENGED],
      [2, 'not a time', CHALLENGED],
    ];
    for (const [remember_hours, timestamp, expected] of rows) {
      assert.deepEqual(await asked([{ remember_hours }], event(mfa('otp', timestamp))), expected, timestamp);
    }
  });

  test('who proved another factor enrols without proving it again', async () => {
    const rule = { factors: ['webauthn-roaming'] };
    assert.deepEqual(await asked([rule], event(mfa('otp'))), [['enroll', ['webauthn-roaming']]]);
  });
});

describe('logins without a page', () => {
  const by = (protocol, enrolled = ['otp']) => login({ enrolled, transaction: { protocol } });
  test('a refresh token and a token exchange are not asked', async () => {
    for (const protocol of ['oauth2-refresh-token', 'oauth2-token-exchange']) {
      assert.deepEqual(await asked([{}], by(protocol)), [], protocol);
    }
  });

  test('a password grant is answered mfa_required, for whom the rule asks', async () => {
    for (const protocol of ['oauth2-password', 'oauth2-resource-owner', 'oauth2-access-token']) {
      assert.deepEqual(await asked([{}], by(protocol)), [['mfa_required']], protocol);
      assert.deepEqual(await asked([{ roles: ['Owner'] }], by(protocol)), [], protocol);
      assert.deepEqual(await asked([{ require: 'mfa_if_enrolled' }], by(protocol, [])), [], protocol);
    }
  });

  test('a silent login is asked like any other, or an open session would get round the rule', async () => {
    const event = { ...login({ enrolled: ['otp'] }), request: { query: { prompt: 'none' } } };
    assert.deepEqual(await asked([{}], event), CHALLENGED);
  });
});

describe('never an error', () => {
  test('a refused call asks for any factor instead', async () => {
    assert.deepEqual(await asked([{}], login({ enrolled: ['otp'] }), { broken: true }), [['mfa_required']]);
  });

  test('nor by an event of another shape', async () => {
    const rows = [
      { user: { enrolledFactors: 'otp' } },
      { user: null },
      { authentication: { methods: [null, 7] } },
      { authorization: { roles: 'Admin' } },
      { transaction: null },
    ];
    for (const part of rows) {
      const calls = await asked([{}], { ...login(), ...part });
      assert.deepEqual(calls, [['enroll', ENROLLABLE]], JSON.stringify(part));
    }
  });
});
