//! Which tenant belongs to which wave.

use std::collections::BTreeSet;

use ring::digest;

use super::file::{Fleet, Wave};
use super::table::{Tenant, Tenants};
use crate::diag::{Diagnostic, Problem, codes};
use crate::manifest::source::shown;

/// A wave, or a part of one, with its tenants as positions in the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Position of its wave.
    pub wave: usize,
    /// The wave's name, with the number of the part where it has several: `rest 2/5`.
    pub name: String,
    pub members: Vec<usize>,
}

/// The waves in order, each in its parts.
///
/// # Errors
/// A wave without tenants, or a tenant without a wave.
pub fn assign(fleet: &Fleet, tenants: &Tenants) -> Result<Vec<Group>, Vec<Diagnostic>> {
    let mut left: Vec<usize> = (0..tenants.list.len()).collect();
    let (mut groups, mut found) = (Vec::new(), Vec::new());
    for (at, wave) in fleet.rollout.waves.iter().enumerate() {
        let members = members(wave, &left, tenants);
        let taken: BTreeSet<usize> = members.iter().copied().collect();
        left.retain(|tenant| !taken.contains(tenant));
        if members.is_empty() && !wave.rest {
            let title = format!("the wave {} has no tenants", wave.name);
            let reason = "no tenant matches that no wave above has taken";
            let help = "correct match, or remove the wave: an empty wave passes its gates at once";
            found.push(located(fleet, at, &title, reason, help));
        }
        groups.extend(parts(at, wave, members));
    }
    if let Some(first) = left.first() {
        let tenant = &tenants.list[*first].name;
        let title = match left.len() {
            1 => format!("no wave takes the tenant {}", shown(tenant)),
            count => format!("no wave takes {} and {} further tenants", shown(tenant), count - 1),
        };
        let path = "rollout.waves";
        let problem = Problem::error(
            codes::CONFLICT,
            path,
            title,
            "it would never be rolled out",
            "add a last wave: { name: rest, rest: true }",
        );
        found.push(fleet.parsed.locate(problem.at_key()));
    }
    if found.is_empty() { Ok(groups) } else { Err(found) }
}

fn located(fleet: &Fleet, at: usize, title: &str, reason: &str, help: &str) -> Diagnostic {
    let path = format!("rollout.waves.{at}.name");
    fleet.parsed.locate(Problem::error(codes::CONFLICT, path, title, reason, help))
}

/// The tenants that a wave takes of those that are left, in the order of the table.
fn members(wave: &Wave, left: &[usize], tenants: &Tenants) -> Vec<usize> {
    let fits = |at: &&usize| wave.matches.iter().all(|one| one.holds(&tenants.list[**at]));
    let mut fitting: Vec<usize> = left.iter().filter(fits).copied().collect();
    if let Some(share) = wave.share {
        fitting.sort_by_cached_key(|at| rank(&tenants.list[*at]));
        // At least one: a share of few tenants is no empty wave.
        let count = (fitting.len() as f64 * share).ceil() as usize;
        fitting.truncate(count);
        fitting.sort_unstable();
    }
    fitting
}

/// Place of a tenant in the order by which a share takes them. It depends on the name alone, so that another row in the
/// table changes at most one member of a share.
fn rank(tenant: &Tenant) -> Vec<u8> {
    digest::digest(&digest::SHA256, tenant.name.as_bytes()).as_ref().to_vec()
}

fn parts(at: usize, wave: &Wave, members: Vec<usize>) -> Vec<Group> {
    let size = wave.batch.unwrap_or(usize::MAX).max(1);
    let chunks: Vec<&[usize]> = members.chunks(size).collect();
    let count = chunks.len();
    let name = |part: usize| match count {
        1 => wave.name.clone(),
        _ => format!("{} {}/{count}", wave.name, part + 1),
    };
    let group =
        |(part, chunk): (usize, &&[usize])| Group { wave: at, name: name(part), members: chunk.to_vec() };
    chunks.iter().enumerate().map(group).collect()
}
