//! All exemptions from the laws. There are no others elsewhere.

/// The laws that the simulation checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    /// 1: login never breaks because of a step of ours.
    Login,
    /// 2: the second apply does nothing, and after the faults the state converges.
    Second,
    /// 3: nothing is made twice.
    Twice,
    /// 4: nothing that is not ours is changed.
    Foreign,
    /// 5: no secret leaves the program.
    Secret,
    /// 7: read-only commands write nothing.
    ReadOnly,
    /// 8: the program leaves enough of the rate limit to users' logins.
    Pace,
    /// Steps come in an order that the API accepts.
    Order,
    /// The ledger tells the truth.
    Ledger,
    /// Two applies do not interleave, and no lease is left.
    Lease,
    /// Every wait has an end, and nobody waits by polling without pause.
    Wait,
    /// A run that is watched and fails is taken back, no other one is, and the result is what was seen.
    Watch,
}

/// Circumstances of an observation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Case {
    /// Somebody else changed the tenant or account since this step began.
    pub moved_in_step: bool,
    /// Somebody else changed the tenant or account since this plan's reads began.
    pub moved_since_plan: bool,
    /// The write replaces a trigger's list, and somebody else changed the list after it was read for this write.
    pub list_moved: bool,
    /// A process was paused for so long that its lease may have run out since its last beat.
    pub outlived: bool,
    /// Somebody else deleted a lease.
    pub lease_deleted: bool,
    /// A run had no lease, because the key may not use Serverless or there was no room for another service.
    pub no_lease: bool,
    /// The user's own code throws, and was or is deployed by this step.
    pub own_code_throws: bool,
    /// The only Action that runs belongs to others, or has a Verify service of which the manifest says nothing, and could
    /// not send before the step either. Only its secrets keep it from sending, and nobody can read them.
    pub dead_before: bool,
    /// No reply has told the process of the budget yet.
    pub blind: bool,
    /// The headers report a wrong budget.
    pub untold: bool,
    /// The server reports no plausible time at which the budget is full again.
    pub refill_untold: bool,
    /// Another process sends to the same tenant.
    pub shared: bool,
    /// Somebody else made a Verify service of our name.
    pub candidate: bool,
    /// One draft was deployed twice, and no read of the step showed the first deployment.
    pub redeployed: bool,
    /// Two runs without a valid lease between them wrote alternately, or one wrote from reads older than the other's
    /// writes.
    pub crossed: bool,
    /// Somebody deleted the ledger since this plan's reads began.
    pub ledger_deleted: bool,
    /// Somebody else set the value that the manifest wants.
    pub set_by_others: bool,
    /// The record was forged, and no run vouches for this part of it.
    pub forged: bool,
    /// Code from before this stack runs again, and the plan said that the object stays because nobody can know what the
    /// code was told.
    pub told_in_secret: bool,
}

/// One exemption.
pub struct Exemption {
    pub name: &'static str,
    pub law: Law,
    pub reason: &'static str,
    pub applies: fn(&Case) -> bool,
}

pub const EXEMPTIONS: &[Exemption] = &[
    Exemption {
        name: "the last trip before a write",
        law: Law::Login,
        reason: "no API of ours has compare-and-set: what others change between a step's own reads and its write \
                 cannot be seen",
        applies: |case| case.moved_in_step,
    },
    Exemption {
        name: "steps that hide nothing act on the plan's reads",
        law: Law::Login,
        reason: "only steps that expose, remove or replace a whole list read again right before they write; another \
                 step may meet a tenant that others took apart since the plan",
        applies: |case| case.moved_since_plan,
    },
    Exemption {
        name: "code that throws",
        law: Law::Login,
        reason: "nobody can prove that a user's own Action works; it is parsed and its handler is checked",
        applies: |case| case.own_code_throws,
    },
    Exemption {
        name: "an Action of others that was dead before",
        law: Law::Login,
        reason: "a stack that leaves the sending, or its Verify service, to others sees that the Action is deployed and bound; \
                 what others told it in its secrets nobody can read",
        applies: |case| case.dead_before,
    },
    Exemption {
        name: "our adjacent GET and PATCH of bindings",
        law: Law::Foreign,
        reason: "the PATCH replaces the list and there is no If-Match; the design states this one window",
        applies: |case| case.list_moved,
    },
    Exemption {
        name: "a pause longer than the lease",
        law: Law::Twice,
        reason: "the guarantee of the lease ends where pauses outlast its TTL; beyond it law 1 alone holds",
        applies: |case| case.outlived,
    },
    Exemption {
        name: "two runs without a lease make",
        law: Law::Twice,
        reason: "without Serverless two first applies at once are told apart by the ledger only, best effort",
        applies: |case| case.no_lease,
    },
    Exemption {
        name: "turns after a pause",
        law: Law::Lease,
        reason: "as above: a paused process may wake up after its lease was taken over",
        applies: |case| case.outlived,
    },
    Exemption {
        name: "turns without a lease",
        law: Law::Lease,
        reason: "as above: best effort",
        applies: |case| case.no_lease,
    },
    Exemption {
        name: "a draft that others deploy in the same moment",
        law: Law::Twice,
        reason: "the Action is read right before it is deployed; one trip remains, and the time in which reads do not \
                 show a deployment yet",
        applies: |case| case.redeployed,
    },
    Exemption {
        name: "the one new candidate is somebody else's",
        law: Law::Foreign,
        reason: "Verify services have neither unique names nor marks; by design exactly one new service of the name is \
                 taken for what an unfinished run made",
        applies: |case| case.candidate,
    },
    Exemption {
        name: "a record deleted by hand while two runs meet",
        law: Law::Twice,
        reason: "the serial number of the record is how a run that was planned before another one is told from one that \
                 was not; whoever deletes it in that moment takes that away",
        applies: |case| case.ledger_deleted,
    },
    Exemption {
        name: "a lease deleted by hand",
        law: Law::Lease,
        reason: "whoever takes a living lease away has asked for two runs at once",
        applies: |case| case.lease_deleted,
    },
    Exemption {
        name: "what two runs make after a lease was deleted by hand",
        law: Law::Twice,
        reason: "as above",
        applies: |case| case.lease_deleted,
    },
    Exemption {
        name: "the one new candidate is recorded as ours",
        law: Law::Ledger,
        reason: "as above: by design it is taken for what an unfinished run made",
        applies: |case| case.candidate,
    },
    Exemption {
        name: "what two runs without a lease record",
        law: Law::Ledger,
        reason: "the later one writes over the record of the earlier one; best effort, as above",
        applies: |case| case.crossed,
    },
    Exemption {
        name: "what two runs record after a lease was deleted by hand",
        law: Law::Ledger,
        reason: "as above: the later one writes over the record of the earlier one",
        applies: |case| case.lease_deleted,
    },
    Exemption {
        name: "the record knows the value from before",
        law: Law::Ledger,
        reason: "where others have set what the manifest wants by now there is nothing to write, and the record keeps \
                 what was written last",
        applies: |case| case.set_by_others,
    },
    Exemption {
        name: "what others forged",
        law: Law::Ledger,
        reason: "a record that no run sealed, and what a run copied from it as unproven, is not what the record vouches for",
        applies: |case| case.forged,
    },
    Exemption {
        name: "what stays because nobody can read a secret",
        law: Law::Ledger,
        reason: "whether the version that ran before a takeover still works nobody can prove, since a secret of an Action is \
                 never shown: the phone does not come back on it, no other factor goes that leaves it alone, and a service \
                 or a key stays that is older than one of its secrets; the plan says each",
        applies: |case| case.told_in_secret,
    },
    Exemption {
        name: "before the first reply",
        law: Law::Pace,
        reason: "before the first reply nobody knows the budget; two is the smallest plan's burst",
        applies: |case| case.blind,
    },
    Exemption {
        name: "a budget that is not told",
        law: Law::Pace,
        reason: "where the headers make no sense nobody knows the budget; a refusal is all that tells of it",
        applies: |case| case.untold,
    },
    Exemption {
        name: "a refill that is not told",
        law: Law::Pace,
        reason: "the server gives no time that can be meant for when the budget is full again, so after the shortest refill \
                 one request asks",
        applies: |case| case.refill_untold,
    },
    Exemption {
        name: "a budget shared by two processes",
        law: Law::Pace,
        reason: "a process sees what another took only with its own next reply",
        applies: |case| case.shared,
    },
    Exemption {
        name: "the record of a watch is taken away",
        law: Law::Watch,
        reason: "the record has the watch; without it, the next run knows of none",
        applies: |case| case.ledger_deleted,
    },
    Exemption {
        name: "a watched run that another run crosses",
        law: Law::Watch,
        reason: "as for two runs without a valid lease between them: the later one writes over the record of the earlier one",
        applies: |case| case.crossed || case.lease_deleted,
    },
    Exemption {
        name: "others while a run is taken back",
        law: Law::Watch,
        reason: "what somebody else changes or deploys meanwhile is left, and what was found before it may not be so any more",
        applies: |case| case.moved_since_plan,
    },
    Exemption {
        name: "steps that meet a moved tenant are refused",
        law: Law::Order,
        reason: "a refusal is how the API says that somebody else was there first",
        applies: |case| case.moved_since_plan,
    },
];

/// Not an exemption from a law but a bound of the simulated world: after this edit, a list shows at once what was made.
/// Counted like the exemptions. A create whose answer was lost is noted in the record, so that nobody repeats it; if
/// the tenant refuses all requests from then on, nobody can note it.
pub const LOST_AND_REFUSED: &str = "a create is lost, and the tenant refuses the record for hours";

/// The same bound for a case in which somebody deletes or forges the record while a list still hides the object of a
/// lost create: nothing else in the tenant remembers that create.
pub const LOST_AND_FORGOTTEN: &str = "a create is lost, and somebody takes the record that tells of it away";

/// The exemption that applies, if there is one.
pub fn exempt(law: Law, case: &Case) -> Option<&'static Exemption> {
    EXEMPTIONS.iter().find(|exemption| exemption.law == law && (exemption.applies)(case))
}
