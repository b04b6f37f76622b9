//! Tenants that hand outputs on to others: their order, what is wrong with it, and how a value reaches its taker.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::super::args::{ConnectArgs, ManifestArgs};
use super::super::error::{Error, Result};
use super::super::setup::Shell;
use super::FleetArgs;
use super::load::{Loaded, Made, load};
use super::many::{gather, outputs};
use crate::diag::{Diagnostic, Problem, codes};
use crate::fleet::hubs::{Takes, depths};
use crate::fleet::report::listed;
use crate::fleet::told::Problems;
use crate::kinds;
use crate::manifest::{self, Missing};
use crate::model::manifest::Manifest;
use crate::model::text::line;
use crate::plan::handed::{self, Hubs};
use crate::shell::stack::learn;

/// Sets how deep each tenant stands, and reports circles and outputs that a hub does not have.
pub fn check(loaded: &Loaded, made: &mut [Made], problems: &mut Problems<'_>) {
    let name = |at: usize| loaded.tenants.list[at].name.as_str();
    let takes: Takes = made.iter().map(|one| (one.at, one.takes.clone())).collect();
    match depths(&takes) {
        Ok(depths) => {
            for one in made.iter_mut() {
                one.depth = depths.get(&one.at).copied().unwrap_or_default();
            }
        }
        Err(circle) => {
            let names: Vec<&str> = circle.iter().map(|at| name(*at)).collect();
            let told = names.join(" → ");
            let first = made.iter().find(|one| Some(&one.at) == circle.first());
            let taken = first.map(|one| handed::taken(&one.manifest)).unwrap_or_default();
            let key = taken.iter().find(|(hub, ..)| Some(&hub.as_str()) == names.get(1));
            if let (Some(one), Some((.., key))) = (first, key) {
                let title = "tenants take from each other in a circle";
                let help = "give one of them a value of its own, in an overlay that matches its name";
                problem(
                    loaded,
                    one,
                    Problem::error(codes::BAD_REFERENCE, key.clone(), title, told, help),
                    problems,
                );
            }
            return;
        }
    }
    let by_name: BTreeMap<&str, &Made> = made.iter().map(|one| (name(one.at), one)).collect();
    for one in made.iter() {
        for (hub, output, key) in handed::taken(&one.manifest) {
            if by_name.get(hub.as_str()).is_none_or(|hub| handed::makes(&hub.manifest, &output)) {
                continue;
            }
            let title = format!("{} has no {output} to hand on", line(&hub));
            let reason = format!("its manifest says nothing that makes {output}");
            let help = "add that part for this tenant, in an overlay that matches its name, or write the value itself";
            problem(loaded, one, Problem::error(codes::BAD_REFERENCE, key, title, reason, help), problems);
        }
    }
}

/// Adds a problem at a key of a tenant's manifest.
fn problem(loaded: &Loaded, one: &Made, problem: Problem, problems: &mut Problems<'_>) {
    let (rendered, file) = (loaded.render(one.at), loaded.file_of(one.at));
    let Ok(parsed) = manifest::read(&file, &rendered.text, &loaded.tables) else { return };
    problems.add(&loaded.tenants.list[one.at], &rendered, &file, &[parsed.locate(problem)]);
}

/// The waves that would go before the hub of one of their tenants.
pub fn too_late(loaded: &Loaded, made: &[Made]) -> Vec<Diagnostic> {
    let wave_of = |at: usize| loaded.group_of.get(&at).map(|group| loaded.groups[*group].wave);
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for one in made {
        for hub in &one.takes {
            let (Some(own), Some(theirs)) = (wave_of(one.at), wave_of(*hub)) else { continue };
            if theirs <= own || !seen.insert((own, *hub)) {
                continue;
            }
            let waves = &loaded.fleet.rollout.waves;
            let (own_name, their_name) = (&waves[own].name, &waves[theirs].name);
            let (tenant, hub) = (&loaded.tenants.list[one.at].name, &loaded.tenants.list[*hub].name);
            let title = format!(
                "the wave {own_name} has a tenant that takes from a tenant of the later wave {their_name}"
            );
            let reason = format!("{tenant} takes outputs of {hub}, which has to be applied before it");
            let help =
                format!("move {hub} to {own_name} or to a wave before it, or {tenant} to {their_name}");
            let path = format!("rollout.waves.{own}.name");
            found.push(loaded.fleet.parsed.locate(Problem::error(
                codes::CONFLICT,
                path,
                title,
                reason,
                help,
            )));
        }
    }
    found
}

/// Puts hubs into the first parts of a wave that goes in batches.
pub fn order(loaded: &mut Loaded, made: &[Made]) {
    let depth: BTreeMap<usize, usize> = made.iter().map(|one| (one.at, one.depth)).collect();
    if depth.values().all(|depth| *depth == 0) {
        return;
    }
    for wave in 0..loaded.fleet.rollout.waves.len() {
        let parts = || loaded.groups.iter().filter(|group| group.wave == wave);
        let mut members: Vec<usize> = parts().flat_map(|group| group.members.iter().copied()).collect();
        members.sort_by_key(|at| depth.get(at).copied().unwrap_or_default());
        let mut members = members.into_iter();
        for group in loaded.groups.iter_mut().filter(|group| group.wave == wave) {
            group.members = members.by_ref().take(group.members.len()).collect();
        }
    }
    let members = |(at, group): (usize, &crate::fleet::waves::Group)| {
        group.members.iter().map(move |member| (*member, at)).collect::<Vec<_>>()
    };
    loaded.group_of = loaded.groups.iter().enumerate().flat_map(members).collect();
}

/// Refuses to destroy a tenant while others of the table take its outputs: their codes would stop.
pub fn refuse_destroy(args: &ManifestArgs, shell: &mut Shell) -> Result<()> {
    let Some((hub, takers)) = takers(args, shell)? else { return Ok(()) };
    let takers: BTreeSet<String> = takers.into_values().flatten().collect();
    let takers: Vec<String> = takers.into_iter().collect();
    if takers.is_empty() {
        return Ok(());
    }
    let s = if takers.len() == 1 { "s" } else { "" };
    Err(Error::manifest(format!(
        "{} take{s} outputs of {hub}, so it goes last; nothing was changed",
        listed(&takers)
    ))
    .help("destroy each of them with --tenant NAME and take it out of the table, or give it a service of its own and roll that out"))
}

/// What a rollback of a tenant leaves in place, because others of the table take it: resources, with those tenants in
/// words.
pub fn handed_on(args: &ManifestArgs, shell: &mut Shell) -> Result<BTreeMap<String, String>> {
    let takers = takers(args, shell)?.map(|(_, takers)| takers).unwrap_or_default();
    Ok(in_words(takers))
}

/// Resources with the tenants that take them, in words.
fn in_words(takers: Takers) -> BTreeMap<String, String> {
    let words = |tenants: BTreeSet<String>| listed(&tenants.into_iter().collect::<Vec<_>>());
    takers.into_iter().map(|(resource, tenants)| (resource, words(tenants))).collect()
}

/// What a rollback of a tenant leaves in place for those of a rollout that still take it.
pub fn left_with(
    hub: &str,
    loaded: &Loaded,
    made: &[Made],
    is_left: impl Fn(&str) -> bool,
) -> BTreeMap<String, String> {
    let mut out = Takers::new();
    for one in made {
        let name = &loaded.tenants.list[one.at].name;
        let taken =
            handed::taken(&one.manifest).into_iter().filter(|(from, ..)| from == hub && is_left(name));
        for (_, output, _) in taken {
            out.entry(kinds::of_output(&output).to_owned()).or_default().insert(name.clone());
        }
    }
    in_words(out)
}

/// The tenants that take from one, by the resource that they take.
type Takers = BTreeMap<String, BTreeSet<String>>;

/// The selected tenant, and those of the whole table that take from it. `None`: there are errors, which were printed.
fn takers(args: &ManifestArgs, shell: &mut Shell) -> Result<Option<(String, Takers)>> {
    let Some(loaded) = load(args, &FleetArgs::default(), shell)? else { return Ok(None) };
    let Some(hub) = loaded.selected.first().map(|at| loaded.tenants.list[*at].name.clone()) else {
        return Ok(None);
    };
    let start = format!("${{tenants.{hub}.");
    let mut out = Takers::new();
    for (at, tenant) in loaded.tenants.list.iter().enumerate().filter(|(_, tenant)| tenant.name != hub) {
        for rest in loaded.render(at).text.split(&start).skip(1) {
            // A name may have dots, so `acme` is no hub of who takes from `acme.dev`.
            let output = rest.split('}').next().unwrap_or_default();
            if handed::is_output(output) {
                out.entry(kinds::of_output(output).to_owned()).or_default().insert(tenant.name.clone());
            }
        }
    }
    Ok(Some((hub, out)))
}

/// The manifest of one tenant with the outputs of its hubs, which are read for it. `None`: there are errors, which were
/// printed.
pub fn filled(
    manifest: Manifest,
    args: &ManifestArgs,
    connect: &ConnectArgs,
    shell: &mut Shell,
) -> Result<Option<Manifest>> {
    let names: BTreeSet<String> = handed::taken(&manifest).into_iter().map(|(name, ..)| name).collect();
    if names.is_empty() {
        return Ok(Some(manifest));
    }
    let args = ManifestArgs {
        manifest: args.path().to_owned(),
        file: None,
        vars: args.vars.clone(),
        commands: args.commands.clone(),
        tenants: names.into_iter().collect(),
    };
    let Some(loaded) = load(&args, &FleetArgs::default(), shell)? else { return Ok(None) };
    let Some(made) = loaded.make(&args, connect.twin.is_some(), Missing::Error, shell)? else {
        return Ok(None);
    };
    let (mut crowd, _) = gather(&made, connect, shell)?;
    let mut known = Hubs::new();
    for layer in layers(&made) {
        fill(&made, &layer, &known, &mut crowd.members, shell);
        let results = crowd.observe(&layer)?;
        for (at, result) in layer.into_iter().zip(results) {
            let read = result.ok().map(|observation| outputs(&crowd.members[at].session, &observation));
            known.insert(loaded.tenants.list[made[at].at].name.clone(), read);
        }
    }
    let manifest = handed::filled(&manifest, &known);
    Ok(Some(manifest))
}

/// The members of a fleet in the order in which they are read: hubs before those that take from them.
pub fn layers(made: &[Made]) -> Vec<Vec<usize>> {
    let mut layers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, one) in made.iter().enumerate() {
        layers.entry(one.depth).or_default().push(at);
    }
    layers.into_values().collect()
}

/// Gives these members the outputs that are known by now.
pub fn fill(
    made: &[Made],
    which: &[usize],
    known: &Hubs,
    members: &mut [crate::shell::fleet::Member],
    shell: &mut Shell,
) {
    for at in which.iter().copied().filter(|at| !made[*at].takes.is_empty()) {
        let manifest = Rc::new(handed::filled(&made[at].manifest, known));
        learn(&manifest, &shell.scrub);
        members[at].session.manifest = manifest;
    }
}
