//! One stack on one tenant, for users of the library: from a manifest and a transport to a plan and a run.

use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::driver::{Driver, Transport};
use super::secrets::{self, Scrub};
use super::signals::Signals;
use super::{clock, jwt};
use crate::engine::apply::Wishes;
use crate::engine::observe::{Observation, Session, observe};
use crate::engine::reconcile::{Decided, Report, reconcile};
use crate::engine::rollback::rollback;
use crate::engine::store::Store;
use crate::engine::watch::{Run, watched};
use crate::engine::{Connection, Grant, TenantId, TwilioAuth};
use crate::ledger::prints;
use crate::model::call::Failed;
use crate::model::event::Told;
use crate::model::manifest::Manifest;
use crate::model::plan::{Plan, Purpose};
use crate::model::value::Value;
use crate::port::Replies;

/// How a stack is run, apart from what its manifest says.
pub struct Settings {
    /// Where the ledger is kept.
    pub store: Store,
    /// A run that holds the lease changes it often. Others may take the run for dead when the lease has not changed for
    /// this long.
    pub lease_ttl: Duration,
    /// The run is stopped after this long, whatever it waits for.
    pub deadline: Duration,
    /// Share of the Management API's rate limit that the run may use, in percent.
    pub share_percent: u64,
    /// Who runs the stack, for lease and history.
    pub who: String,
    /// Revision of the manifest, for the history; may be empty.
    pub revision: String,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            store: Store::Tenant,
            lease_ttl: Duration::from_secs(60),
            deadline: Duration::from_secs(15 * 60),
            share_percent: 80,
            who: format!("pid {}", std::process::id()),
            revision: String::new(),
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum Unconnected {
    /// These keys of the manifest have no value, and no connection is possible without them.
    #[error("cannot connect, because these keys have no value: {}", .0.join(", "))]
    NoValue(Vec<&'static str>),
    /// A key cannot be used, or the system gives no random bytes.
    #[error("{0:#}")]
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Unconnected {
    fn from(error: anyhow::Error) -> Unconnected {
        Unconnected::Other(error)
    }
}

/// A manifest with everything needed to talk to its tenant. `'a` is the lifetime of the event callback.
pub struct Stack<'a> {
    pub driver: Driver<'a>,
    pub tenant: TenantId,
    pub session: Session,
    deadline: Duration,
}

impl<'a> Stack<'a> {
    /// Prepares the connection that the manifest describes, without event callback or signals. Sends nothing yet.
    ///
    /// # Errors
    /// See [`Unconnected`].
    pub fn of(
        manifest: Manifest,
        transport: Transport,
        settings: Settings,
    ) -> Result<Stack<'static>, Unconnected> {
        let scrub = Scrub::default();
        learn(&manifest, &scrub);
        let connection = connection(&manifest, settings.share_percent, &scrub)?;
        Ok(Stack::new(connection, manifest, transport, settings, Signals::silent(), |_| {})?)
    }

    /// As [`Stack::of`], over a given connection. `show` receives every event.
    ///
    /// # Errors
    /// The system gives no random bytes, or the runtime cannot be started.
    pub fn new(
        connection: Connection,
        manifest: Manifest,
        transport: Transport,
        settings: Settings,
        signals: Signals,
        show: impl FnMut(Told) + 'a,
    ) -> Result<Stack<'a>> {
        let session = session(&connection, manifest, &settings)?;
        let mut driver = Driver::new(transport, secrets::seed()?, signals, show)?;
        let tenant = driver.connect(connection);
        driver.set_deadline(driver.now_ms().saturating_add(clock::millis(settings.deadline)));
        Ok(Stack { driver, tenant, session, deadline: settings.deadline })
    }

    /// Reads and plans; nothing is written.
    ///
    /// # Errors
    /// The outer error is a bug of this program; the inner one is a failed request.
    pub fn observe(&mut self) -> Result<Result<Observation, Failed>> {
        let session = self.session.clone();
        self.driver.run(self.tenant, move |port| async move { observe(&session, &port.reader()).await })
    }

    /// As [`Stack::observe`], with all that was read for it.
    ///
    /// # Errors
    /// As [`Stack::observe`].
    pub fn observe_with_replies(&mut self) -> Result<Result<(Observation, Replies), Failed>> {
        let session = self.session.clone();
        self.driver.run(self.tenant, move |port| async move {
            let reader = port.reader();
            Ok((observe(&session, &reader).await?, reader.replies()))
        })
    }

    /// The plan alone.
    ///
    /// # Errors
    /// A request failed.
    pub fn plan(&mut self) -> Result<Plan> {
        Ok(self.observe()??.plan)
    }

    /// Plans, lets `decide` judge the plan, and carries it out: see [`reconcile`].
    ///
    /// # Errors
    /// As [`Stack::observe`].
    pub fn reconcile(
        &mut self,
        wishes: Wishes,
        decide: impl FnMut(&Plan) -> Decided + 'static,
    ) -> Result<Result<Report, Failed>> {
        let session = self.session.clone();
        self.driver
            .run(self.tenant, move |port| async move { reconcile(session, wishes, decide, &port).await })
    }

    /// As [`Stack::reconcile`], with a watch: see [`watched`].
    ///
    /// # Errors
    /// As [`Stack::observe`].
    pub fn watched(
        &mut self,
        wishes: Wishes,
        decide: impl FnMut(&Plan) -> Decided + 'static,
    ) -> Result<Result<Run, Failed>> {
        let session = self.session.clone();
        self.driver.run(self.tenant, move |port| async move { watched(session, wishes, decide, &port).await })
    }

    /// Takes back what the last run on record changed: see [`rollback`].
    ///
    /// # Errors
    /// As [`Stack::observe`].
    pub fn rollback(
        &mut self,
        wishes: Wishes,
        decide: impl FnMut(&Plan) -> Decided + 'static,
    ) -> Result<Result<Report, Failed>> {
        let session = self.session.clone();
        self.driver
            .run(self.tenant, move |port| async move { rollback(session, wishes, decide, &port).await })
    }

    /// Why a call failed, in words. For a stopped run: what it was waiting for.
    pub fn failure_in_words(&self, failed: &Failed) -> String {
        match failed {
            Failed::Stopped => self.why_stopped(),
            failed => failed.to_string(),
        }
    }

    /// Why a run was stopped before its work was done.
    pub fn why_stopped(&self) -> String {
        match self.driver.late() {
            Some(waits) if self.driver.signal().is_none() => format!(
                "the deadline of {} s was reached while waiting for {waits}",
                self.deadline.as_millis().div_ceil(1000)
            ),
            _ => "stopped".to_owned(),
        }
    }
}

/// What a run on one tenant is to know.
///
/// # Errors
/// The system gives no random bytes.
pub fn session(
    connection: &Connection,
    manifest: impl Into<Rc<Manifest>>,
    settings: &Settings,
) -> Result<Session> {
    Ok(Session {
        manifest: manifest.into(),
        tenant: connection.domain.clone(),
        account: connection.account_sid.clone(),
        store: settings.store.clone(),
        entropy: secrets::entropy()?,
        rounds: prints::ROUNDS,
        lease_ttl_ms: clock::millis(settings.lease_ttl),
        who: settings.who.clone(),
        revision: settings.revision.clone(),
        destroy: false,
        rollback: false,
        handed_on: Default::default(),
        allow_delete: false,
        named: Default::default(),
        purpose: Purpose::Apply,
        watch_ms: None,
        only_run: None,
        rotate: Default::default(),
    })
}

/// Tells the scrubber every secret of the manifest.
pub fn learn(manifest: &Manifest, scrub: &Scrub) {
    for value in manifest.sections.values().flat_map(|attrs| attrs.values()) {
        if let Value::Secret(secret) = value {
            scrub.learn(secret);
        }
    }
}

/// The connection to both APIs that the manifest describes.
///
/// # Errors
/// See [`Unconnected`].
pub fn connection(manifest: &Manifest, share_percent: u64, scrub: &Scrub) -> Result<Connection, Unconnected> {
    let mut connection = unhidden(manifest, share_percent, scrub)?;
    connection.scrubber = scrub.snapshot();
    Ok(connection)
}

/// The same, with a scrubber that knows nothing yet. Where there are many connections, each gets the same one once all
/// secrets are learnt.
///
/// # Errors
/// See [`Unconnected`].
pub fn unhidden(manifest: &Manifest, share_percent: u64, scrub: &Scrub) -> Result<Connection, Unconnected> {
    let secret = |section: &str, key: &str| manifest.secret(section, key).cloned();
    let text = |section: &str, key: &str| {
        let exposed = || secret(section, key).map(|secret| secret.expose().to_owned());
        manifest.text(section, key).map(str::to_owned).or_else(exposed)
    };
    let (domain, client_id) = (text("auth0", "domain"), text("auth0", "client_id"));
    let (client_secret, private_key) = (secret("auth0", "client_secret"), secret("auth0", "private_key"));
    let account_sid = text("twilio", "account_sid");
    let key = manifest.text("twilio", "api_key").map(str::to_owned).zip(secret("twilio", "api_secret"));
    let twilio = key
        .map(|(sid, secret)| TwilioAuth::Key { sid, secret })
        .or_else(|| secret("twilio", "auth_token").map(TwilioAuth::Token));
    let needs = [
        ("auth0.domain", domain.is_some()),
        ("auth0.client_id", client_id.is_some()),
        ("auth0.client_secret (or private_key)", client_secret.is_some() || private_key.is_some()),
        ("twilio.account_sid", account_sid.is_some()),
        ("twilio.api_key with api_secret (or auth_token)", twilio.is_some()),
    ];
    let missing = || needs.iter().filter(|(_, there)| !there).map(|(place, _)| *place).collect();
    let (Some(domain), Some(client_id), Some(account_sid), Some(twilio)) =
        (domain, client_id, account_sid, twilio)
    else {
        return Err(Unconnected::NoValue(missing()));
    };
    let grant = match (client_secret, private_key) {
        (Some(secret), _) => Grant::ClientSecret(secret),
        (None, Some(pem)) => {
            let name = manifest.text("auth0", "private_key_algorithm").unwrap_or("RS256");
            let algorithm =
                jwt::Algorithm::parse(name).with_context(|| format!("unknown algorithm {name}"))?;
            let key_id = manifest.text("auth0", "key_id").map(str::to_owned);
            jwt::assertion_grant(&pem, algorithm, key_id, &client_id, &domain).context("auth0.private_key")?
        }
        (None, None) => return Err(Unconnected::NoValue(missing())),
    };
    match &twilio {
        TwilioAuth::Key { sid, secret } => scrub.learn_pair(sid, secret),
        TwilioAuth::Token(token) => scrub.learn_pair(&account_sid, token),
    }
    let audience =
        manifest.text("auth0", "audience").map_or_else(|| format!("https://{domain}/api/v2/"), str::to_owned);
    Ok(Connection {
        domain,
        audience,
        client_id,
        grant,
        account_sid,
        twilio,
        scrubber: Rc::default(),
        share_percent,
    })
}
