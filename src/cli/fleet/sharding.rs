//! `--shard`: which part of the tenants this machine has, and `rollout matrix`.

use serde_json::{Value as Json, json};

use super::super::error::{Error, Result};
/// Most shards: GitHub makes no more jobs out of a matrix.
const SHARDS_MAX: u32 = 256;
/// Tenants of a shard, where nobody says how many shards there are.
const EACH: u32 = 100;

/// What `--shard` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// This one, from 1, of so many.
    Part(u32, u32),
    /// As the variables of GitLab's `parallel` say.
    Gitlab,
    /// As the variable of an Indexed Job says, of so many.
    Kubernetes(u32),
}

/// Reads `3/10`, `gitlab`, `kubernetes/10`.
pub fn wish(text: &str) -> Result<Wish, String> {
    let wrong = || "it is not PART/ALL, gitlab or kubernetes/ALL".to_owned();
    if text == "gitlab" {
        return Ok(Wish::Gitlab);
    }
    let (part, of) = text.split_once('/').ok_or_else(wrong)?;
    let of = count(of)?;
    match part {
        "kubernetes" => Ok(Wish::Kubernetes(of)),
        part => match part.parse::<u32>().map_err(|_| wrong())? {
            part if (1..=of).contains(&part) => Ok(Wish::Part(part, of)),
            _ => Err(format!("parts go from 1 to {of}")),
        },
    }
}

/// Reads a number of shards.
pub fn count(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(of) if (1..=SHARDS_MAX).contains(&of) => Ok(of),
        _ => Err(format!("{text} is no number of shards: 1 to {SHARDS_MAX}")),
    }
}

impl Wish {
    /// The part, from 1, and how many there are. Variables are read only because the command line says so.
    pub fn part(self, variable: impl Fn(&str) -> Option<String>) -> Result<(u32, u32)> {
        let number = |name: &str| -> Result<u32> {
            let text = variable(name).filter(|text| !text.is_empty()).ok_or_else(|| {
                Error::usage(format!("--shard: the variable {name} is not set"))
                    .help("name the part itself, as --shard 3/10, where this system does not set it")
            })?;
            let wrong = || Error::usage(format!("--shard: the variable {name} is no number of a shard"));
            text.parse().map_err(|_| wrong())
        };
        let (part, of, names) = match self {
            Wish::Part(part, of) => (part, of, "--shard".to_owned()),
            Wish::Gitlab => {
                let (part, of) = (number("CI_NODE_INDEX")?, number("CI_NODE_TOTAL")?);
                (part, of, "CI_NODE_INDEX of CI_NODE_TOTAL".to_owned())
            }
            Wish::Kubernetes(of) => {
                let index = number("JOB_COMPLETION_INDEX")?;
                (index.saturating_add(1), of, "JOB_COMPLETION_INDEX, which begins with 0,".to_owned())
            }
        };
        match (1..=SHARDS_MAX).contains(&of) && (1..=of).contains(&part) {
            true => Ok((part, of)),
            false => {
                Err(Error::usage(format!("--shard: {names} says shard {part} of {of}, which does not exist"))
                    .help("give every shard the same number of shards, and let them count up to it"))
            }
        }
    }
}

/// The matrix of a GitHub workflow: a job for each shard. Without a number there is one for each hundred tenants; no
/// shard is without a tenant.
pub fn matrix(tenants: usize, shards: Option<u32>) -> Json {
    let tenants = u32::try_from(tenants).unwrap_or(u32::MAX).max(1);
    let of = shards.unwrap_or(tenants.div_ceil(EACH)).min(tenants).min(SHARDS_MAX);
    json!({ "include": (1..=of).map(|part| json!({ "shard": format!("{part}/{of}") })).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_or_refused() {
        assert_eq!(wish("3/10"), Ok(Wish::Part(3, 10)));
        assert_eq!(wish("gitlab"), Ok(Wish::Gitlab));
        assert_eq!(wish("kubernetes/10"), Ok(Wish::Kubernetes(10)));
        for wrong in ["", "3", "0/10", "11/10", "3/0", "3/257", "github", "gitlab/3", "kubernetes", "-1/3"] {
            assert!(wish(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn variables_of_other_systems_are_read_where_it_is_said() {
        let none = |_: &str| None;
        assert_eq!(Wish::Part(3, 10).part(none).ok(), Some((3, 10)));
        assert!(Wish::Gitlab.part(none).is_err() && Wish::Kubernetes(3).part(none).is_err());
        let set = |index: &'static str, total: &'static str| {
            move |name: &str| match name {
                "CI_NODE_INDEX" | "JOB_COMPLETION_INDEX" => Some(index.to_owned()),
                "CI_NODE_TOTAL" => Some(total.to_owned()),
                _ => None,
            }
        };
        assert_eq!(Wish::Gitlab.part(set("2", "5")).ok(), Some((2, 5)));
        assert_eq!(Wish::Kubernetes(5).part(set("0", "")).ok(), Some((1, 5)));
        assert_eq!(Wish::Kubernetes(5).part(set("4", "")).ok(), Some((5, 5)));
        assert!(Wish::Kubernetes(5).part(set("5", "")).is_err());
        for (index, total) in [("6", "5"), ("0", "5"), ("x", "5"), ("1", "0"), ("1", "9999"), ("-1", "5")] {
            assert!(Wish::Gitlab.part(set(index, total)).is_err(), "{index}/{total}");
        }
    }

    #[test]
    fn a_matrix_has_a_job_for_each_shard_and_none_without_a_tenant() {
        let jobs = |tenants, shards| matrix(tenants, shards)["include"].as_array().map_or(0, Vec::len);
        assert_eq!((jobs(250, None), jobs(1_000, Some(10)), jobs(3, Some(10))), (3, 10, 3));
        assert_eq!((jobs(100_000, None), jobs(100_000, Some(256)), jobs(1, None)), (256, 256, 1));
        assert_eq!(matrix(3, Some(2)).to_string(), r#"{"include":[{"shard":"1/2"},{"shard":"2/2"}]}"#);
    }
}
