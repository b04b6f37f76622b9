//! `lockstep adopt --tenants`: writes the fleet of tenants that were set up by hand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::args::ManifestArgs;
use super::super::error::{Error, Result};
use super::super::exit::Exit;
use super::super::fleet::{gather, load::load_texts};
use super::super::init::schema_line;
use super::super::outputs::new_file;
use super::super::setup::Shell;
use super::{Args, is_set, list, stem, tell_written, write};
use crate::adopt::fleet::{self, Names, Read, Taken, together};
use crate::adopt::{Adopted, Head, Stop, adopt};
use crate::fleet::report::listed;
use crate::fleet::select::Selection;
use crate::kinds::adopting::{Ask, Wish};
use crate::manifest::Missing;
use crate::model::text::{line_of, shell_word};
use crate::shell::fleet::Crowd;
use crate::shell::in_process::save_world;

/// Name of the base's file.
const BASE: &str = "base.yaml";

/// Reads every tenant of the table, and writes all files or none.
pub fn adopt_all(args: &Args, table: &Path, shell: &mut Shell) -> Result<Exit> {
    let out = match args.out == Path::new("lockstep.yaml") {
        true => PathBuf::from("fleet.yaml"),
        false => args.out.clone(),
    };
    let (folder, stem) = (new_file("adopt", &out)?, stem(&out)?);
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let (Some(file), Some(relative)) = (name(&out), name(table)) else {
        return Err(Error::usage("--tenants names no file").help("name a table in CSV, YAML or JSON"));
    };
    let same = |path: &Path| path.parent().unwrap_or(Path::new("")).canonicalize().ok();
    let parent = |path: &Path| same(&Path::new(".").join(path));
    if parent(&out) != parent(table) {
        return Err(Error::usage(format!("{} is not in the folder of {}", table.display(), out.display()))
            .help(
                "a fleet file reads its table from its own folder: name a file beside the table with --out",
            ));
    }
    let by_token = std::env::vars_os().any(|(name, _)| {
        name.to_str().is_some_and(|name| name.starts_with("TWILIO_AUTH_TOKEN_") && is_set(name))
    });
    let fleet_name = args.stack.clone().unwrap_or_else(|| stem.clone());
    let names = Names { fleet: &fleet_name, file: &file, base: BASE, table: &relative };
    let base = fleet::connection(&fleet_name, by_token);
    let read = |name: &str, limit: u64| match name {
        BASE => Ok(base.clone()),
        name => folder.read(name, limit).map_err(|problem| {
            Error::usage(format!("--tenants {}: {problem}", table.display())).help("check the path")
        }),
    };
    let text = fleet::file(names, &[], &[]);
    let Some(mut loaded) = load_texts((&out, &text), &read, &Selection::default(), shell)? else {
        return Ok(Exit::Failed);
    };
    loaded.is_our_own = true;
    for column in ["domain", "account_sid"] {
        if !loaded.tenants.columns.contains(column) {
            return Err(Error::usage(format!("{} has no column {column}", table.display()))
                .help("adopt connects to each tenant by its domain and its account_sid"));
        }
    }
    let values = ManifestArgs {
        manifest: out.clone(),
        file: None,
        vars: Vec::new(),
        commands: Vec::new(),
        tenants: Vec::new(),
    };
    let Some(made) = loaded.make(&values, args.connect.twin.is_some(), Missing::Error, shell)? else {
        return Ok(Exit::Failed);
    };
    let (mut crowd, world) = gather(&made, &args.connect, shell)?;
    let mut wishes: Vec<(Wish, Head)> = made
        .iter()
        .map(|one| {
            let tenant = &loaded.tenants.list[one.at];
            let cell = |name: &str| tenant.cell(name).filter(|cell| !cell.is_empty()).map(str::to_owned);
            let used = cell("use_verify_service");
            let wish = Wish {
                uses_service: used.is_some(),
                uses_function: false,
                verify_service: used.or_else(|| cell("verify_service")),
                action: cell("action"),
                ids: std::collections::BTreeSet::new(),
            };
            let head = Head {
                stack: args.stack.clone(),
                otherwise: Some(stem.clone()),
                tenant: cell("domain").unwrap_or_default(),
                account: cell("account_sid").unwrap_or_default(),
                by_token,
                stem: "base".into(),
                in_fleet: false,
            };
            (wish, head)
        })
        .collect();
    let tenants: Vec<&str> = made.iter().map(|one| loaded.tenants.list[one.at].name.as_str()).collect();
    let read = read_all(&tenants, &mut wishes, &mut crowd, shell)?;
    if let Some((path, twin)) = world {
        save_world(&*twin.borrow(), &path)?;
    }
    let (read, taken) = match read {
        Ok(read) => read,
        Err(Refused::Asked(text)) => {
            return Err(Error::usage(text).help(
                "give the table columns verify_service (or use_verify_service, for one that others manage) and action: a SID, a name or an id, or none; an empty cell lets adopt choose",
            ));
        }
        Err(Refused::Unread) => {
            shell.say.err_line("A part of the fleet could not be read, so nothing was written.");
            shell.say.err_line(
                "  help: grant the read scopes and the keys' permissions that the lines above name, then run again",
            );
            return Ok(Exit::Incomplete);
        }
    };
    let told: Vec<(String, Adopted)> = read.clone();
    let mut fleet = together(read, names, by_token);
    let text = fleet.files.remove(&file).unwrap_or_default();
    let written = write(&out, &text, &fleet.files)?;
    tell(&out, &told, &fleet, &taken, &written, shell);
    Ok(Exit::Done)
}

/// The tenants, and what they take from each other.
type Adoption = std::result::Result<(Vec<Read>, BTreeMap<String, Taken>), Refused>;

/// Reads the tenants. Whoever takes from another one is read once more, without what that one manages.
fn read_all(
    names: &[&str],
    wishes: &mut [(Wish, Head)],
    crowd: &mut Crowd<'static>,
    shell: &mut Shell,
) -> Result<Adoption> {
    let everyone: Vec<usize> = (0..names.len()).collect();
    let mut read = match read_some(&everyone, names, wishes, crowd, shell)? {
        Ok(read) => read,
        Err(refused) => return Ok(Err(refused)),
    };
    let taken = fleet::taken(&read);
    let takers: Vec<usize> = everyone.into_iter().filter(|at| taken.contains_key(names[*at])).collect();
    for at in &takers {
        let (wish, one) = (&mut wishes[*at].0, &taken[names[*at]]);
        if let Some((sid, _)) = &one.service {
            (wish.verify_service, wish.uses_service) = (Some(sid.clone()), true);
        }
        wish.uses_function = one.function.is_some();
    }
    let again = match read_some(&takers, names, wishes, crowd, shell)? {
        Ok(again) => again,
        Err(refused) => return Ok(Err(refused)),
    };
    for (at, (name, mut adopted)) in takers.into_iter().zip(again) {
        fleet::refer(&mut adopted, &taken[&name]);
        read[at] = (name, adopted);
    }
    Ok(Ok((read, taken)))
}

fn read_some(
    which: &[usize],
    names: &[&str],
    wishes: &[(Wish, Head)],
    crowd: &mut Crowd<'static>,
    shell: &mut Shell,
) -> Result<std::result::Result<Vec<Read>, Refused>> {
    let next = std::cell::Cell::new(0);
    let results = crowd.each(which.iter().copied(), |_, reader| {
        let (wish, head) = wishes[which[next.replace(next.get() + 1)]].clone();
        async move { Ok(adopt(&wish, &head, &reader).await) }
    })?;
    let results = results
        .into_iter()
        .map(|result| result.unwrap_or_else(|failed| Err(Stop::Unread(vec![("the tenant".into(), failed)]))));
    Ok(sorted(which.iter().map(|at| names[*at].to_owned()).zip(results), shell))
}

/// Why nothing is written.
enum Refused {
    /// Several objects could be meant: the questions.
    Asked(String),
    /// Parts could not be read, which was told.
    Unread,
}

/// What was read of all tenants, or why that is not enough.
fn sorted(
    results: impl Iterator<Item = (String, std::result::Result<Adopted, Stop>)>,
    shell: &mut Shell,
) -> std::result::Result<Vec<Read>, Refused> {
    let (mut read, mut asked, mut unread) = (Vec::new(), String::new(), false);
    for (name, result) in results {
        match result {
            Ok(adopted) => read.push((name, adopted)),
            Err(Stop::Unread(parts)) => {
                unread = true;
                for (what, failed) in parts {
                    shell.say.err_one_line(format!("not read: {name}: {what}: {failed}"));
                }
            }
            Err(Stop::Ask(asks)) => {
                for Ask { what, candidates, .. } in asks {
                    let list: Vec<String> = candidates
                        .iter()
                        .map(|(id, what)| format!("\n  {}  ({})", line_of(id, 120), line_of(what, 120)))
                        .collect();
                    let start = if asked.is_empty() { "" } else { "\n" };
                    asked +=
                        &format!("{start}{name}: which is {what}? Nothing was written. The candidates are:");
                    asked += &list.concat();
                }
            }
        }
    }
    match (unread, asked.is_empty()) {
        (true, _) => Err(Refused::Unread),
        (false, false) => Err(Refused::Asked(asked)),
        (false, true) => Ok(read),
    }
}

/// What tenants have together, a line for each Verify service and each Function.
fn shared(taken: &BTreeMap<String, Taken>) -> Vec<String> {
    let mut by_hub: BTreeMap<(String, &String), Vec<String>> = BTreeMap::new();
    for (name, one) in taken {
        if let Some((sid, hub)) = &one.service {
            by_hub.entry((format!("the Verify service {sid}"), hub)).or_default().push(name.clone());
        }
        if let Some(hub) = &one.function {
            by_hub.entry((format!("the Function of {hub}"), hub)).or_default().push(name.clone());
        }
    }
    let line = |((what, hub), takers): ((String, &String), Vec<String>)| {
        format!("{what}: {hub} manages it, and it is taken from there by {}", listed(&takers))
    };
    by_hub.into_iter().map(line).collect()
}

fn tell(
    out: &Path,
    read: &[Read],
    fleet: &fleet::Fleet,
    taken: &BTreeMap<String, Taken>,
    written: &[PathBuf],
    shell: &mut Shell,
) {
    let say = &mut shell.say;
    tell_written(written, say);
    let mut list = |title: &str, lines: &[String]| list(title, lines, say);
    let variables: Vec<String> =
        fleet.variables.iter().map(|one| format!("{}_TENANT  for {}", one.name, one.key)).collect();
    list(
        "Set these variables for each tenant, besides those of the connections (TENANT: its name, such as ACME_DEV for acme-dev):",
        &variables,
    );
    list(
        "No two stacks may manage the same, so tenants that share something take it from one:",
        &shared(taken),
    );
    let overlays: Vec<String> =
        fleet.overlays.iter().map(|(file, tenants)| format!("{file}  for {}", listed(tenants))).collect();
    list("These overlays have what differs from the base:", &overlays);
    let of = |lines: fn(&Adopted) -> &Vec<String>| -> Vec<String> {
        read.iter()
            .flat_map(|(name, one)| lines(one).iter().map(move |line| format!("{name}: {line}")))
            .collect()
    };
    list("The tenants have this, and the files do not say it:", &of(|one| &one.left));
    list(
        "A first rollout would change these, because a manifest cannot say how they are now:",
        &of(|one| &one.changes),
    );
    let suspects: Vec<String> = read
        .iter()
        .flat_map(|(name, one)| one.suspects.iter().map(move |(file, line)| (name, file, line)))
        .map(|(name, file, line)| {
            format!("{file}:{line} ({name}): warning: this line holds what looks like a key or a token")
        })
        .collect();
    list("Move these into secrets, and do not commit them:", &suspects);
    say.out_line("");
    let out_name = out.display().to_string();
    say.out_one_line(format!("Next: set the variables, then lockstep plan {}", shell_word(&out_name)));
    say.out_one_line(schema_line(&out.with_file_name(BASE)));
}
