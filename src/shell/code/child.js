'use strict';

// Runs one deployed version of an Action or a Function, one call at a time. Calls come and replies go as JSON lines on
// file descriptor 0, which is a socket, so what the code prints is never mixed with replies.
//
// In:  for each call {}, and after the answer {"handler":"onExecute…","event":{…},"secrets":{…}} or
//      {"handler":"handler","context":{…},"event":{…}}
// Out: {"ready":true} once; {"began":true} for {}; for a call any number of {"said":{"call":"…","arguments":[…]}} and at
//      its end {"done":…} or {"threw":{"class":"…","message":"…"}}

const net = require('node:net');
const path = require('node:path');

const line = new net.Socket({ fd: 0 });
Object.defineProperty(process, 'stdin', { value: undefined });
const tell = (message) => line.write(`${JSON.stringify(message)}\n`);
const utf8 = (text) => Buffer.byteLength(text);

const MESSAGE_MAX = 1024;
const cut = (text) => (text.length > MESSAGE_MAX ? text.slice(0, MESSAGE_MAX) : text);

// What was thrown, as two texts. Anything can be thrown, also what throws again when it is looked at.
function fault(error) {
  const read = (get) => {
    try {
      const value = get();
      return typeof value === 'string' ? value : undefined;
    } catch {
      return undefined;
    }
  };
  if (error instanceof Error || read(() => error.message) !== undefined) {
    const name = read(() => error.name) || read(() => error.constructor.name) || 'Error';
    return { class: cut(name), message: cut(read(() => error.message) ?? '') };
  }
  return { class: error === null ? 'null' : typeof error, message: cut(read(() => String(error)) ?? '') };
}

// The `api` object of each handler: the methods that only say something, by group. What follows from them is the
// caller's part.
const SAYS = {
  onExecuteCustomPhoneProvider: { notification: ['retry', 'drop'] },
  onExecuteSendPhoneMessage: {},
  onExecutePostLogin: {
    access: ['deny'],
    accessToken: ['setCustomClaim', 'addScope', 'removeScope'],
    authentication: ['challengeWith', 'challengeWithAny', 'enrollWith', 'enrollWithAny', 'recordMethod'],
    idToken: ['setCustomClaim'],
    multifactor: ['enable'],
    redirect: ['sendUserTo'],
    user: ['setAppMetadata', 'setUserMetadata'],
  },
};
// Auth0 keeps so many characters of a reason.
const REASON_MAX = 1024;

function apiOf(handler, say) {
  const api = { cache: cacheOf(handler) };
  for (const [group, methods] of Object.entries(SAYS[handler] ?? {})) {
    api[group] = {};
    for (const method of methods) {
      api[group][method] = (...args) => {
        if (group === 'notification') args = [String(args[0] ?? '').slice(0, REASON_MAX)];
        say({ call: `${group}.${method}`, arguments: args });
        return api;
      };
    }
  }
  return api;
}

// Auth0's limits of a trigger's cache. It lives as long as this process.
const CACHE = { entries: 20, age_ms: 24 * 3600 * 1000, default_ms: 15 * 60 * 1000, key: 64, value: 4096, all: 8192 };
const caches = new Map();

function cacheOf(handler) {
  if (!caches.has(handler)) caches.set(handler, new Map());
  const kept = caches.get(handler);
  const fresh = () => {
    for (const [key, { expires_at: at }] of kept) if (at <= Date.now()) kept.delete(key);
  };
  const error = (code) => ({ type: 'error', code });
  return {
    get(key) {
      fresh();
      const found = kept.get(key);
      return found && { ...found };
    },
    set(key, value, options = {}) {
      fresh();
      if (typeof key !== 'string' || typeof value !== 'string') return error('InvalidArgument');
      if (utf8(key) > CACHE.key) return error('KeySizeExceeded');
      if (utf8(value) > CACHE.value) return error('ValueSizeExceeded');
      const others = [...kept].filter(([name]) => name !== key);
      if (others.length >= CACHE.entries) return error('ItemCountExceeded');
      const size = others.reduce((sum, [name, record]) => sum + utf8(name) + utf8(record.value), utf8(key) + utf8(value));
      if (size > CACHE.all) return error('CacheSizeExceeded');
      const now = Date.now();
      const asked = [options?.ttl === undefined ? undefined : now + Number(options.ttl), options?.expires_at].map(Number);
      const told = asked.filter((at) => Number.isFinite(at));
      const until = Math.min(now + CACHE.age_ms, ...(told.length ? told : [now + CACHE.default_ms]));
      const record = { value, expires_at: until };
      kept.set(key, record);
      return { type: 'success', record: { ...record } };
    },
    delete(key) {
      return kept.delete(key) ? { type: 'success' } : error('ItemNotFound');
    },
  };
}

// Twilio's side: `Twilio.Response`, the helper if the Function depends on it, and what `callback` sends.
class Response {
  constructor() {
    Object.assign(this, { statusCode: 200, body: null, headers: {} });
  }
  setStatusCode(status) {
    this.statusCode = status;
    return this;
  }
  setBody(body) {
    this.body = body;
    return this;
  }
  setHeaders(headers) {
    for (const [name, value] of Object.entries(headers ?? {})) this.headers[name.toLowerCase()] = value;
    return this;
  }
  appendHeader(name, value) {
    const key = String(name).toLowerCase();
    const before = this.headers[key];
    this.headers[key] = before === undefined ? value : [].concat(before, value);
    return this;
  }
  setCookie(name, value, attributes = []) {
    const parts = [`${encodeURIComponent(name)}=${encodeURIComponent(value)}`, ...attributes];
    return this.appendHeader('set-cookie', parts.join(';'));
  }
  removeCookie(name) {
    return this.setCookie(name, '', ['Max-Age=0']);
  }
}

function reply(value) {
  const isObject = typeof value === 'object' && value !== null;
  if (value instanceof Response) {
    const headers = Object.fromEntries(
      Object.entries(value.headers).map(([name, text]) => [name, Array.isArray(text) ? text.map(String) : String(text)]),
    );
    const type = headers['content-type'];
    const isText = typeof value.body === 'string';
    if (!type) headers['content-type'] = isText ? 'text/plain' : 'application/json';
    const body = value.body === null || value.body === undefined ? '' : isText ? value.body : JSON.stringify(value.body);
    return { status: Number(value.statusCode), headers, body };
  }
  if (isObject && /^(Voice|Messaging|Fax)Response$/.test(value.constructor?.name)) {
    return { status: 200, headers: { 'content-type': 'text/xml' }, body: String(value) };
  }
  if (typeof value === 'string') return { status: 200, headers: { 'content-type': 'text/plain' }, body: value };
  return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) ?? '' };
}

function answerOf(handler, context, event) {
  // A call's own variables; the helper is loaded when it is asked for.
  const helper = () => load.require('twilio');
  context.getTwilioClient = (options) => helper()(context.ACCOUNT_SID, context.AUTH_TOKEN, options);
  return new Promise((resolve, reject) => {
    const callback = (error, value) => (error ? reject(error) : resolve(value));
    // What an async handler returns is not sent: only the callback ends a call.
    Promise.resolve(handler(context, event, callback)).catch(reject);
  }).then(reply);
}

const load = {
  file: path.join(__dirname, 'index.js'),
  require: require('node:module').createRequire(path.join(__dirname, 'index.js')),
  code: undefined,
};

async function run({ handler: name, event, secrets, context }, say) {
  // In one of Twilio's runtimes `Twilio` is there before the code is loaded.
  if (context && !globalThis.Twilio) {
    const own = { Response };
    globalThis.Twilio = new Proxy(own, { get: (_, key) => own[key] ?? load.require('twilio')[key] });
  }
  load.code ??= load.require(load.file);
  const handler = load.code?.[name];
  if (typeof handler !== 'function') throw new TypeError(`the code exports no function ${name}`);
  if (context) return answerOf(handler, context, event);
  event.secrets = secrets;
  await handler(event, apiOf(name, say));
  return null;
}

let calls = 0;

async function call(message) {
  // Asked whether it is there. Its answer tells the caller that what was printed so far belongs to earlier calls.
  if (!message.handler) {
    tell({ began: true });
    return;
  }
  calls += 1;
  // What the code says after the end of its call belongs to no call.
  let isOpen = true;
  let told;
  try {
    told = { done: await run(message, (command) => isOpen && tell({ said: command })) };
  } catch (error) {
    told = { threw: fault(error) };
  }
  isOpen = false;
  calls -= 1;
  tell(told);
}

require('./wall.js').build(Number(process.argv[2]), line._handle);

// A fault outside of the call's own promise: of a timer, or a promise that nobody waits for. What it leaves behind is
// not known, so this process ends with the call that it met.
const stray = (error) => {
  if (calls) tell({ threw: { ...fault(error), stray: true } });
  line.end(() => process.reallyExit(1));
};
process.on('uncaughtException', stray);
process.on('unhandledRejection', stray);

// What is printed has left this process when the call's end is told, and printing waits for the reader.
for (const stream of [process.stdout, process.stderr]) stream._handle.setBlocking(true);

let rest = '';
line.setEncoding('utf8');
line.on('data', (text) => {
  const lines = (rest + text).split('\n');
  rest = lines.pop();
  // A turn of the loop first: what an earlier call left behind fails before this one begins.
  for (const one of lines) setImmediate(() => setImmediate(call, JSON.parse(one)));
});
line.on('close', () => process.reallyExit(0));
line.on('error', () => process.reallyExit(0));
tell({ ready: true });
