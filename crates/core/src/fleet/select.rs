//! Which tenants of a fleet a command is about: `--tenant NAME`, `-l plan=free,region!=eu`, `--wave W`.

use std::collections::BTreeSet;

use super::Condition;
use super::file::Fleet;
use super::table::Tenants;
use super::waves::Group;
use crate::diag::nearest;

/// What a command line says of the tenants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub names: Vec<String>,
    pub labels: Vec<Condition>,
    pub wave: Option<String>,
}

/// Reads `plan=free,region!=eu`.
///
/// # Errors
/// Says what is wrong.
pub fn labels(text: &str) -> Result<Vec<Condition>, String> {
    let condition = |part: &str| {
        let (column, value) =
            part.split_once('=').ok_or_else(|| format!("{part:?} is no condition such as plan=free"))?;
        let (column, negated) = match column.strip_suffix('!') {
            Some(column) => (column, true),
            None => (column, false),
        };
        // `==` is what Kubernetes calls equality too.
        let value = if negated { value } else { value.strip_prefix('=').unwrap_or(value) };
        let column = column.trim();
        match column.is_empty() {
            true => Err(format!("{part:?} names no column")),
            false => {
                Ok(Condition { column: column.to_owned(), values: vec![value.trim().to_owned()], negated })
            }
        }
    };
    text.split(',').map(condition).collect()
}

/// Positions of the selected tenants, in the order of the table.
///
/// # Errors
/// Says what is not there, and what may be meant.
pub fn select(
    selection: &Selection,
    fleet: &Fleet,
    tenants: &Tenants,
    groups: &[Group],
) -> Result<Vec<usize>, String> {
    for name in &selection.names {
        if !tenants.list.iter().any(|tenant| tenant.name == *name) {
            let near = nearest(name, tenants.list.iter().map(|tenant| tenant.name.as_str()));
            let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            return Err(format!("the fleet {} has no tenant {name}{near}", fleet.name));
        }
    }
    if let Some(label) = selection.labels.iter().find(|label| !tenants.columns.contains(&label.column)) {
        return Err(format!("the table has no column {}; {}", label.column, tenants.near(&label.column)));
    }
    let wave = match &selection.wave {
        None => None,
        Some(wave) => {
            let waves = &fleet.rollout.waves;
            let at = waves.iter().position(|one| one.name == *wave).ok_or_else(|| {
                let names: Vec<&str> = waves.iter().map(|wave| wave.name.as_str()).collect();
                format!("the fleet {} has no wave {wave}; its waves are {}", fleet.name, names.join(", "))
            })?;
            Some(at)
        }
    };
    let in_wave: Option<BTreeSet<usize>> = wave.map(|wave| {
        groups
            .iter()
            .filter(|group| group.wave == wave)
            .flat_map(|group| group.members.iter().copied())
            .collect()
    });
    let in_wave = |at: &usize| in_wave.as_ref().is_none_or(|members| members.contains(at));
    let fits = |at: &usize| {
        let tenant = &tenants.list[*at];
        let is_named = selection.names.is_empty() || selection.names.contains(&tenant.name);
        is_named && selection.labels.iter().all(|label| label.holds(tenant)) && in_wave(at)
    };
    let found: Vec<usize> = (0..tenants.list.len()).filter(fits).collect();
    match found.is_empty() {
        true => Err(format!("no tenant of the fleet {} meets all of it", fleet.name)),
        false => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read() {
        let one = |column: &str, value: &str, negated| Condition {
            column: column.to_owned(),
            values: vec![value.to_owned()],
            negated,
        };
        assert_eq!(
            labels("plan=free,region!=eu"),
            Ok(vec![one("plan", "free", false), one("region", "eu", true)])
        );
        assert_eq!(labels("plan==free"), Ok(vec![one("plan", "free", false)]));
        assert_eq!(labels("plan="), Ok(vec![one("plan", "", false)]));
        for text in ["", "plan", "=x", "a=b,,c=d"] {
            assert!(labels(text).is_err(), "{text}");
        }
    }
}
