
// Which rate limits of the Verify service are passed, and what each counts: 'recipient', 'user' or 'ip'. Lockstep puts
// the manifest's verify_service.rate_limits here. Verify refuses a name that its service does not have.
const RATE_LIMITS = {}; // lockstep:rate-limits

// Auth0 ends the Action after 20 s without a verdict. The helper's own limit does not count the wait for a free socket
// or a body that trickles in, so a second limit covers the whole send and still leaves time to report.
const REQUEST_LIMIT_MS = 10000;
const SEND_LIMIT_MS = 14000;

const CREDENTIALS = 'the credentials were refused; check TWILIO_ACCOUNT_SID and the key or token in the secrets';
const HINTS = new Map([
  [20003, CREDENTIALS],
  [20403, 'the Twilio account is suspended or closed'],
  [20404, 'these credentials see no service with this SID; check TWILIO_VERIFY_SID'],
  [20429, 'too many at once, or a rate limit of the Verify service is used up'],
  [21608, 'a trial account sends to verified numbers only; verify the number or upgrade the account'],
  [60200, 'Twilio refused a parameter: mostly no such number can exist, or a rate limit is not there'],
  [60202, 'five checks failed for this number; wait until the verification expires'],
  [60203, 'five sends without feedback; approve verifications after login (feedback Function), or wait 10 minutes'],
  [60204, 'custom codes are off for the Verify service; turn them on'],
  [60205, 'the number is a landline, which gets no text message; offer voice'],
  [60223, 'the channel is disabled in the Verify service; turn it on in the Twilio Console'],
  [60238, 'Twilio does not send to this destination, or the account is under review'],
  [60410, 'Fraud Guard blocks this number range; it lifts by itself after 5 minutes to 12 hours'],
  [60605, 'the country is not allowed in the Verify geo permissions'],
  [70051, `${CREDENTIALS}; a restricted key needs the permission to create verifications`],
]);
// Some of these arrive as 429, yet outlast the few minutes in which Auth0 retries: a retry would only delay the error.
const LASTING = new Set([60202, 60203, 60238, 60410, 60605]);

// Auth0 reuses instances: the client is kept, and made again when an update of the Action changed the secrets.
let kept = { id: '', client: null };

function clientFor(account, user, password) {
  const id = JSON.stringify([account, user, password]);
  if (kept.id !== id) {
    // No keep-alive: a reused instance may have slept past the life of its connection, and a reset there would cost
    // the user minutes until Auth0 retries.
    const options = { accountSid: account, timeout: REQUEST_LIMIT_MS, keepAlive: false };
    kept = { id, client: twilio(user, password, options) };
  }
  return kept.client;
}

// The limits with their values of this message. One without a value (a message outside a login has no address) is left
// out: it could not be counted, and an empty value would count everybody together.
function rateLimits(event, recipient) {
  const values = { recipient, user: event.user?.user_id, ip: event.request?.ip };
  const passed = Object.entries(RATE_LIMITS).map(([name, key]) => [name, values[key]]);
  const usable = passed.filter(([, value]) => typeof value === 'string' && value !== '');
  return usable.length > 0 ? { rateLimits: Object.fromEntries(usable) } : {};
}

const drop = (reason) => ({ act: 'drop', reason });
const retry = (reason) => ({ act: 'retry', reason });

// Answers undefined when the code is on its way, a verdict when it must not be sent, and rejects when Twilio refused.
// `message`: code, recipient, channel of Verify (undefined when there is none for it) and the type of the message.
async function send(event, message) {
  const secret = (name) => String(event.secrets?.[name] ?? '').trim(); // Pasted values bring line ends along.
  const [account, service] = [secret('TWILIO_ACCOUNT_SID'), secret('TWILIO_VERIFY_SID')];
  const [key, keySecret, token] = [secret('TWILIO_API_KEY'), secret('TWILIO_API_SECRET'), secret('TWILIO_AUTH_TOKEN')];
  if (!account) return drop('the secret TWILIO_ACCOUNT_SID is missing');
  if (!service) return drop('the secret TWILIO_VERIFY_SID is missing');
  const whole = key && keySecret;
  if (!whole && !token) {
    if (key) return drop('the secret TWILIO_API_SECRET is missing');
    if (keySecret) return drop('the secret TWILIO_API_KEY is missing');
    return drop('the secrets TWILIO_API_KEY and TWILIO_API_SECRET are missing, and so is TWILIO_AUTH_TOKEN');
  }
  // The helper throws on the first and would put the second into the path as it is.
  if (!/^AC[0-9A-Za-z]+$/.test(account)) return drop('the secret TWILIO_ACCOUNT_SID is not a SID that starts with AC');
  if (!/^VA[0-9A-Za-z]+$/.test(service)) return drop('the secret TWILIO_VERIFY_SID is not a SID that starts with VA');

  const code = String(message.code ?? '');
  if (!code) {
    // Without a code of ours Verify would make up its own, which Auth0 could never accept.
    const type = /^[a-z_]{1,40}$/.exec(message.type ?? '')?.[0] ?? 'unknown';
    return drop(`a message of type ${type} without a code cannot be sent by Twilio Verify, which only delivers codes`);
  }
  if (code.length < 4 || code.length > 10) return drop('the code does not have the 4 to 10 characters Verify accepts');
  const { channel } = message;
  if (!channel) return drop('the delivery method is neither text nor voice');
  // Auth0 stores some numbers with spaces, hyphens or brackets. The Function that reports back takes the same away, so
  // that it finds the verification.
  const to = String(message.recipient ?? '').replace(/[\s()[\]-]+/g, '');
  if (!/^\+[1-9]\d{6,14}$/.test(to)) return drop('the recipient is not a phone number in E.164 form');

  const client = clientFor(account, whole ? key : account, whole ? keySecret : token);
  // `locale` stays out on purpose: Verify picks the language by the number's country and falls back to English, while
  // a locale that its template or channel does not know is answered with 404, and then nobody gets a code.
  const sent = client.verify.v2.services(service).verifications.create({
    to,
    channel,
    customCode: code,
    ...rateLimits(event, to),
  });
  await within(SEND_LIMIT_MS, sent);
}

// The promise's own outcome, or a rejection after `limit` milliseconds.
function within(limit, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject({ code: 'ETIMEDOUT' }), limit);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// What to tell Auth0 about a failed send. A retry sends the same code again: should the first have arrived after all,
// the user reads it twice, at the price of one of the five sends.
function verdict(error) {
  const number = (value, least, most) => (Number.isInteger(value) && value >= least && value <= most ? value : 0);
  // Newer helpers take the status from the body. Outside these ranges it is no status or code, and could be the number.
  const status = number(error?.status, 100, 599);
  if (!status) {
    // Errors of the network carry a short name. Anything else might quote the request.
    const name = /^[A-Z][A-Z_]{2,30}$/.test(error?.code) ? error.code : 'unknown error';
    return retry(`no usable answer from Twilio Verify: ${name}`);
  }
  const code = number(error.code, 10000, 99999);
  const hint = HINTS.get(code) ?? (status === 401 ? CREDENTIALS : '');
  const reason = `Twilio Verify answered HTTP ${status}${code ? `, code ${code}` : ''}${hint ? `: ${hint}` : ''}`;
  const final = status >= 400 && status < 500 && (status !== 429 || LASTING.has(code));
  return final ? drop(reason) : retry(reason);
}
