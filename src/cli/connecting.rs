//! Turns the arguments into the settings of a stack and into its transport.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use super::args::{ConnectArgs, LedgerPlace};
use super::error::{Error, Result};
use crate::engine::store::Store;
use crate::kinds;
use crate::model::manifest::Manifest;
use crate::shell::clock::Clock;
use crate::shell::driver::Transport;
use crate::shell::http::{Http, HttpOptions};
use crate::shell::in_process::{InProcess, load_twin};
use crate::shell::ledger_file::PathLedger;
use crate::shell::proxy::ProxySettings;
use crate::shell::stack::Settings;
use crate::shell::via::Via;
use crate::twin::{Flag, Options, Twin};

/// The settings of a stack, from arguments and environment.
pub fn settings(args: &ConnectArgs) -> Settings {
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
    Settings {
        store,
        lease_ttl: args.lease_ttl,
        deadline: args.deadline,
        share_percent: args.rate_share,
        who: format!("{user}@{host} pid {}", std::process::id()),
        revision: revision.unwrap_or_default().chars().take(64).collect(),
    }
}

type World = Option<(PathBuf, Rc<RefCell<Twin>>)>;

pub fn transport(args: &ConnectArgs, manifest: &Manifest) -> Result<(Transport, World)> {
    if let Some(file) = &args.twin {
        let path = (!file.is_empty()).then(|| PathBuf::from(file));
        let loaded = match &path {
            Some(path) => load_twin(path)?,
            None => None,
        };
        // A manifest with legacy delivery is for a tenant from before March 2025, so a new world gets a tenant of that
        // kind.
        let is_older = kinds::legacy::is_legacy(manifest);
        let unified_flag = if is_older { Flag::Off } else { Flag::On };
        let options = Options { default_account: None, unified_flag, ..Options::default() };
        let twin = Rc::new(RefCell::new(loaded.unwrap_or_else(|| Twin::new(options, 1))));
        // The last run may have ended in the future, because builds take virtual time. The world must not go back in
        // time.
        let start_ms = Clock::start().now_ms().max(twin.borrow().clock_ms);
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
    // A request that outlives the lease could let two runs interleave.
    let request_timeout = args.request_timeout.min(args.lease_ttl / 2).max(Duration::from_millis(500));
    let proxy = if via.is_some() { ProxySettings::none() } else { ProxySettings::of_this_process() };
    let options =
        HttpOptions { via, proxy, ca_file: args.ca_file.clone(), request_timeout, ..HttpOptions::default() };
    Ok((Transport::Http(Http::new(&options)?), None))
}
