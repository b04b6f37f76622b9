//! `lockstep twin`: the built-in twin as a server for other processes.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;

use super::exit::Exit;
use super::setup::{Shell, duration};
use crate::shell::in_process::load_twin;
use crate::shell::serve::{ServeOptions, serve};
use crate::twin::{Options, Rate, Twin};

/// Serve the built-in twin of both APIs on this machine
///
/// Tenants and Twilio accounts are told apart by the Host header and the credentials, and appear on first contact. An
/// API key SK… belongs to the account with the same digits, or to --account. Point Lockstep at it with --via.
///
/// Example: lockstep twin --port 8181 --world world.json
#[derive(clap::Args)]
pub struct Args {
    /// Port on 127.0.0.1; 0 takes any free one and prints it
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Keep the world in this file
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,
    /// Append one JSON line per request to this file
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Time from request to reply
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    latency: Option<Duration>,
    /// Management API limits: free, professional, enterprise or unlimited
    #[arg(long, value_name = "PLAN", value_parser = ["free", "professional", "enterprise", "unlimited"])]
    rate: Option<String>,
    /// Account of API keys that the world does not know
    #[arg(long, value_name = "SID")]
    account: Option<String>,
    /// Builds take this long, whatever they hold
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    build: Option<Duration>,
}

pub fn run(args: &Args, shell: &mut Shell) -> Result<Exit> {
    let loaded = match &args.world {
        Some(path) => load_twin(path)?,
        None => None,
    };
    let mut twin = loaded.unwrap_or_else(|| Twin::new(Options { latency_ms: 0, ..Options::default() }, 1));
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if let Some(latency) = args.latency {
        twin.options.latency_ms = ms(latency);
    }
    if let Some(build) = args.build {
        twin.options.build_ms = ms(build);
        twin.options.build_with_dependencies_ms = ms(build);
        twin.options.function_build_ms = ms(build);
        twin.options.bindable_after_ms = ms(build).min(twin.options.bindable_after_ms);
    }
    if let Some(rate) = &args.rate {
        twin.options.rate = match rate.as_str() {
            "free" => Rate::Free,
            "professional" => Rate::Professional,
            "enterprise" => Rate::Enterprise,
            _ => Rate::Unlimited,
        };
    }
    if let Some(account) = &args.account {
        twin.options.default_account = Some(account.clone());
    }
    let options =
        ServeOptions { port: args.port, request_log: args.log.clone(), world_file: args.world.clone() };
    let say = &mut shell.say;
    serve(Rc::new(RefCell::new(twin)), &options, &shell.signals, |line| say.err_line(line))?;
    Ok(Exit::Done)
}
