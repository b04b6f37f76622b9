//! From a manifest and the arguments to a connection, a session and a transport.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context as _;

use super::args::{ConnectArgs, LedgerPlace};
use super::error::{Error, Result};
use crate::engine::observe::Session;
use crate::engine::store::Store;
use crate::engine::{Connection, Grant, TwilioAuth};
use crate::kinds;
use crate::ledger::prints;
use crate::model::manifest::Manifest;
use crate::model::plan::Purpose;
use crate::shell::driver::Transport;
use crate::shell::http::{Http, HttpOptions};
use crate::shell::in_process::{InProcess, load_twin};
use crate::shell::jwt;
use crate::shell::ledger_file::PathLedger;
use crate::shell::proxy::ProxySettings;
use crate::shell::secrets::{self, Scrub};
use crate::shell::via::Via;
use crate::twin::{Flag, Options, Twin};

/// Tells the scrubber every secret of the manifest.
pub fn learn(manifest: &Manifest, scrub: &Scrub) {
    for value in manifest.sections.values().flat_map(|attrs| attrs.values()) {
        if let crate::model::value::Value::Secret(secret) = value {
            scrub.learn(secret);
        }
    }
}

fn missing(needs: &[(&'static str, bool)]) -> Vec<&'static str> {
    needs.iter().filter(|(_, there)| !there).map(|(place, _)| *place).collect()
}

/// The connection, or the places of the manifest that it needs and that have no value.
pub fn connection(
    manifest: &Manifest,
    args: &ConnectArgs,
    scrub: &Scrub,
) -> Result<std::result::Result<Connection, Vec<&'static str>>> {
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
    let (Some(domain), Some(client_id), Some(account_sid), Some(twilio)) =
        (domain, client_id, account_sid, twilio)
    else {
        return Ok(Err(missing(&needs)));
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
        (None, None) => return Ok(Err(missing(&needs))),
    };
    match &twilio {
        TwilioAuth::Key { sid, secret } => scrub.learn_pair(sid, secret),
        TwilioAuth::Token(token) => scrub.learn_pair(&account_sid, token),
    }
    let audience =
        manifest.text("auth0", "audience").map_or_else(|| format!("https://{domain}/api/v2/"), str::to_owned);
    Ok(Ok(Connection {
        domain,
        audience,
        client_id,
        grant,
        account_sid,
        twilio,
        scrubber: scrub.snapshot(),
        share_percent: args.rate_share,
    }))
}

pub fn session(manifest: Manifest, args: &ConnectArgs, connection: &Connection) -> Result<Session> {
    let store = match &args.ledger {
        LedgerPlace::Tenant => Store::Tenant,
        LedgerPlace::Nowhere => Store::None,
        LedgerPlace::File(path) => Store::File(Rc::new(PathLedger::new(path))),
    };
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let user = variable("USER").or_else(|| variable("LOGNAME")).unwrap_or_else(|| "unknown".into());
    let host = variable("HOSTNAME").or_else(|| std::fs::read_to_string("/etc/hostname").ok());
    let host = host.map_or_else(|| "unknown".into(), |name| name.trim().to_owned());
    let revision =
        ["LOCKSTEP_REVISION", "GITHUB_SHA", "CI_COMMIT_SHA"].iter().find_map(|name| variable(name));
    Ok(Session {
        manifest: Rc::new(manifest),
        tenant: connection.domain.clone(),
        account: connection.account_sid.clone(),
        store,
        entropy: secrets::entropy()?,
        rounds: prints::ROUNDS,
        lease_ttl_ms: u64::try_from(args.lease_ttl.as_millis()).unwrap_or(u64::MAX),
        who: format!("{user}@{host} pid {}", std::process::id()),
        revision: revision.unwrap_or_default().chars().take(64).collect(),
        destroy: false,
        allow_delete: false,
        named: Default::default(),
        purpose: Purpose::Apply,
    })
}

type World = Option<(PathBuf, Rc<RefCell<Twin>>)>;

pub fn transport(args: &ConnectArgs, manifest: &Manifest) -> Result<(Transport, World)> {
    if let Some(file) = &args.twin {
        let path = (!file.is_empty()).then(|| PathBuf::from(file));
        let loaded = match &path {
            Some(path) => load_twin(path)?,
            None => None,
        };
        // A manifest of the legacy way is for a tenant from before March 2025, so a new world has such a one.
        let is_older = kinds::legacy::is_legacy(manifest);
        let unified_flag = if is_older { Flag::Off } else { Flag::On };
        let options = Options { default_account: None, unified_flag, ..Options::default() };
        let twin = Rc::new(RefCell::new(loaded.unwrap_or_else(|| Twin::new(options, 1))));
        // Builds of the last run took virtual time; the world must not go back in time.
        let start_ms = crate::shell::clock::Clock::start().now_ms().max(twin.borrow().clock_ms);
        let in_process = InProcess::new(twin.clone(), start_ms);
        return Ok((Transport::InProcess(in_process), path.map(|path| (path, twin))));
    }
    let via = match &args.via {
        Some(url) => {
            Some(Via::parse(url, args.via_force).map_err(|problem| Error::usage(problem.to_string()))?)
        }
        None => None,
    };
    if let Some(via) = via.as_ref().filter(|via| via.is_closed()) {
        return Err(Error::remote(format!("nothing listens at {via}, the gateway of --via"))
            .help("start the gateway, or check its port"));
    }
    // A request that outlives the lease would let two runs interleave.
    let request_timeout = args.request_timeout.min(args.lease_ttl / 2).max(Duration::from_millis(500));
    let proxy = if via.is_some() { ProxySettings::none() } else { ProxySettings::of_this_process() };
    let options =
        HttpOptions { via, proxy, ca_file: args.ca_file.clone(), request_timeout, ..HttpOptions::default() };
    Ok((Transport::Http(Http::new(&options)?), None))
}
