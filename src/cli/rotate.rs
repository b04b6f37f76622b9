//! `lockstep rotate`: new keys and a new authorization of the stream, in the order make, use, wait, remove.

use std::collections::BTreeSet;

use super::apply::{Common, Does, carry_out};
use super::args::ManifestArgs;
use super::asker::agrees;
use super::error::{Error, Result};
use super::exit::Exit;
use super::fleet;
use super::plan::unread;
use super::setup::{Shell, ready};
use super::sinks::{Audit, listen};
use crate::diag::{codes, nearest};
use crate::engine::promote::{Tokens, looks, promote};
use crate::kinds::twilio_key::rotatable;
use crate::manifest::Missing;
use crate::model::manifest::Manifest;
use crate::model::plan::Purpose;

/// Make keys and the stream's authorization anew
///
/// Makes a new key, hands it to the Action or the Function, deploys, and leaves the former key in place for ten minutes; a
/// later apply or rotate removes it. The names are sender and feedback (the keys of ${minted…}) and stream (a generated
/// authorization); without a name, all that the manifest makes itself. The run is an apply: what else differs is applied too.
/// A rotation that was cut off is finished by the next apply or rotate. See the plan with `plan --rotate=NAME`.
///
/// Example: lockstep rotate manifests/minted.yaml sender --twin=world.json
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(super) manifest: ManifestArgs,
    /// What to make anew: sender, feedback, stream; all without a name
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    pub(super) common: Common,
    /// Also take away what was removed from the manifest
    #[arg(long)]
    allow_delete: bool,
    /// Make the account's secondary auth token the only one, and nothing else. twilio.auth_token has to be that token already.
    /// Everything that still has the present token stops at once
    #[arg(id = "promote", long = "promote-auth-token", conflicts_with_all = ["names", "allow_delete", "plan", "expect", "verify", "delete"])]
    promote_auth_token: bool,
}

pub fn run(args: &Args, shell: &mut Shell) -> Result<Exit> {
    if args.promote_auth_token {
        return promotion(args, shell);
    }
    let first = args.manifest.path();
    if let Some(name) = first.to_str().filter(|word| NAMES.contains(word) && !first.exists()) {
        return Err(Error::usage(format!("{name:?} stands where the manifest belongs"))
            .help(format!("write the manifest first: lockstep rotate lockstep.yaml {name}")));
    }
    let does = Does::Rotate { allow_delete: args.allow_delete };
    carry_out(&args.manifest, &args.common, does, None, &args.names, shell)
}

/// All names that a person can give.
const NAMES: [&str; 3] = ["sender", "feedback", "stream"];

/// The values that are to be made anew, as the manifest refers to them.
///
/// # Errors
/// A name is of nothing that this manifest makes, or it makes nothing.
pub fn targets(manifest: &Manifest, names: &[String]) -> Result<BTreeSet<String>> {
    let known = rotatable(manifest);
    if known.is_empty() {
        let text = "this manifest makes no key and no authorization, so there is nothing to rotate";
        return Err(Error::usage(text).help(
            "${minted.sender.sid}, ${minted.feedback.sid} and ${generated.NAME} are values that can be rotated; \
             rotate a key of your own where you made it, then apply",
        ));
    }
    let one = |name: &String| {
        known.get(name.as_str()).cloned().ok_or_else(|| {
            let all: Vec<&str> = known.keys().copied().collect();
            let near = nearest(name, all.iter().copied());
            let help = match near {
                Some(near) => format!("did you mean {near}?"),
                None => format!("this manifest makes {}", all.join(", ")),
            };
            Error::usage(format!("{name:?} is nothing that this manifest makes itself")).help(help)
        })
    };
    match names.is_empty() {
        true => Ok(known.values().cloned().collect()),
        false => names.iter().map(one).collect(),
    }
}

/// What stops with the former token, in lines for a person.
const BREAKS: [&str; 3] = [
    "everything that signs in to Twilio with the present token: other tools, other stacks, the Console's code samples",
    "requests of Twilio to your servers: the key of X-Twilio-Signature becomes the new token",
    "Functions that use the account's own credentials (includeCredentials): they may answer 403 for about a minute",
];

/// Makes the secondary token the only one.
fn promotion(args: &Args, shell: &mut Shell) -> Result<Exit> {
    let Args { manifest, common, .. } = args;
    if fleet::is_fleet(manifest.path()) && manifest.tenants.len() != 1 {
        return Err(Error::usage("a promotion is about one account, and the file is a fleet")
            .help("name the tenant with --tenant NAME"));
    }
    let show = listen(shell, Audit::new());
    let Some(mut ready) = ready(manifest, &common.connect, Missing::Error, &[], shell, show)? else {
        return Ok(Exit::Failed);
    };
    let session = ready.stack.session.clone();
    let text = |key: &str| session.manifest.get("twilio", key).is_some();
    let Some(token) = session.manifest.secret("twilio", "auth_token").cloned().filter(|_| !text("api_key"))
    else {
        return Err(Error::usage(
            "--promote-auth-token needs twilio.auth_token, and this manifest does not use it",
        )
        .help(
            "nothing of this stack uses the account's token; promote it where you made the secondary one",
        ));
    };
    ready.stack.session.purpose = Purpose::Apply;
    let (account, known) = (session.account.clone(), token.clone());
    let seen = ready
        .stack
        .driver
        .run(ready.stack.tenant, move |port| async move { looks(&account, &known, &port.reader()).await })?;
    match seen.map_err(|failed| unread(&ready, &failed))? {
        Tokens::Second => {}
        Tokens::Present => {
            return Err(Error::plan("twilio.auth_token is the present token, and a promotion would end it; nothing was changed")
                .help("make a secondary token in the Twilio Console (Account, API keys & tokens), put it where twilio.auth_token \
                       comes from, then run this again: both work until then"));
        }
    }
    shell.say.err_line(format!(
        "The secondary auth token of {} becomes the only one. This breaks:",
        session.account
    ));
    BREAKS.iter().for_each(|line| shell.say.err_line(format!("  - {line}")));
    shell.say.err_line(
        "Subaccounts keep their own tokens. There is no way back: the present token never works again.",
    );
    if !common.yes && !agrees("Promote it?", "nothing was changed", shell)? {
        return Ok(Exit::Failed);
    }
    let run = session.clone();
    let done = ready
        .stack
        .driver
        .run(ready.stack.tenant, move |port| async move { promote(&run, &token, &port).await })?;
    let done = done.map_err(|failed| unread(&ready, &failed))?;
    ready.close()?;
    match done {
        Ok(()) => {
            shell.say.out_line("promoted: the token in twilio.auth_token is the only one of the account now");
            Ok(Exit::Done)
        }
        Err(owner) => {
            let text = format!("{owner} is applying to this tenant; nothing was changed");
            shell.say.err_one_line(format!("error[{}]: {text}", codes::LEASE_HELD));
            shell.refused = Some(text);
            Ok(Exit::LeaseHeld)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::{Attrs, Value};

    fn manifest(sections: &[(&str, &[(&str, Value)])]) -> Manifest {
        let attrs = |pairs: &[(&str, Value)]| -> Attrs {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
        };
        let sections = sections.iter().map(|(path, pairs)| ((*path).to_owned(), attrs(pairs))).collect();
        Manifest { stack: "acme".into(), sections }
    }

    #[test]
    fn names_stand_for_what_the_manifest_makes() {
        let all = manifest(&[
            ("action", &[("secrets.S", Value::Minted("sender".into()))]),
            ("feedback.function", &[("api_secret", Value::Minted("feedback".into()))]),
            ("feedback.log_stream", &[("authorization", Value::Generated("hook".into()))]),
        ]);
        let names = |names: &[&str]| -> std::result::Result<Vec<String>, String> {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            targets(&all, &names).map(|set| set.into_iter().collect()).map_err(|error| error.to_string())
        };
        assert_eq!(names(&[]).expect("all"), ["generated.hook", "minted.feedback", "minted.sender"]);
        assert_eq!(names(&["stream", "sender"]).expect("two"), ["generated.hook", "minted.sender"]);
        assert!(names(&["sendr"]).is_err_and(|text| text.contains("sendr")));
        let nothing = manifest(&[("action", &[("secrets.S", Value::text("x"))])]);
        assert!(targets(&nothing, &[]).is_err());
    }
}
