//! The address of a tenant, and the credentials for it.

use std::rc::Rc;

use crate::model::scrub::Scrubber;
use crate::model::secret::Secret;

/// Signs an assertion for a time (s since the Unix epoch) and a fresh `jti`. The error says what is wrong with the key.
pub type Signer = dyn Fn(i64, &str) -> Result<Secret, String>;

/// How to ask for an access token for the Management API.
#[derive(Clone)]
pub enum Grant {
    /// Client credentials with a secret.
    ClientSecret(Secret),
    /// Client credentials with a private-key JWT.
    Assertion(Rc<Signer>),
}

/// Basic credentials for Twilio.
#[derive(Clone)]
pub enum TwilioAuth {
    Key { sid: String, secret: Secret },
    Token(Secret),
}

/// One tenant with its Twilio account.
#[derive(Clone)]
pub struct Connection {
    /// Canonical domain, `acme-dev.eu.auth0.com`.
    pub domain: String,
    /// `https://{domain}/api/v2/` unless the manifest names another.
    pub audience: String,
    pub client_id: String,
    pub grant: Grant,
    pub account_sid: String,
    pub twilio: TwilioAuth,
    /// Knows every secret of the run, and hides them in texts that come from outside.
    pub scrubber: Rc<Scrubber>,
    /// Share of the Management API budget that the run may use, in percent; the rest is for users' logins (law 8).
    pub share_percent: u64,
}
