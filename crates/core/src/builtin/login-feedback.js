'use strict';

// Auth0 Action for the trigger `post-login`, bound behind the Action that asks for factors: tells Verify at once that a
// code was used, by the number of the login. Without that, five sends in ten minutes lock a number out, and Fraud Guard
// judges blind. Auth0 shows the challenge of one Action before it runs the next, so this one sees what was proven.
//
// Secrets: TWILIO_VERIFY_SID, and TWILIO_API_KEY with TWILIO_API_SECRET: a restricted key that may only update
// verifications is enough. No dependencies.
//
// It cannot end a login, and holds it up for two seconds at most. Nothing that is printed holds a number, a secret or the
// vendor's words.

const crypto = require('crypto');

const API = 'https://verify.twilio.com/v2/Services';
const LIMIT_MS = 2000;
// What was proven earlier belongs to another login of the session, which had its feedback then. To report it again would
// approve a code that somebody else may have asked for since.
const FRESH_MS = 2 * 60 * 1000;
// A user has few phones. One of them was used, and nothing is left to approve for the others.
const NUMBERS_MAX = 3;

// Nobody proves anything in these: they stem from a login that had its feedback.
const SKIPPED = new Set(['oauth2-refresh-token', 'oauth2-token-exchange']);

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const list = (value) => (Array.isArray(value) ? value.filter(isObject) : []);
const text = (value) => (typeof value === 'string' ? value.trim() : '');

// A number in E.164 form, without the white space, hyphens and brackets that Auth0 stores in some; else undefined. The
// Action that sends does the same, or the feedback would miss the verification.
function e164(value) {
  const number = text(value).replace(/[\s()[\]-]+/g, '');
  return /^\+[1-9]\d{6,14}$/.test(number) ? number : undefined;
}

// The whole numbers that an object may name. Under which name the event has the number of a factor is not documented.
function numbersIn(value) {
  if (!isObject(value)) return [];
  const { phone_number: snake, phoneNumber: camel, name, identifier } = value;
  return [snake, camel, name, identifier].map(e164).filter(Boolean);
}

// A time that cannot be read, or that another clock is ahead with, speaks for this login.
function isFresh(method) {
  return !(Date.now() - Date.parse(method.timestamp) > FRESH_MS);
}

// What was proven in this login by a code on a phone: a second factor, or a passwordless login.
function proofs(event) {
  const factors = event.user?.enrolledFactors;
  // Some entries do not say which factor it was, and the list may lack a factor that was enrolled just now.
  const hasPhone = !Array.isArray(factors) || !factors.length || list(factors).some((factor) => factor.type === 'phone');
  const isPhone = (method) => (method.type === undefined ? hasPhone : method.type === 'phone');
  return list(event.authentication?.methods).filter(
    (method) => isFresh(method) && (method.name === 'sms' || (method.name === 'mfa' && isPhone(method))),
  );
}

// The numbers of a proof. A factor's own number goes before that of the profile, which may be another one.
function numbersOf(proof, user) {
  const own = numbersIn(proof);
  if (own.length) return own;
  const phones = proof.name === 'mfa' ? list(user.enrolledFactors).filter((factor) => factor.type === 'phone') : [];
  const ofFactors = phones.flatMap((factor) => [...numbersIn(factor.options), ...numbersIn(factor)]);
  if (ofFactors.length) return ofFactors;
  // The name of a user of the connection `sms` is the number.
  const profiles = list(user.identities).filter((one) => one.connection === 'sms').map((one) => one.profileData);
  const ofProfile = [e164(user.phone_number), ...(proof.name === 'sms' ? [e164(user.name)] : [])].filter(Boolean);
  return [...ofProfile, ...profiles.flatMap(numbersIn)].slice(0, 1);
}

async function approve(number, service, authorization) {
  const body = new URLSearchParams({ Status: 'approved' }).toString();
  const headers = { authorization, 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' };
  const url = `${API}/${service}/Verifications/${encodeURIComponent(number)}`;
  try {
    const signal = AbortSignal.timeout(LIMIT_MS);
    const response = await fetch(url, { method: 'POST', headers, body, redirect: 'error', signal });
    const reply = await response.json().catch(() => null);
    if (response.ok) return 'approved';
    // Approved before, by the log stream for example, or expired: nothing is left to do.
    if (response.status === 404) return 'nothing left to approve';
    const code = Number.isInteger(reply?.code) && reply.code >= 10000 && reply.code <= 99999 ? `, code ${reply.code}` : '';
    return `failed: HTTP ${response.status}${code}`;
  } catch {
    return 'failed: no answer in time';
  }
}

async function report(event, api) {
  if (SKIPPED.has(event.transaction?.protocol)) return;
  const user = isObject(event.user) ? event.user : {};
  // Another login of the session shows the same proof again.
  const key = (proof) =>
    crypto.createHash('sha256').update(`${user.user_id} ${proof.name} ${proof.timestamp}`).digest('base64').slice(0, 32);
  const open = proofs(event).filter((proof) => !proof.timestamp || !api.cache?.get(key(proof)));
  if (!open.length) return;

  const numbers = [...new Set(open.flatMap((proof) => numbersOf(proof, user)))].slice(0, NUMBERS_MAX);
  if (!numbers.length) {
    console.error('feedback failed: the event names no whole number; the log stream can report this login');
    return;
  }
  const secret = (name) => text(event.secrets?.[name]); // Pasted values bring line ends along.
  const [service, username, password] = ['TWILIO_VERIFY_SID', 'TWILIO_API_KEY', 'TWILIO_API_SECRET'].map(secret);
  if (!/^VA[0-9A-Za-z]+$/.test(service) || !username || !password) {
    console.error('feedback failed: the secrets TWILIO_VERIFY_SID, TWILIO_API_KEY and TWILIO_API_SECRET are needed');
    return;
  }
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  const outcomes = await Promise.all(numbers.map((number) => approve(number, service, authorization)));
  for (const outcome of outcomes) console[outcome.startsWith('failed') ? 'error' : 'log'](`feedback ${outcome}`);
  if (outcomes.some((outcome) => outcome.startsWith('failed'))) return;
  for (const proof of open) if (proof.timestamp) api.cache?.set(key(proof), '1', { ttl: FRESH_MS });
}

exports.onExecutePostLogin = async (event, api) => {
  try {
    await report(event, api);
  } catch {
    console.error('feedback failed: unexpected error');
  }
};
