'use strict';

// Twilio Function that receives Auth0's log stream and tells Verify which codes were used. Without it five sends in ten
// minutes lock a number out, and Fraud Guard judges blind.
//
// Variables: WEBHOOK_SECRET (the value of the stream's Authorization header), TWILIO_VERIFY_SID, and TWILIO_API_KEY with
// TWILIO_API_SECRET: a restricted key that may only update verifications is enough. WEBHOOK_SECRET_PREVIOUS is accepted
// beside the first while a new one is on its way to the stream.
//
// The stream has to send JSONARRAY or JSONOBJECT as application/json: of anything else a Function sees an empty body.
// No dependencies. Nothing that is logged or answered holds a whole number, a header, a secret, or the vendor's words.

const crypto = require('crypto');
const fs = require('fs');

const API = 'https://verify.twilio.com/v2/Services';
// Twilio ends a Function after 10 s. A call that could outlast this is not begun; Auth0 sends the batch again then, and
// what was done by then costs a quick 404.
const BUDGET_MS = 8500;
const CALL_LIMIT_MS = 3000;
const PARALLEL_MAX = 10;
// A verification lives for ten minutes; later there is nothing left to approve.
const AGE_MAX_MS = 10 * 60 * 1000;

// A second factor was passed or enrolled.
const TYPES = new Set(['gd_auth_succeed', 'gd_enrollment_complete']);
// The connection of logins by a code in a text message. Their success is the event `s`, like that of every other login.
const PASSWORDLESS = 'sms';

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const text = (value) => (typeof value === 'string' ? value.trim() : '');

// First digits of the hash of this file: tells which code serves, and nothing else.
function build() {
  try {
    return crypto.createHash('sha256').update(fs.readFileSync(__filename)).digest('hex').slice(0, 16);
  } catch {
    return 'unknown';
  }
}

// The header as it is, and read as UTF-8: Node decodes headers as Latin-1.
function headerForms(event) {
  // Body and query can overwrite `event.request`, so nothing about its shape is certain.
  const headers = isObject(event.request) && isObject(event.request.headers) ? event.request.headers : {};
  const header = Object.hasOwn(headers, 'authorization') ? text(headers.authorization) : '';
  return header ? [header, Buffer.from(header, 'latin1').toString('utf8')] : [];
}

// Equal length by hashing, and no early end: the time tells nothing of the secret.
function authorized(forms, secrets) {
  const hash = (value) => crypto.createHash('sha256').update(value).digest();
  let found = false;
  for (const secret of secrets) {
    for (const form of forms) found = crypto.timingSafeEqual(hash(form), hash(secret)) || found;
  }
  return found;
}

// A JSON array arrives as "0", "1" and so on; a JSON object as itself.
function recordsOf(event) {
  const records = Object.keys(event).filter((key) => /^\d+$/.test(key)).map((key) => event[key]);
  if (isObject(event.data) || typeof event.type === 'string') records.push(event);
  return records.filter(isObject).map((record) => (isObject(record.data) ? record.data : record));
}

// A number in E.164 form, without the white space, hyphens and brackets that Auth0 stores in some; else undefined. The
// Action does the same, or the feedback would miss the verification.
function e164(value) {
  const number = value.replace(/[\s()[\]-]+/g, '');
  return /^\+[1-9]\d{6,14}$/.test(number) ? number : undefined;
}

// Every text of a record, to a bounded depth and number: where a passwordless login has its number is not documented.
function textsOf(value, texts = [], depth = 0) {
  if (typeof value === 'string') texts.push(value);
  else if (typeof value === 'object' && value !== null && depth < 6) {
    for (const inner of Object.values(value)) {
      if (texts.length >= 500) break;
      textsOf(inner, texts, depth + 1);
    }
  }
  return texts;
}

// The first whole number among the places that may hold one, or why there is none: `masked`, `unusable` (hashed, without
// a plus, or in another format), or `without` (another factor than the phone).
function numberOf(data) {
  const details = isObject(data.details) ? data.details : {};
  const authenticator = isObject(details.authenticator) ? details.authenticator : {};
  const enrollment = isObject(details.enrollment) ? details.enrollment : {};
  const phones = [authenticator.phone_number, enrollment.phone_number].map(text).filter(Boolean);
  const names = [enrollment.name, enrollment.identifier].map(text).filter(Boolean);
  const others = data.type === 's' ? [text(data.user_name), ...textsOf(data)].filter(Boolean) : [];
  const number = [...phones, ...names, ...others].map(e164).find(Boolean);
  if (number) return { number };
  const isMasked = (value) => /^[+\d().*\sxX-]{4,}$/.test(value) && /[*xX]/.test(value);
  if ([...phones, ...names, ...others].some(isMasked)) return { lacks: 'masked' };
  // A passwordless login always has a number, so one that shows none has it in a form nobody knows.
  return { lacks: phones.length || data.type === 's' ? 'unusable' : 'without' };
}

// Whether the event tells of a code that was used.
function tells(data) {
  return TYPES.has(data.type) || (data.type === 's' && data.connection === PASSWORDLESS);
}

async function approve(number, service, authorization, limit) {
  const body = new URLSearchParams({ Status: 'approved' }).toString();
  const url = `${API}/${service}/Verifications/${encodeURIComponent(number)}`;
  const headers = { authorization, 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' };
  let response;
  let reply;
  try {
    response = await fetch(url, { method: 'POST', headers, body, redirect: 'error', signal: AbortSignal.timeout(limit) });
    reply = await response.json().catch(() => null);
  } catch {
    if (!response) return { outcome: 'retry', why: 'no answer' };
  }
  const code = Number.isInteger(reply?.code) && reply.code >= 10000 && reply.code <= 99999 ? `, code ${reply.code}` : '';
  const why = `HTTP ${response.status}${code}`;
  if (response.ok) return { outcome: 'approved' };
  // Approved before, expired, or sent another way: nothing is left to do.
  if (response.status === 404) return { outcome: 'gone' };
  if (response.status === 401 || response.status === 403) return { outcome: 'refused', why };
  if (response.status === 408 || response.status === 429 || response.status >= 500) return { outcome: 'retry', why };
  // Another 4xx is about this number alone, and would be the same the next time.
  return { outcome: 'rejected', why };
}

async function receive(context, event) {
  const started = Date.now();
  const forms = headerForms(event);
  // A look at whether it lives: no method is told, so it is a request that brings nothing.
  if (!forms.length && Object.keys(event).every((key) => key === 'request')) return [200, { build: build() }];

  const secrets = [text(context.WEBHOOK_SECRET), text(context.WEBHOOK_SECRET_PREVIOUS)].filter(Boolean);
  if (!secrets.length) return [500, { error: 'the variable WEBHOOK_SECRET is missing' }];
  if (!authorized(forms, secrets)) return [401, { error: 'not authorized' }];

  const records = recordsOf(event);
  if (!records.length) {
    return [400, { error: 'no event found: the stream has to send JSONARRAY or JSONOBJECT as application/json' }];
  }

  const service = text(context.TWILIO_VERIFY_SID);
  const [key, secret] = [text(context.TWILIO_API_KEY), text(context.TWILIO_API_SECRET)];
  if (!/^VA[0-9A-Za-z]+$/.test(service)) return [500, { error: 'the variable TWILIO_VERIFY_SID is no SID of a service' }];
  if (!key || !secret) return [500, { error: 'the variables TWILIO_API_KEY and TWILIO_API_SECRET are needed' }];
  const authorization = `Basic ${Buffer.from(`${key}:${secret}`).toString('base64')}`;

  const count = { approved: 0, gone: 0, retry: 0, refused: 0, rejected: 0, other: 0, old: 0, masked: 0, unusable: 0, without: 0 };
  const numbers = new Set();
  for (const data of records) {
    if (!tells(data)) {
      count.other += 1;
    } else if (started - Date.parse(data.date) > AGE_MAX_MS) {
      count.old += 1;
    } else {
      const { number, lacks } = numberOf(data);
      if (number) numbers.add(number);
      else count[lacks] += 1;
    }
  }

  const queue = [...numbers];
  const work = async () => {
    for (let number = queue.shift(); number; number = queue.shift()) {
      const left = BUDGET_MS - (Date.now() - started);
      const { outcome, why } =
        left < CALL_LIMIT_MS
          ? { outcome: 'retry', why: 'no time left' }
          : await approve(number, service, authorization, CALL_LIMIT_MS);
      count[outcome] += 1;
      if (why) console.error(`feedback for a number ending in ${number.slice(-2)}: ${why}`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL_MAX, queue.length) }, work));

  if (count.masked) console.error(`${count.masked} events hold a masked number: take phone out of the stream's masked fields`);
  if (count.unusable) {
    console.error(`${count.unusable} events of a phone hold no number in E.164 form (hashed, without a plus, or another format)`);
  }
  console.log(Object.entries(count).filter(([, n]) => n).map(([name, n]) => `${name} ${n}`).join(', '));
  // A refused key is for a person to mend: the stream shows the failure, and its events wait.
  if (count.refused) return [502, { error: 'Twilio refused the key of the Function', ...count }];
  if (count.retry) return [503, { error: 'Verify did not take all of it', ...count }];
  return [200, count];
}

exports.handler = (context, event, callback) => {
  const answer = ([status, body]) => {
    const response = new Twilio.Response();
    response.setStatusCode(status);
    response.appendHeader('Content-Type', 'application/json');
    response.setBody(body);
    callback(null, response);
  };
  // Every way ends in the callback: an answer that is only returned is not sent by older runtimes.
  receive(context, isObject(event) ? event : {}).catch(() => {
    console.error('unexpected error');
    return [500, { error: 'unexpected error' }];
  }).then(answer);
};
