'use strict';

// Auth0 Action for the trigger `post-login`: asks for a second factor where a rule of the manifest says so.
//
// A rule fits a login when each kind of condition that it names fits (applications by client id, organizations by id
// or name, roles by name, connections by name or strategy); inside a list one entry is enough. Every rule that fits has
// to be met, so their order means nothing. When one enrolled factor can meet all of them, only such factors are
// offered; otherwise they are asked one after another.
//
// Who has none of a rule's factors enrols one now; who has others proves one of those first, or a stolen password
// would be enough to enrol. What was proven earlier in the session counts, for `remember_hours` if the rule names some.

// lockstep:rules begin
const RULES = [];
// lockstep:rules end

const ENROLLABLE = ['otp', 'phone', 'push-notification', 'webauthn-platform', 'webauthn-roaming'];
const ANY = [...ENROLLABLE, 'email', 'recovery-code'];

// Nobody sits in front of these. A refresh token stems from a login that was asked, and the API refuses a challenge
// during a token exchange for good.
const SKIPPED = new Set(['oauth2-refresh-token', 'oauth2-token-exchange']);
// No page can be shown here. The token endpoint answers `mfa_required`, and the client goes on with the MFA API: a
// rule that passwords sent straight to that endpoint could get round would be none.
const WITHOUT_PAGE = new Set([
  'oauth2-access-token',
  'oauth2-password',
  'oauth2-resource-owner',
  'oauth2-resource-owner-jwt-bearer',
  'oauth2-webauthn',
  'wstrust-usernamemixed',
]);

const list = (value) => (Array.isArray(value) ? value : []);
const within = (part, whole) => part.every((item) => whole.includes(item));

function fits(rule, event) {
  const has = (names, ...there) => !names || there.some((name) => name && names.includes(name));
  return (
    has(rule.applications, event.client?.client_id) &&
    has(rule.organizations, event.organization?.id, event.organization?.name) &&
    has(rule.roles, ...list(event.authorization?.roles)) &&
    has(rule.connections, event.connection?.name, event.connection?.strategy)
  );
}

const accepted = (rule) => (list(rule.factors).includes('any') ? ANY : list(rule.factors));

// Whether a factor that was proven since the session began meets the rule. Older entries do not say which factor it was.
function isMet(rule, event) {
  const since = rule.remember_hours === undefined ? -Infinity : Date.now() - rule.remember_hours * 3600000;
  const types = accepted(rule);
  return list(event.authentication?.methods).some((method) => {
    if (method?.name !== 'mfa') return false;
    const isFresh = since === -Infinity || Date.parse(method.timestamp) > since;
    return isFresh && (types === ANY || types.includes(method.type));
  });
}

// The challenges (lists of enrolled factors) that meet all of these lists. Short lists first: whoever answers one may
// have met a longer one too.
function challenges(needs) {
  const common = needs.reduce((all, types) => all.filter((type) => types.includes(type)), ANY);
  if (needs.length && common.length) return [common];
  const asked = [];
  for (const types of [...needs].sort((a, b) => a.length - b.length)) {
    if (!asked.some((before) => within(before, types))) asked.push(types);
  }
  return asked;
}

function ask(event, api) {
  const protocol = event.transaction?.protocol;
  if (SKIPPED.has(protocol)) return;
  const open = RULES.filter((rule) => fits(rule, event) && !isMet(rule, event));
  if (!open.length) return;

  const types = list(event.user?.enrolledFactors).map((factor) => factor?.type);
  const enrolled = ANY.filter((type) => types.includes(type));
  const usable = (rule) => accepted(rule).filter((type) => enrolled.includes(type));
  // A recovery code stands in for a factor; it is none. E-mail comes with the address, so nobody enrols it.
  const real = (rule) => usable(rule).filter((type) => type !== 'recovery-code');
  const isChallenge = (rule) => {
    if (rule.require === 'enrollment') return false;
    return (rule.require === 'mfa_if_enrolled' ? real(rule) : usable(rule)).length > 0;
  };
  const isEnrollment = (rule) => {
    if (rule.require === 'mfa_if_enrolled') return false;
    const counts = (type) => rule.require !== 'enrollment' || ENROLLABLE.includes(type);
    return real(rule).filter(counts).length === 0;
  };
  const asked = challenges(open.filter(isChallenge).map(usable));
  const missing = challenges(
    open.filter(isEnrollment).map((rule) => ENROLLABLE.filter((type) => accepted(rule).includes(type))),
  );
  if (!asked.length && !missing.length) return;
  if (WITHOUT_PAGE.has(protocol)) {
    api.multifactor.enable('any', { allowRememberBrowser: false });
    return;
  }

  const phone = open.find((rule) => rule.phone)?.phone;
  const named = (type) => (type === 'phone' && phone ? { type, options: { preferredMethod: phone } } : { type });
  const wasProven = list(event.authentication?.methods).some((method) => method?.name === 'mfa');
  if (missing.length && !asked.length && enrolled.length && !wasProven) asked.push(enrolled);
  for (const factors of asked) api.authentication.challengeWithAny(factors.map(named));
  for (const factors of missing) api.authentication.enrollWithAny(factors.map(named));
}

exports.onExecutePostLogin = async (event, api) => {
  try {
    ask(event, api);
  } catch {
    // A fault of ours must neither end the login with an error nor let it pass: any factor will do.
    api.multifactor.enable('any', { allowRememberBrowser: false });
  }
};
