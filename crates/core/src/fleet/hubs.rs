//! Which tenant of a fleet goes before which: a hub before all that take its outputs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What each tenant takes from, by position in the table.
pub type Takes = BTreeMap<usize, BTreeSet<usize>>;

/// How many tenants stand in a row before each one: 0 for a tenant that takes from nobody.
///
/// # Errors
/// Tenants take from each other in a circle: its members in order, the first one at the end again.
pub fn depths(takes: &Takes) -> Result<BTreeMap<usize, usize>, Vec<usize>> {
    let mut takers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut open: BTreeMap<usize, usize> = BTreeMap::new();
    for (at, hubs) in takes {
        open.insert(*at, hubs.len());
        for hub in hubs {
            open.entry(*hub).or_default();
            takers.entry(*hub).or_default().push(*at);
        }
    }
    let mut depths: BTreeMap<usize, usize> = BTreeMap::new();
    let mut ready: VecDeque<usize> = open.iter().filter(|(_, open)| **open == 0).map(|(at, _)| *at).collect();
    depths.extend(ready.iter().map(|at| (*at, 0)));
    while let Some(hub) = ready.pop_front() {
        let depth = depths.get(&hub).copied().unwrap_or_default() + 1;
        for at in takers.get(&hub).into_iter().flatten() {
            let known = depths.entry(*at).or_default();
            *known = depth.max(*known);
            let left = open.entry(*at).or_insert(1);
            *left -= 1;
            if *left == 0 {
                ready.push_back(*at);
            }
        }
    }
    match open.iter().find(|(_, open)| **open > 0) {
        None => Ok(depths),
        Some((first, _)) => Err(circle(takes, &open, *first)),
    }
}

/// A circle that is reached from a tenant which is never ready: each such tenant takes from another one.
fn circle(takes: &Takes, open: &BTreeMap<usize, usize>, first: usize) -> Vec<usize> {
    let mut trail = vec![first];
    loop {
        let last = trail.last().copied().unwrap_or(first);
        let is_open = |hub: &&usize| open.get(*hub).is_some_and(|open| *open > 0);
        let Some(next) = takes.get(&last).into_iter().flatten().find(is_open).copied() else { return trail };
        let start = trail.iter().position(|at| *at == next);
        trail.push(next);
        if let Some(start) = start {
            return trail.split_off(start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(rows: &[(usize, &[usize])]) -> Takes {
        rows.iter().map(|(at, hubs)| (*at, hubs.iter().copied().collect())).collect()
    }

    #[test]
    fn a_hub_goes_first_and_a_circle_is_named() {
        assert_eq!(depths(&takes(&[])), Ok(BTreeMap::new()));
        let depths_of = depths(&takes(&[(0, &[3]), (1, &[]), (2, &[0, 3]), (3, &[])]));
        assert_eq!(depths_of, Ok(BTreeMap::from([(0, 1), (1, 0), (2, 2), (3, 0)])));
        assert_eq!(depths(&takes(&[(0, &[0])])), Err(vec![0, 0]));
        assert_eq!(depths(&takes(&[(0, &[1]), (1, &[2]), (2, &[1]), (3, &[])])), Err(vec![1, 2, 1]));
    }

    #[test]
    fn a_long_row_takes_no_longer_than_its_length() {
        let rows: Takes = (1..100_000).map(|at| (at, BTreeSet::from([at - 1]))).collect();
        assert_eq!(depths(&rows).expect("no circle")[&99_999], 99_999);
    }
}
