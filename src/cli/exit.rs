//! Exit codes. They are public and stable, and this is their only table.

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// The work is done, there was nothing to do, or `drift` found no difference.
    Done = 0,
    /// Something failed, is blocked, or was refused.
    Failed = 1,
    /// `plan --exit-code`: there are changes. `drift`: the manifest is not applied.
    Changes = 2,
    /// `drift`: the tenant was changed.
    TenantChanged = 3,
    /// `drift`: manifest and tenant both moved.
    BothChanged = 4,
    /// `drift`: something differs, and without a ledger nobody knows who moved.
    CauseUnknown = 5,
    /// Part of the tenant could not be read, so it cannot be called clean; `apply --watch`: that was its log.
    Incomplete = 6,
    /// `drift`: nothing differs, but there are findings to look at. `apply --watch`: the log shows too little to call the
    /// run healthy.
    FindingsOnly = 7,
    /// A rollout halted: by a gate, its budget, a limit or a person. Nothing is in flight, and later waves are untouched.
    Halted = 8,
    /// The command line is wrong.
    Usage = 64,
    /// The plan is not the one that was reviewed: it was saved, named by its digest, or confirmed late, and what it depends on
    /// has changed since.
    Stale = 73,
    /// Somebody else is applying to this tenant.
    LeaseHeld = 75,
}

/// The table for `--help`, with the order of precedence.
pub const TABLE: &str = "\
Exit codes:
  0    done, nothing to do, clean
  1    failed, blocked or refused
  2    plan --exit-code: there are changes; drift: manifest not applied
  3    drift: tenant changed
  4    drift: both changed
  5    drift: differs, cause unknown (no ledger)
  6    part of the tenant could not be read (drift, doctor, plan --exit-code, adopt), or its log (apply --watch)
  7    drift: no difference, but findings to look at; doctor: a warning; apply --watch: the log shows too little to call it healthy
  8    rollout: halted by a gate, the budget, a limit or a person; later waves are untouched
  64   usage
  73   the plan is stale: the tenant, the account or the manifest has changed since
  75   the lease is held by somebody else
  130  stopped by SIGINT
  143  stopped by SIGTERM
Where several apply: signals, then 1, 8, 6, 5, 4, 3, 2, 7, 0.";
