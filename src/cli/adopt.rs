//! `lockstep adopt`: writes the manifest of a tenant that was set up by hand or by another tool.

mod fleet;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::args::{ConnectArgs, ManifestArgs};
use super::error::{Error, Result};
use super::exit::Exit;
use super::init::{checked, schema_line};
use super::loading::Loaded;
use super::outputs::{create, free, new_file};
use super::plan::unread;
use super::setup::{Ready, Shell, Start, connect, without};
use super::sinks::{Audit, listen};
use crate::adopt::terraform::{self, HandOver, State};
use crate::adopt::{Adopted, Doc, Head, Stop, adopt};
use crate::kinds::adopting::{Ask, Wish};
use crate::manifest::Missing;
use crate::model::call::Failed;
use crate::model::text::{line_of, shell_word};
use crate::shell::files::{self, ManifestFile};
use crate::shell::terminal::Say;

/// Largest Terraform state that is read; a large one has a few megabytes.
const STATE_LIMIT_BYTES: u64 = 32 * 1024 * 1024;

/// Write the manifest of a tenant that was set up by hand or by Terraform
///
/// Reads tenant and account and sends no write. The manifest names a variable for every secret, and code is put into
/// files beside it. No file is replaced. The connection comes from AUTH0_DOMAIN, AUTH0_CLIENT_ID, AUTH0_CLIENT_SECRET,
/// TWILIO_ACCOUNT_SID, and TWILIO_API_KEY with TWILIO_API_SECRET, or TWILIO_AUTH_TOKEN.
///
/// With `--tenants` it reads every tenant of a table, and writes a fleet file, a base with what most have in common, and
/// overlays with the rest. The variables of each tenant end in its name: AUTH0_CLIENT_ID_ACME_DEV for acme-dev. A Verify
/// service or a Function that serves several of them is managed by the first one, and the others take it from there.
///
/// Example: lockstep adopt --twin=world.json --stack acme-login --out adopted.yaml
#[derive(clap::Args)]
pub struct Args {
    /// The manifest to write; a file that exists is left alone, and nothing is written then
    #[arg(long, value_name = "FILE", default_value = "lockstep.yaml")]
    out: PathBuf,
    /// Name of the stack; the default is that of the record in the tenant, or the first part of the domain
    #[arg(long, value_name = "NAME")]
    stack: Option<String>,
    /// The Verify service that sends the codes, if the account has several; or none
    #[arg(long, value_name = "SID")]
    verify_service: Option<String>,
    /// The Verify service that sends the codes and that others manage: the manifest uses it and never changes it
    #[arg(long, value_name = "SID", conflicts_with = "verify_service")]
    use_verify_service: Option<String>,
    /// The Action that sends the codes, if the tenant has several: its name or id; or none
    #[arg(long, value_name = "NAME")]
    action: Option<String>,
    /// Take ids from this Terraform state (format 4, or of `terraform show -json`) and say how it hands over
    #[arg(long, value_name = "FILE")]
    terraform_state: Option<PathBuf>,
    /// Write a fleet of the tenants in this table: name, domain, account_sid, and where needed verify_service or
    /// use_verify_service, action
    #[arg(long, value_name = "FILE", conflicts_with_all = ["verify_service", "use_verify_service", "action", "terraform_state"])]
    tenants: Option<PathBuf>,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub fn run(args: &Args, shell: &mut Shell) -> Result<Exit> {
    if let Some(table) = &args.tenants {
        return fleet::adopt_all(args, table, shell);
    }
    let state = args.terraform_state.as_deref().map(read_state).transpose()?;
    let stem = stem(&args.out)?;
    let folder = new_file("adopt", &args.out)?;
    let by_token = is_set("TWILIO_AUTH_TOKEN") && !is_set("TWILIO_API_KEY");
    let mut head = Head {
        stack: args.stack.clone(),
        otherwise: None,
        tenant: String::new(),
        account: String::new(),
        by_token,
        stem,
        in_fleet: false,
    };
    let text = Doc::new(args.stack.as_deref().unwrap_or("adopted"), &head).text();
    let parsed =
        checked("adopt", &text).map_err(|(wrong, help)| Error::usage(format!("--{wrong}")).help(help))?;
    check_environment(args, by_token)?;
    let file = ManifestFile { path: args.out.clone(), text, lost: Vec::new(), folder };
    let loaded = Loaded { parsed, file, is_our_own: true, tenant: None };
    let values = ManifestArgs {
        manifest: args.out.clone(),
        file: None,
        vars: Vec::new(),
        commands: Vec::new(),
        tenants: Vec::new(),
    };
    let show = listen(shell, Audit::new());
    let mut ready = match connect(loaded, &values, &args.connect, Missing::Error, &[], shell, show)? {
        None => return Ok(Exit::Failed),
        Some(Start::Ready(ready)) => *ready,
        Some(Start::Unconnected(_, places)) => return Err(without(&places)),
    };
    ready.stack.session.tenant.clone_into(&mut head.tenant);
    ready.stack.session.account.clone_into(&mut head.account);
    let wish = Wish {
        verify_service: args.use_verify_service.clone().or_else(|| args.verify_service.clone()),
        uses_service: args.use_verify_service.is_some(),
        uses_function: false,
        action: args.action.clone(),
        ids: state.as_ref().map(State::ids).unwrap_or_default(),
    };
    let result = ready
        .stack
        .driver
        .run(ready.stack.tenant, move |port| async move { adopt(&wish, &head, &port.reader()).await })?;
    let adopted = match result {
        Ok(adopted) => adopted,
        Err(Stop::Ask(asks)) => return Err(asked(&asks)),
        Err(Stop::Unread(parts)) => return not_read(&parts, &ready, shell),
    };
    let handed = state.map(|state| state.hand_over(&adopted));
    let written = write(&args.out, &adopted.manifest, &adopted.files)?;
    tell(args, &adopted, handed.as_ref(), &written, shell);
    ready.close()?;
    Ok(Exit::Done)
}

fn is_set(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| !value.is_empty())
}

/// Says in one message which variables of the connection are missing. With `--twin` they are made up.
fn check_environment(args: &Args, by_token: bool) -> Result<()> {
    if args.connect.twin.is_some() {
        return Ok(());
    }
    let twilio: &[&str] =
        if by_token { &["TWILIO_AUTH_TOKEN"] } else { &["TWILIO_API_KEY", "TWILIO_API_SECRET"] };
    let needed = ["AUTH0_DOMAIN", "AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET", "TWILIO_ACCOUNT_SID"];
    let missing: Vec<&str> = needed.iter().chain(twilio).filter(|name| !is_set(name)).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::usage(format!(
        "adopt needs a connection, and these variables are not set: {}",
        missing.join(", ")
    ))
    .help("set them (README, \"On a real tenant\"); read scopes and a key that reads are enough"))
}

fn read_state(path: &Path) -> Result<State> {
    let wrong = |what: String| {
        Error::usage(format!("--terraform-state {}: {what}", path.display()))
            .help("give a state of format 4, or what `terraform show -json` prints")
    };
    let text = files::read_text(path, STATE_LIMIT_BYTES).map_err(|problem| wrong(problem.to_string()))?;
    terraform::read(&text).map_err(wrong)
}

/// The beginning of the names of all files: the manifest's own, as far as a path in a manifest can have it.
fn stem(out: &Path) -> Result<String> {
    let name = out.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if name.is_empty() || name == "-" {
        let wrong =
            format!("--out {} names no file, and code is written into files beside it", out.display());
        return Err(Error::usage(wrong).help("name a file"));
    }
    let stem = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml")).unwrap_or(&name);
    let plain = |ch: char| if ch.is_ascii_alphanumeric() || "-_".contains(ch) { ch } else { '_' };
    Ok(stem.chars().map(plain).collect())
}

/// Writes all files or none.
fn write(out: &Path, text: &str, beside: &BTreeMap<String, String>) -> Result<Vec<PathBuf>> {
    let folder = out.parent().unwrap_or(Path::new(""));
    let mut all: BTreeMap<PathBuf, &str> =
        beside.iter().map(|(name, code)| (folder.join(name), code.as_str())).collect();
    all.insert(out.to_owned(), text);
    for path in all.keys() {
        free("adopt", path)?;
    }
    let mut written: Vec<PathBuf> = Vec::new();
    for (path, text) in &all {
        if let Err(error) = create("adopt", path, text) {
            written.iter().for_each(|path| drop(std::fs::remove_file(path)));
            return Err(error);
        }
        written.push(path.clone());
    }
    written.sort_by_key(|path| path != out);
    Ok(written)
}

fn asked(asks: &[Ask]) -> Error {
    let mut text = String::new();
    for Ask { what, option, candidates } in asks {
        let list: Vec<String> = candidates
            .iter()
            .map(|(name, what)| {
                format!("\n  {option} {}  ({})", shell_word(&line_of(name, 120)), line_of(what, 120))
            })
            .collect();
        let list = if list.is_empty() { "\n  (there is none)".to_owned() } else { list.concat() };
        text += &format!(
            "{}which is {what}? Nothing was written. The candidates are:{list}",
            if text.is_empty() { "" } else { "\n" }
        );
    }
    let options: Vec<&str> = asks.iter().map(|ask| ask.option).collect();
    Error::usage(text).help(format!("run again with {}; `none` leaves that part out", options.join(" and ")))
}

/// Says which parts cannot be read.
fn not_read(parts: &[(String, Failed)], ready: &Ready<'_>, shell: &mut Shell) -> Result<Exit> {
    let is_whole = |failed: &Failed| match failed {
        Failed::Stopped => true,
        Failed::Refused(refusal) => refusal.path == "/oauth/token",
        _ => false,
    };
    if let Some((_, failed)) = parts.iter().find(|(_, failed)| is_whole(failed)) {
        return Err(unread(ready, failed));
    }
    for (what, failed) in parts {
        shell.say.err_one_line(format!("not read: {what}: {failed}"));
    }
    shell.say.err_line("A part of the tenant could not be read, so nothing was written.");
    shell.say.err_line(
        "  help: grant the read scopes and the key's permissions that the lines above name, then run again",
    );
    Ok(Exit::Incomplete)
}

fn tell_written(written: &[PathBuf], say: &mut Say) {
    let files: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
    say.out_one_line(format!("wrote {}", files.join(", ")));
}

/// Lines under a title; nothing without lines.
fn list(title: &str, lines: &[String], say: &mut Say) {
    if !lines.is_empty() {
        say.out_line(format!("\n{title}"));
        lines.iter().for_each(|line| say.out_one_line(format!("  {line}")));
    }
}

fn tell(args: &Args, adopted: &Adopted, handed: Option<&HandOver>, written: &[PathBuf], shell: &mut Shell) {
    let say = &mut shell.say;
    tell_written(written, say);
    let mut list = |title: &str, lines: &[String]| list(title, lines, say);
    let variables: Vec<String> =
        adopted.variables.iter().map(|one| format!("{}  for {}", one.name, one.key)).collect();
    list("Set these variables, besides those of the connection:", &variables);
    list("The tenant has this, and the manifest does not say it:", &adopted.left);
    list(
        "A first apply would change these, because a manifest cannot say how they are now:",
        &adopted.changes,
    );
    let suspects: Vec<String> = adopted
        .suspects
        .iter()
        .map(|(file, line)| {
            format!("{file}:{line}: warning: this line holds what looks like a key or a token")
        })
        .collect();
    list("Move these into secrets, and do not commit them:", &suspects);
    if let Some(handed) = handed {
        list("These resources stay with Terraform:", &handed.left);
        if !handed.removed.is_empty() {
            say.out_line("\nPut these blocks in place of the resources, and let Terraform apply them. It destroys nothing (docs/adopt.md):\n");
            say.out(&handed.blocks());
        }
    }
    say.out_line("");
    let out = args.out.display().to_string();
    say.out_one_line(format!("Next: set the variables, then lockstep plan {}", shell_word(&out)));
    say.out_one_line(schema_line(&args.out));
}
