//! Where a tenant is and with which credentials it is reached.

use std::rc::Rc;

use crate::model::scrub::Scrubber;
use crate::model::secret::Secret;

/// Makes an assertion of the time (s since the Unix epoch) and a fresh `jti`; or tells what is wrong with the key.
pub type Signer = dyn Fn(i64, &str) -> Result<Secret, String>;

/// How an access token for the Management API is asked for.
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
    /// Knows every secret of the run, for texts that come from outside.
    pub scrubber: Rc<Scrubber>,
    /// Share of the Management API budget that may be used, in percent (law: logins come first).
    pub share_percent: u64,
}
