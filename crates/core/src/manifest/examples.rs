//! A short example of each section for the reference page. A test reads every one beside the least manifest.

/// Path of the section, and a piece of a manifest.
pub const EXAMPLES: &[(&str, &str)] = &[
    (
        "",
        "\
lockstep: v1
stack: acme-login
accept:
  - { field: branding.logo_url, value: https://acme.example/winter.png, reason: winter campaign, by: jo, until: 2027-01-31 }
",
    ),
    (
        "auth0",
        "\
auth0:
  domain: ${env.AUTH0_DOMAIN}               # acme.eu.auth0.com
  client_id: ${env.AUTH0_CLIENT_ID}
  client_secret: ${env.AUTH0_CLIENT_SECRET} # or private_key: ${file.auth0.pem}
",
    ),
    (
        "twilio",
        "\
twilio:
  account_sid: ${env.TWILIO_ACCOUNT_SID}
  api_key: ${env.TWILIO_API_KEY}
  api_secret: ${env.TWILIO_API_SECRET}
",
    ),
    (
        "action",
        "\
action:
  code: builtin:twilio-verify
  dependencies: { twilio: 6.2.0 }
  secrets:
    TWILIO_ACCOUNT_SID: ${twilio.account_sid}
    TWILIO_API_KEY: ${env.TWILIO_SENDER_KEY}
    TWILIO_API_SECRET: ${env.TWILIO_SENDER_SECRET}
    TWILIO_VERIFY_SID: ${verify_service.sid}
",
    ),
    (
        "action.binding",
        "\
action:
  binding: { display_name: Send the code by Verify }
",
    ),
    (
        "attest",
        "\
attest:
  fraud_guard: { level: standard, by: jo@acme.example, on: 2026-11-20, until: 2027-05-20 }
",
    ),
    (
        "branding",
        "\
branding:
  logo_url: https://acme.example/logo.png
  favicon_url: none                         # there is to be none
  colors: { primary: \"#112233\" }
",
    ),
    (
        "feedback",
        "\
feedback:
  passwordless: on
  log_stream: { endpoint: \"https://feedback.acme.example/auth0-logs\" }
",
    ),
    (
        "feedback.action",
        "\
feedback:
  action:                                   # behind mfa.post_login, which it needs
    api_key: ${env.TWILIO_FEEDBACK_KEY}
    api_secret: ${env.TWILIO_FEEDBACK_SECRET}
verify_service: {}
mfa:
  factors: { phone: on }
  post_login: { rules: { admins: { roles: [Admin], factors: [phone] } } }
",
    ),
    (
        "feedback.function",
        "\
feedback:
  function:
    code: builtin:verify-feedback
    api_key: ${env.TWILIO_FEEDBACK_KEY}
    api_secret: ${env.TWILIO_FEEDBACK_SECRET}
  log_stream:
    authorization: ${generated.feedback}    # drawn at apply; the Function checks it
",
    ),
    (
        "feedback.log_stream",
        "\
feedback:
  log_stream:
    endpoint: https://feedback.acme.example/auth0-logs
    authorization: ${env.FEEDBACK_SECRET}
",
    ),
    (
        "log_streams",
        "\
log_streams:
  http:
    siem:
      endpoint: https://siem.example/auth0
      authorization: ${env.SIEM_TOKEN}
      filters: [auth.login.fail, user.fail]
",
    ),
    ("mfa", "mfa:\n  policy: always\n  factors: { phone: on, otp: on }\n"),
    ("mfa.factors", "mfa:\n  factors: { phone: on, otp: on, webauthn_roaming: on }\n"),
    (
        "mfa.post_login",
        "\
mfa:
  factors: { phone: on, otp: on }
  post_login:
    rules:
      admins: { roles: [Admin], factors: [otp], remember_hours: 12 }
      partners: { organizations: [acme-partners], require: mfa_if_enrolled }
",
    ),
    (
        "mfa.post_login.binding",
        "\
mfa:
  factors: { phone: on, otp: on }
  post_login:
    binding: { position: before Add claims }
    rules:
      admins: { roles: [Admin] }
",
    ),
    (
        "phone",
        "\
phone:
  channels: [sms, voice]
  protection: exponential
",
    ),
    (
        "phone.legacy_templates",
        "\
phone:
  delivery: legacy
  legacy_templates:
    enrollment_message: \"{{code}} enrols this phone at Acme\"
    verification_message: \"{{code}} is your Acme code\"
",
    ),
    (
        "phone.templates",
        "\
phone:
  templates:
    change_password: { text: \"Acme: your password was changed\" }
",
    ),
    (
        "sample_client",
        "\
sample_client:                              # for `node serve.mjs` in examples/spa
  url: http://localhost:3000
  connection: Username-Password-Authentication
",
    ),
    ("universal_login", "universal_login:\n  experience: new\n  identifier_first: true\n"),
    (
        "verify_service",
        "\
verify_service:
  friendly_name: Acme
  code_length: 6
  rate_limits:
    per_number:
      key: recipient
      buckets: { 10m: { max: 5 }, 1d: { max: 20 } }
  messaging_configurations: { US: MG00000000000000000000000000000001 }
",
    ),
];
