//! `lockstep smoke`: one real message, and each hop with its time.

use std::time::Duration;

use super::args::{ConnectArgs, ManifestArgs, duration};
use super::asker::agrees;
use super::error::{Error, Result};
use super::exit::Exit;
use super::fleet;
use super::plan::unread;
use super::setup::{Shell, ready};
use super::sinks::{Audit, listen};
use crate::diag::codes;
use crate::engine::smoke::{Smoked, Wish, smoke};
use crate::kinds::legacy;
use crate::kinds::said::login_feedback;
use crate::manifest::Missing;
use crate::model::phone;
use crate::model::plan::Purpose;

/// Send one real message, and tell each hop with its time
///
/// Sends through the provider's own test call, so the deployed Action runs, and waits until Verify has the attempt. A
/// message costs money, so it asks first. The number is never shown whole. Needs the scope create:phone_providers. With
/// legacy delivery there is no such call.
///
/// Example: lockstep smoke manifests/quickstart.yaml --twin=world.json --to +15005550006
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    manifest: ManifestArgs,
    #[command(flatten)]
    connect: ConnectArgs,
    /// The number, in E.164 form; one that you hold
    #[arg(long, value_name = "NUMBER", required = true, allow_hyphen_values = true)]
    to: String,
    /// How it is sent
    #[arg(long, value_name = "CHANNEL", default_value = "sms")]
    channel: Channel,
    /// How long to wait for the attempt in Verify
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    wait: Duration,
    /// Send without asking
    #[arg(short, long)]
    yes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Channel {
    Sms,
    Voice,
}

pub fn run(args: &Args, shell: &mut Shell) -> Result<Exit> {
    if let Some(refused) = phone::refused(&args.to) {
        return Err(Error::usage(format!("what --to names {}; nothing was sent", refused.words()))
            .help("name a number that you hold, with a plus and its country code"));
    }
    if fleet::is_fleet(args.manifest.path()) && args.manifest.tenants.len() != 1 {
        return Err(Error::usage("smoke sends through one tenant, and the file is a fleet")
            .help("name the tenant with --tenant NAME"));
    }
    let show = listen(shell, Audit::new());
    let Some(mut ready) = ready(&args.manifest, &args.connect, Missing::Error, &[], shell, show)? else {
        return Ok(Exit::Failed);
    };
    if legacy::is_legacy(&ready.stack.session.manifest) {
        return Err(Error::manifest("with phone.delivery: legacy the tenant has no test call; nothing was sent").help(
            "test by hand: sign in to an application with a user whose phone you hold, then look at the attempts of the \
             Verify service in the Twilio Console",
        ));
    }
    let question = format!("Send one real message to {}? It costs money.", phone::shown(&args.to));
    if !args.yes && !agrees(&question, "nothing was sent", shell)? {
        return Ok(Exit::Failed);
    }
    ready.stack.session.purpose = Purpose::Show;
    let session = ready.stack.session.clone();
    let wait_ms = u64::try_from(args.wait.as_millis()).unwrap_or(u64::MAX);
    let ways = login_feedback::ways(&session.manifest);
    let wish = Wish { to: args.to.clone(), voice: args.channel == Channel::Voice, wait_ms };
    let sent = ready
        .stack
        .driver
        .run(ready.stack.tenant, move |port| async move { smoke(&session, &wish, &port).await })?;
    let Smoked { hops, arrived } = sent.map_err(|failed| unread(&ready, &failed))?;
    for (ms, what) in &hops {
        shell.say.out_line(format!("{:>6}.{} s  {what}", ms / 1000, ms % 1000 / 100));
    }
    if arrived {
        let ways = if ways.is_empty() { "nothing in this manifest".to_owned() } else { ways.join(" and ") };
        let what = "this code is of no login, so Verify gets no feedback for it; that of a login comes by";
        shell.say.err_line(format!("{what} {ways}"));
    }
    ready.close()?;
    match arrived {
        true => Ok(Exit::Done),
        false => Err(Error::remote("Auth0 took the message, and Verify has no attempt of it")
            .code(codes::NO_ATTEMPT)
            .help(
                "see `lockstep status` for failed executions and messages, and wait longer with --wait 3m",
            )),
    }
}
