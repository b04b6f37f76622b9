//! Looks a stack over, for `doctor`: the reads of a plan, one further trip, and the findings that follow from both. Holds
//! a reader, so it cannot write.

mod credentials;
mod trip;

use std::collections::BTreeMap;

use self::trip::{Ask, Trip, WINDOW_MS};
use super::apply::timestamp;
use super::observe::{Observation, Session, observe};
use super::store::Store;
use crate::diag::remote;
use crate::health;
use crate::health::feedback::{self, ATTEMPTS_MIN, Age};
use crate::kinds::handed_on;
use crate::kinds::said::{actions, function, login_feedback, streams};
use crate::model::address::Address;
use crate::model::call::Failed;
use crate::model::checkup::{
    Checkup, Conversion, Converts, CredentialKind, Feedback, Limit, Runs, Scopes, Stream,
};
use crate::model::codes::{self, Code};
use crate::model::ledger::Ledger;
use crate::model::plan::{Finding, Level};
use crate::port::{Answered, Reader, Replies};

const STREAM: &str = streams::NAME;
const FUNCTION: &str = function::SECTION_PATH;
const FEEDBACK: &str = streams::SECTION_PATH;
/// The resources that give feedback.
const WAYS: [&str; 4] = [STREAM, function::NAME, actions::FEEDBACK.name, actions::FEEDBACK.binding];

/// Reads and judges. `floor`: the share of completed verifications, in percent, below which there is a warning.
///
/// # Errors
/// The run was stopped. All else that cannot be read is a finding.
pub async fn examine(session: &Session, floor: u64, reader: &Reader) -> Result<Checkup, Failed> {
    let observed = match observe(session, reader).await {
        Err(Failed::Stopped) => return Err(Failed::Stopped),
        observed => observed,
    };
    let replies = reader.replies();
    let now_ms = reader.server_now_ms().unwrap_or_else(|| reader.now_ms());
    let service = observed.as_ref().ok().and_then(service_of);
    let granted = reader.scopes().filter(|scopes| !scopes.is_empty());
    let has_feedback = session.manifest.section(FEEDBACK).is_some();
    let may_read = granted.as_ref().is_none_or(|scopes| scopes.iter().any(|scope| scope == health::SCOPE));
    let ask = Ask {
        manifest: &session.manifest,
        account: &session.account,
        service: service.as_deref(),
        log: has_feedback && may_read,
        now_ms,
    };
    let trip = trip::trip(&ask, reader).await?;
    Ok(Exam { session, observed: &observed, replies: &replies, trip: &trip, granted, now_ms, floor }
        .checkup())
}

/// SID of the Verify service that the codes of the stack go through.
fn service_of(observation: &Observation) -> Option<String> {
    observation.seen.get(&Address::of("verify_service"))?.ids.get("sid").cloned()
}

/// All that was read.
struct Exam<'a> {
    session: &'a Session,
    observed: &'a Result<Observation, Failed>,
    replies: &'a Replies,
    trip: &'a Trip,
    granted: Option<Vec<String>>,
    now_ms: u64,
    floor: u64,
}

fn finding(
    code: Code,
    address: impl Into<Address>,
    level: Level,
    text: impl Into<String>,
    help: impl Into<String>,
) -> Finding {
    Finding { code, address: address.into(), text: text.into(), help: help.into(), level }
}

impl Exam<'_> {
    fn checkup(&self) -> Checkup {
        let mut findings = Vec::new();
        let stream = self.seen().and_then(trip::stream);
        let credentials = self.credentials(&mut findings);
        self.unread(&mut findings);
        let scopes = self.scopes(&mut findings);
        self.of_plan(&mut findings);
        let limits = self.limits(&mut findings);
        let running = self.running(&mut findings);
        self.of_stream(stream.as_ref(), &mut findings);
        let conversion = self.conversion(&mut findings);
        let feedback = self.feedback(&mut findings);
        findings.sort_by_key(|finding| match finding.level {
            Level::Blocker => 0,
            Level::NotRead => 1,
            Level::Warning => 2,
            Level::Note => 3,
        });
        for finding in &mut findings {
            if finding.help.is_empty() {
                finding.help = format!("read `lockstep explain {}`", finding.code);
            }
        }
        Checkup {
            stack: self.session.manifest.stack.clone(),
            tenant: self.session.tenant.clone(),
            account: self.session.account.clone(),
            credentials,
            scopes,
            limits,
            running,
            stream,
            conversion,
            feedback,
            findings,
        }
    }

    fn observation(&self) -> Option<&Observation> {
        self.observed.as_ref().ok()
    }

    fn seen(&self) -> Option<&BTreeMap<Address, crate::kinds::Seen>> {
        self.observation().map(|observation| &observation.seen)
    }

    /// Reads that failed, one finding for each cause.
    fn unread(&self, findings: &mut Vec<Finding>) {
        let Trip { account, keys, services, serverless, attempts, log, tried: _ } = self.trip;
        let mut failed: Vec<(&str, &Failed)> = Vec::new();
        failed.extend(self.observed.as_ref().err().map(|failed| ("the plan", failed)));
        let (kind, ..) = self.own_kind();
        // Only a main key and the auth token see the account and its keys.
        let sees_account = !matches!(kind, CredentialKind::StandardKey | CredentialKind::RestrictedKey);
        let needs_functions = self.session.manifest.section(FUNCTION).is_some();
        let reads: [(&str, Option<&Answered>, bool); 6] = [
            ("the account", Some(account), sees_account),
            ("the list of API keys", Some(keys), sees_account),
            ("the list of Verify services", Some(services), true),
            (
                "the list of Serverless services",
                Some(serverless),
                needs_functions || kind != CredentialKind::RestrictedKey,
            ),
            ("the summary of verifications", attempts.as_ref(), true),
            ("the tenant log", log.as_ref(), true),
        ];
        for (what, reply, counts) in reads {
            let failure = reply.and_then(|reply| reply.as_ref().err());
            failed.extend(failure.filter(|_| counts).map(|failure| (what, failure)));
        }
        let mut causes: Vec<(Code, Vec<&str>, &Failed)> = Vec::new();
        for (what, failure) in failed {
            let code = remote::cause(failure).code;
            match causes.iter_mut().find(|(known, _, first)| *known == code && is_same_side(first, failure)) {
                Some((_, parts, _)) => parts.push(what),
                None => causes.push((code, vec![what], failure)),
            }
        }
        for (code, parts, failure) in causes {
            let cause = remote::cause(failure);
            let level = if is_broken(code) { Level::Blocker } else { Level::NotRead };
            findings.push(finding(
                code,
                cause.place,
                level,
                format!("{} could not be read: {failure}", parts.join(", ")),
                if cause.help.is_empty() { "run doctor again later".to_owned() } else { cause.help },
            ));
        }
        if !needs_functions && kind == CredentialKind::RestrictedKey {
            findings.push(finding(
                codes::NO_SERVERLESS,
                "twilio.api_key",
                Level::Note,
                "the key may not use Serverless, so an apply has no lease that keeps a second one out",
                "use a standard key where applies could meet",
            ));
        }
    }

    fn scopes(&self, findings: &mut Vec<Finding>) -> Scopes {
        let manifest = &self.session.manifest;
        let mut plan = trip::scopes_of_reads(self.replies);
        let has_feedback = manifest.section(FEEDBACK).is_some();
        plan.extend(has_feedback.then(|| health::SCOPE.to_owned()));
        let declared = self.session.declared();
        let mut apply = trip::scopes_of_kinds(declared.iter().map(|want| want.kind));
        if matches!(self.session.store, Store::Tenant) && !declared.is_empty() {
            apply.extend(["create:actions", "update:actions"].map(str::to_owned));
        }
        let granted = self.granted.clone();
        let list = |set: std::collections::BTreeSet<String>| set.into_iter().collect::<Vec<String>>();
        let scopes = Scopes { granted, plan: list(plan), apply: list(apply) };
        const GRANT: &str =
            "grant them to the application (Applications, APIs, Auth0 Management API, Machine to Machine)";
        let missing = scopes.missing(&scopes.plan);
        if !missing.is_empty() {
            findings.push(finding(
                codes::SCOPES_MISSING,
                "auth0.client_id",
                Level::NotRead,
                format!(
                    "the access token lacks scopes, so part of the tenant was not read: {}",
                    missing.join(", ")
                ),
                GRANT,
            ));
        }
        let missing = scopes.missing(&scopes.apply);
        if !missing.is_empty() {
            findings.push(finding(
                codes::SCOPES_MISSING,
                "auth0.client_id",
                Level::Note,
                format!(
                    "an apply may need scopes that this access token does not have: {}",
                    missing.join(", ")
                ),
                format!("a plan does not need them; {GRANT}"),
            ));
        }
        scopes
    }

    /// What the plan found, as far as it is about the health of the stack, and whether it has something to apply.
    fn of_plan(&self, findings: &mut Vec<Finding>) {
        let Some(observation) = self.observation() else { return };
        let plan = &observation.plan;
        // The refusal of a part says whether a scope, a permission or the vendor's plan is missing.
        let refused: Vec<(String, &Failed)> = self
            .replies
            .values()
            .filter_map(|reply| reply.as_ref().err())
            .map(|failed| (failed.to_string(), failed))
            .collect();
        for one in &plan.findings {
            let raised = match one.code {
                codes::BUILD_FAILED | codes::ENDS_SOON => Level::Warning,
                codes::STREAM_SUSPENDED => Level::Blocker,
                _ => one.level,
            };
            let is_told = one.level > Level::Note || raised > Level::Note || one.code == codes::NOT_ATTESTED;
            if !is_told || one.code == codes::SCOPES_MISSING {
                continue;
            }
            let cause =
                refused.iter().find(|(words, _)| one.level == Level::NotRead && one.text.contains(words));
            let cause = cause.map(|(_, failed)| remote::cause(failed));
            let mut told = Finding { level: raised, ..one.clone() };
            if let Some(cause) = cause.filter(|cause| !cause.help.is_empty()) {
                (told.code, told.help) = (cause.code, cause.help);
            }
            if told.code == codes::NOT_ATTESTED && told.help.is_empty() {
                told.help =
                    "look at them in the Twilio Console, and say so under attest (docs/attest.md)".into();
            }
            findings.push(told);
        }
        if plan.blockers().next().is_none() && !plan.steps.is_empty() {
            let s = if plan.steps.len() == 1 { "" } else { "s" };
            findings.push(finding(
                codes::NOT_APPLIED,
                Address::default(),
                Level::Note,
                format!("manifest and tenant differ: an apply would take {} step{s}", plan.steps.len()),
                "see them with `lockstep plan`",
            ));
        }
        for (name, sid) in handed_on::named_sids(&self.session.manifest) {
            if let Some(problem) = trip::cannot_send(&sid, &self.trip.services) {
                findings.push(finding(
                    codes::CANNOT_SEND,
                    "action",
                    Level::Blocker,
                    format!("action.secrets.{name} names the Verify service {sid}, which {problem}"),
                    "correct the SID or the service; until then no code arrives",
                ));
            }
        }
        if let Some(sid) = service_of(observation)
            && let Some(problem) = trip::cannot_send(&sid, &self.trip.services)
        {
            findings.push(finding(
                codes::CANNOT_SEND,
                "verify_service",
                Level::Blocker,
                format!("the Verify service {sid} {problem}"),
                "apply the manifest; if Twilio refuses the setting, ask its support for custom verification codes",
            ));
        }
    }

    fn limits(&self, findings: &mut Vec<Finding>) -> Vec<Limit> {
        let limits = trip::limits(self.replies, self.trip);
        for Limit { what, used, most, .. } in limits.iter().filter(|limit| limit.is_near()) {
            let (used, most) = (used.unwrap_or_default(), most.unwrap_or_default());
            findings.push(finding(
                codes::NEAR_LIMIT,
                Address::default(),
                Level::Warning,
                format!("{what}: {used} of at most {most} are used"),
                "delete what nobody uses, before an apply finds no room",
            ));
        }
        limits
    }

    fn running(&self, findings: &mut Vec<Finding>) -> Vec<Runs> {
        let Some(observation) = self.observation() else { return Vec::new() };
        let is_failed = |address: &Address| {
            observation
                .plan
                .findings
                .iter()
                .any(|one| one.code == codes::BUILD_FAILED && one.address == *address)
        };
        let running = trip::running(&observation.seen, is_failed);
        for Runs { address, runtime, .. } in &running {
            let Some(runtime) = runtime else { continue };
            if let Some(when) = trip::ended(runtime) {
                findings.push(finding(
                    codes::RUNTIME_ENDED,
                    address.clone(),
                    Level::Warning,
                    format!("it runs on {runtime}: {when}"),
                    "set runtime: node22 in the manifest and apply, before the vendor stops running it",
                ));
            }
        }
        running
    }

    fn of_stream(&self, stream: Option<&Stream>, findings: &mut Vec<Finding>) {
        let Some(stream) = stream else { return };
        if !matches!(stream.status.as_str(), "active" | "suspended") {
            findings.push(finding(
                codes::STREAM_STOPPED,
                STREAM,
                Level::Blocker,
                format!("the log stream is {}, so no feedback reaches Verify, and five sends in ten minutes lock a number out", stream.status),
                "set feedback.log_stream.status: active in the manifest and apply",
            ));
        }
        let dropped = trip::dropped(stream, &self.session.manifest);
        if !dropped.is_empty() {
            findings.push(finding(
                codes::STREAM_SAYS_TOO_LITTLE,
                STREAM,
                Level::Blocker,
                format!(
                    "the filters of the log stream leave out what the feedback needs: {}",
                    dropped.join(", ")
                ),
                "apply the manifest, which names the filters",
            ));
        }
    }

    fn conversion(&self, findings: &mut Vec<Finding>) -> Option<Conversion> {
        let reply = self.trip.attempts.as_ref()?.as_ref().ok()?;
        let (attempts, converted) = feedback::summary(reply)?;
        let manifest = &self.session.manifest;
        let has_stream = manifest.section(FEEDBACK).is_some();
        let is_reported = login_feedback::is_reported(manifest);
        let age = self.age();
        let verdict = feedback::judge(attempts, converted, self.floor, age);
        let percent = (u128::from(converted) * 100).checked_div(u128::from(attempts)).unwrap_or(0);
        let share = match attempts {
            0 => "no verification was begun in the last 24 hours".to_owned(),
            _ => format!(
                "{converted} of {attempts} verifications of the last 24 hours were completed ({percent}%)"
            ),
        };
        let (way, again, look) = match has_stream || !is_reported {
            true => (
                "log stream",
                "run doctor again a day after the stream was made",
                "look at the stream's health in the Auth0 dashboard (Monitoring, Streams), at the logs of the receiver, and at the \
                 key in feedback.function",
            ),
            false => (
                "Action of feedback.action",
                "run doctor again a day after the Action was made",
                "look at what the Action prints in the Auth0 dashboard (Monitoring, Action Logs), at the key in feedback.action, and \
                 whether a rule of mfa.post_login asks these logins: the Action sees no others",
            ),
        };
        let told = match verdict {
            Converts::Well => None,
            Converts::None => Some((
                codes::NONE_CONVERTED,
                Level::Blocker,
                format!("{share}, so Verify hears of no login: five sends in ten minutes lock a number out"),
                look,
            )),
            Converts::NoneSoFar if !is_reported => Some((
                codes::NONE_CONVERTED,
                Level::Warning,
                format!(
                    "{share}, and the manifest has neither feedback.log_stream nor feedback.action, which would report them"
                ),
                "add feedback.function and feedback.log_stream (`lockstep explain feedback.log_stream`), or look why nobody else reports",
            )),
            Converts::NoneSoFar => Some((
                codes::NONE_CONVERTED,
                Level::Warning,
                format!("{share}, and the record does not say whether the {way} is older than they are"),
                look,
            )),
            Converts::Few => Some((
                codes::FEW_CONVERTED,
                Level::Warning,
                format!("{share}, which is below the floor of {}%", self.floor),
                "see which logins get no feedback (`lockstep explain LS0633`), and whether somebody asks for codes that nobody uses",
            )),
            Converts::TooYoung => Some((
                codes::CONVERSION_UNKNOWN,
                Level::Note,
                format!("too early to tell: {share}, and the {way} is younger than 24 hours"),
                again,
            )),
            Converts::TooFew => Some((
                codes::CONVERSION_UNKNOWN,
                Level::Note,
                format!("too few to tell: {share}, and {ATTEMPTS_MIN} are needed"),
                "run doctor again once more users have asked for codes",
            )),
        };
        let address = match (has_stream, is_reported) {
            (true, _) => STREAM,
            (false, true) => login_feedback::NAME,
            (false, false) => "verify_service",
        };
        findings.extend(told.map(|(code, level, text, help)| finding(code, address, level, text, help)));
        let since = timestamp(self.now_ms.saturating_sub(WINDOW_MS));
        Some(Conversion { attempts, converted, since, verdict })
    }

    /// How old the way of the feedback is against the last 24 hours, as far as the record tells. Auth0 does not show it.
    fn age(&self) -> Age {
        let Some(observation) = self.observation() else { return Age::Unknown };
        let action = observation.seen.get(&Address::of(login_feedback::NAME)).filter(|seen| seen.exists);
        let is_there = trip::stream(&observation.seen).is_some() || action.is_some();
        match &observation.found.ledger {
            Some(ledger) if is_there => age(ledger, self.now_ms.saturating_sub(WINDOW_MS)),
            _ => Age::Unknown,
        }
    }

    fn feedback(&self, findings: &mut Vec<Finding>) -> Option<Feedback> {
        let manifest = &self.session.manifest;
        manifest.section(FEEDBACK)?;
        let events = trip::log_events(self.trip.log.as_ref()?.as_ref().ok()?)?;
        let way = self.seen().map(|seen| trip::way(seen, manifest)).unwrap_or_default();
        let mut counts = feedback::count(events, &way);
        counts.more = events.len() >= trip::LOG_PAGE;
        let of = if counts.more { "at least " } else { "" };
        let masked = counts.masked + counts.unusable;
        if masked > 0 {
            let s = if masked == 1 { "" } else { "s" };
            let which = match (counts.masked, counts.unusable) {
                (_, 0) => "masked".to_owned(),
                (0, _) => "in a form that Verify does not know".to_owned(),
                (masked, unusable) => {
                    format!("masked ({masked}) or in a form that Verify does not know ({unusable})")
                }
            };
            findings.push(finding(
                codes::NUMBERS_MASKED,
                STREAM,
                Level::Warning,
                format!("{of}{masked} login{s} of the last 24 hours got no feedback, because the number in the event is {which}"),
                "take `phone` out of the stream's masked fields; if Auth0 itself masks the numbers, ask its support",
            ));
        }
        let sum = |counts: &BTreeMap<String, usize>| counts.values().sum::<usize>();
        for (left_out, why, help) in [
            (
                &counts.filtered,
                "the filters of the stream leave the event out",
                "let the stream carry them: feedback.log_stream.filters, or feedback.passwordless for logins by a code alone",
            ),
            (
                &counts.not_taken,
                "the Function does not take the event",
                "give these logins feedback of their own: approve the verification where the application exchanges the code",
            ),
        ] {
            let count = sum(left_out);
            if count > 0 {
                let s = if count == 1 { "" } else { "s" };
                findings.push(finding(
                    codes::EVENTS_LEFT_OUT,
                    STREAM,
                    Level::Warning,
                    format!(
                        "{of}{count} login{s} of the last 24 hours got no feedback, because {why}: {}",
                        feedback::listed(left_out)
                    ),
                    help,
                ));
            }
        }
        Some(counts)
    }
}

/// The age of what gives feedback by the record. `from_ms`: the beginning of the time that is looked at.
fn age(ledger: &Ledger, from_ms: u64) -> Age {
    let at = |text: &str| {
        let at = text.parse::<jiff::Timestamp>().map(|at| at.as_millisecond()).unwrap_or(i64::MAX);
        u64::try_from(at).unwrap_or(0)
    };
    let Some(last) = ledger.history.last() else { return Age::Unknown };
    if at(&last.at) <= from_ms {
        return Age::Older;
    }
    let Some(run) = &ledger.last_run else { return Age::Unknown };
    if run.changed.keys().any(|address| WAYS.iter().any(|way| *address == *way)) {
        return Age::Younger;
    }
    // The last run left the way of the feedback alone, so it stood after the run before it.
    let before = run.before.as_ref().map(|before| at(&before.at));
    if before.is_some_and(|before| before <= from_ms) { Age::Older } else { Age::Unknown }
}

/// Whether two failures are of the same vendor.
fn is_same_side(one: &Failed, other: &Failed) -> bool {
    let side = |failed: &Failed| match failed {
        Failed::Refused(refusal) => Some(refusal.host.ends_with(".twilio.com")),
        _ => None,
    };
    side(one) == side(other)
}

/// Whether a failed read means that something is broken, and not that it could not be read this time.
fn is_broken(code: Code) -> bool {
    [
        codes::CLIENT_REFUSED,
        codes::CLIENT_NOT_AUTHORISED,
        codes::NO_TENANT,
        codes::TOKEN_REFUSED,
        codes::KEY_REFUSED,
        codes::ACCOUNT_SUSPENDED,
    ]
    .contains(&code)
}
