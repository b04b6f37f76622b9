// A manifest without problems, and classes of mistakes that a schema can say: what it is, a text of the manifest, and
// what stands there instead.
export const BASE = `# yaml-language-server: $schema=../schemas/manifest.json
lockstep: v1
stack: acme-login
auth0:
  domain: acme.eu.auth0.com
  client_id: \${env.AUTH0_CLIENT_ID}
  client_secret: \${env.AUTH0_CLIENT_SECRET}
twilio:
  account_sid: AC0123456789abcdef0123456789abcdef
  auth_token: \${env.TWILIO_AUTH_TOKEN}
verify_service:
  friendly_name: Acme
  code_length: 6
  lookup_enabled: on
action:
  code: builtin:twilio-verify
  runtime: node22
  secrets:
    TWILIO_ACCOUNT_SID: \${twilio.account_sid}
phone:
  delivery: unified
  channels: [sms]
feedback:
  log_stream:
    endpoint: https://acme.example/feedback
    authorization: \${env.STREAM_TOKEN}
mfa:
  policy: always
`;

export const MISTAKES = [
  ['an unknown key', 'code_length: 6', 'code_lenght: 6'],
  ['an unknown section', 'phone:\n', 'phones:\n'],
  ['a key of another section', 'delivery: unified', 'code_length: 6'],
  ['a required key is missing', '  friendly_name: Acme\n', ''],
  ['a required section is missing', /twilio:\n(  .*\n)+/.exec(BASE)[0], ''],
  ['another version', 'lockstep: v1', 'lockstep: v2'],
  ['a text for a number', 'code_length: 6', 'code_length: six'],
  ['a quoted number', 'code_length: 6', 'code_length: "6"'],
  ['a decimal number', 'code_length: 6', 'code_length: 6.5'],
  ['a number out of range', 'code_length: 6', 'code_length: 60'],
  ['a number for a text', 'friendly_name: Acme', 'friendly_name: 12'],
  ['a text for a truth value', 'lookup_enabled: on', 'lookup_enabled: maybe'],
  ['a text that is too long', 'friendly_name: Acme', `friendly_name: ${'A'.repeat(31)}`],
  ['an empty text', 'friendly_name: Acme', 'friendly_name: ""'],
  ['a text of another form', 'stack: acme-login', 'stack: Acme Login'],
  ['a SID of another kind', 'AC0123456789abcdef0123456789abcdef', 'VA0123456789abcdef0123456789abcdef'],
  ['a host with a scheme', 'domain: acme', 'domain: https://acme'],
  ['an unknown word', 'delivery: unified', 'delivery: unify'],
  ['an unknown word in a list', '[sms]', '[text]'],
  ['an entry twice', '[sms]', '[sms, sms]'],
  ['a text for a list', '[sms]', 'sms'],
  ['a reference for a list', '[sms]', '${var.CHANNELS}'],
  ['a text for a mapping', 'secrets:\n    TWILIO_ACCOUNT_SID: ${twilio.account_sid}', 'secrets: none'],
  ['a list for a mapping', 'mfa:\n  policy: always', 'mfa: [policy]'],
  ['nothing for a value', 'code_length: 6', 'code_length:'],
  ['a retired release', 'runtime: node22', 'runtime: node16'],
  ['a built-in that does not exist', 'builtin:twilio-verify', 'builtin:twilio'],
  ['a path that leads out', 'builtin:twilio-verify', '../action.js'],
  ['a secret in clear', '${env.TWILIO_AUTH_TOKEN}', '0123456789abcdef0123456789abcdef'],
  ['a secret of a mapping in clear', '${twilio.account_sid}', 'Xk29sLq0Zt77'],
  ['a reference that is not closed', '${env.STREAM_TOKEN}', '${env.STREAM_TOKEN'],
  ['a reference with blanks', '${env.STREAM_TOKEN}', '${ env.STREAM_TOKEN }'],
  ['a reference of an unknown kind', '${env.STREAM_TOKEN}', '${secret.STREAM_TOKEN}'],
  ['a secret reference for what takes none', 'code_length: 6', 'code_length: ${file.length.txt}'],
  ['two ways to log in', '  client_secret:', '  private_key: ${file.key.pem}\n  client_secret:'],
  ['no way to log in', '  auth_token: ${env.TWILIO_AUTH_TOKEN}\n', ''],
  ['an empty group', /feedback:\n(  .*\n)+/.exec(BASE)[0], 'feedback:\n'],
];
