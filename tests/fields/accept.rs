//! Tests of accepted differences: for every field that another operator can change, what drift, plan and apply do when
//! the manifest accepts the tenant's value.

use lockstep::engine::apply::Ended;
use lockstep::manifest::accept::NEVER;
use lockstep::manifest::places::{matches, place};
use lockstep::manifest::{self, Missing, render};
use lockstep::model::manifest::Manifest;
use lockstep::model::plan::{Cause, Finding, Level, Plan, Purpose};
use lockstep::plan::render::{self as text, Paint};
use serde_json::{Value as Json, json};

use super::bed::{
    Bed, Edits, FULL, applied_full, edit, folder, lose_ledger, manifest as checked, service, siem, template,
    tenant, valid,
};
use super::drift::{Base, change, changes, ensure, every_row, name, named, tampered};
use super::rows::{Other, Row};
use crate::support::tables;

/// The tests of this file that send requests, for the contract test.
pub const COURSES: &[(&str, fn())] = &crate::support::courses![
    what_the_tenant_lacks_is_accepted_as_null,
    an_object_with_an_accepted_name_is_deleted_by_destroy,
    the_last_day_counts_whole_and_the_next_one_does_not,
    without_a_record_a_value_is_accepted_too,
    a_field_that_is_accepted_keeps_its_last_applied_value,
];

const DAY_MS: u64 = 24 * 3_600_000;

/// Looks as drift does.
fn drift(bed: &mut Bed) -> Plan {
    bed.stack.purpose = Purpose::Drift;
    let plan = bed.observe().plan;
    bed.stack.purpose = Purpose::Apply;
    plan
}

/// The entry that a line of drift is, with what a person adds to it.
fn filled(line: &str) -> Json {
    let line = line.replace("reason: \"\"", "reason: agreed").replace("by: \"\"", "by: jo@acme.example");
    let list: Json = serde_yaml::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
    list[0].clone()
}

fn accepting(entries: &[&Json]) -> (String, Json) {
    edit("accept", json!(entries))
}

fn told(plan: &Plan) -> Vec<&Finding> {
    plan.findings.iter().filter(|finding| finding.address == "accept").collect()
}

/// Whether the table refuses the key.
fn is_refused(key: &str) -> bool {
    NEVER.iter().any(|(row, _)| matches(row, key) || matches(&format!("{row}.*"), key))
}

/// Another change of the same resource: edits of a row that the manifest takes beside the accepted field.
fn beside(base: &Base, row: &Row, accept: &(String, Json)) -> Option<(Row, Manifest)> {
    let mut others =
        (base.rows)().into_iter().filter(|other| other.address == row.address && other.field != row.field);
    others.find_map(|other| {
        let Other::Value(edits, _) = &other.other else { return None };
        // A part that leaves the manifest needs more than an apply.
        if edits.iter().any(|(_, value)| value.is_null()) {
            return None;
        }
        let edits: Edits = edits.iter().cloned().chain([accept.clone()]).collect();
        let manifest = checked(base.text, &edits).ok()?;
        Some((other, manifest))
    })
}

/// Fields to which the row gives a value that the API would not keep, so that it refuses every further write.
const UNSOUND: &[(&str, &str)] = &[
    ("verify_service.lookup_enabled", "skip_sms_to_landlines stays on and needs it"),
    ("log_stream.siem.pii_config.algorithm", "there is no algorithm md5"),
];

/// For every field: the difference counts; the line of drift accepts it, and then nothing differs and nothing is
/// written; another value counts; when the day is over it counts; another change of the resource leaves it.
#[test]
fn every_difference_can_be_accepted_or_is_refused_by_the_table() {
    let (accepted, refused) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let left_beside = std::cell::Cell::new(0);
    every_row(|base, snapshot, row| {
        let mut bed = tampered(base, snapshot, row);
        let plan = drift(&mut bed);
        let found = change(&plan, row).ok_or("not found")?;
        let key = place(&bed.manifest, &row.address.into(), &row.field);
        let Some(line) = &found.accept else {
            refused.set(refused.get() + 1);
            let is_out = key.as_ref().is_none_or(|key| is_refused(key));
            return ensure(is_out || row.secret, || format!("{key:?} is offered no line"));
        };
        ensure(!row.secret, || "a secret is accepted".into())?;
        let key = key.ok_or("a line without a key")?;
        ensure(!is_refused(&key), || format!("{key} is offered a line: {line}"))?;
        ensure(line.contains(&key), || format!("{key} is not in {line}"))?;
        accepted.set(accepted.get() + 1);

        let entry = filled(line);
        let accept = accepting(&[&entry]);
        bed.manifest = valid(base.text, std::slice::from_ref(&accept));
        let plan = drift(&mut bed);
        ensure(plan.is_empty() && changes(&plan).is_empty(), || format!("differ: {:?}", named(&plan)))?;
        let left: Vec<_> = plan.resources.iter().flat_map(|resource| &resource.accepted).collect();
        ensure(left.len() == 1 && left[0].key == key, || format!("{left:?}"))?;
        ensure(left[0].tenant == Some(row.there.clone()), || format!("{:?}", left[0].tenant))?;
        ensure(told(&plan).is_empty(), || format!("{:?}", told(&plan)))?;
        let shown = text::drift(&plan, Paint(false));
        let words = "by jo@acme.example: agreed".to_owned();
        ensure(shown.contains(&format!("  = {key}: ")) && shown.contains(&words), || shown.clone())?;
        let shown = text::plan(&plan, Paint(false));
        ensure(shown.contains(&format!("{}: stays; ", row.field)) && shown.contains(&words), || {
            shown.clone()
        })?;
        let mark = bed.stack.mark();
        ensure(bed.apply().ended == Ended::Done, || "apply".into())?;
        let writes = bed.writes_since(mark);
        ensure(writes.is_empty(), || format!("wrote {writes:?}"))?;

        // Another value than the accepted one counts at once.
        let mut other = entry.clone();
        let fields = other.as_object_mut().expect("an entry");
        fields.shift_remove("sha256");
        fields.insert("value".into(), row.applied.clone());
        bed.manifest = valid(base.text, &[accepting(&[&other])]);
        let plan = drift(&mut bed);
        ensure(named(&plan) == [name(row)], || format!("differ: {:?}", named(&plan)))?;
        let notes = told(&plan);
        let is_told =
            notes.len() == 1 && notes[0].level == Level::Note && notes[0].text.contains("another value");
        ensure(is_told, || format!("{notes:?}"))?;

        // Another change of the resource does not write over it.
        bed.manifest = valid(base.text, std::slice::from_ref(&accept));
        let is_sound = !UNSOUND.iter().any(|(unsound, _)| *unsound == name(row));
        if let Some((other, manifest)) = beside(base, row, &accept).filter(|_| is_sound) {
            left_beside.set(left_beside.get() + 1);
            bed.manifest = manifest;
            let plan = drift(&mut bed);
            let is_one = changes(&plan)
                .iter()
                .all(|(address, change)| (*address, &change.field) != (row.address, &row.field));
            ensure(is_one && !plan.steps.is_empty(), || format!("differ: {:?}", named(&plan)))?;
            if plan.blockers().next().is_none() {
                let outcome = bed.apply();
                ensure(outcome.ended == Ended::Done, || format!("beside {}: {outcome:?}", name(&other)))?;
                let plan = drift(&mut bed);
                ensure(plan.is_empty(), || format!("beside {}: {:?}", name(&other), named(&plan)))?;
                let left: Vec<_> = plan.resources.iter().flat_map(|resource| &resource.accepted).collect();
                let stays = left.len() == 1 && left[0].tenant == Some(row.there.clone());
                ensure(stays, || format!("beside {}: {left:?}", name(&other)))?;
            }
        }

        // When the last day is over, it counts again.
        bed.stack.in_process.advance_ms(32 * DAY_MS);
        let plan = drift(&mut bed);
        let found = change(&plan, row).ok_or_else(|| format!("over, and differ: {:?}", named(&plan)))?;
        ensure(found.cause == Cause::TenantChanged, || format!("{found:?}"))?;
        let over = told(&plan);
        let is_told =
            over.len() == 1 && over[0].level == Level::Warning && over[0].text.contains("which is over");
        ensure(is_told, || format!("{over:?}"))?;
        ensure(bed.apply().ended == Ended::Done, || "apply".into())?;
        let plan = drift(&mut bed);
        ensure(named(&plan).is_empty(), || format!("left: {:?}", named(&plan)))?;
        // The tenant has the manifest's value again.
        let notes = told(&plan);
        let is_told =
            notes.len() == 1 && notes[0].level == Level::Note && notes[0].text.contains("covers nothing");
        ensure(is_told, || format!("{notes:?}"))
    });
    let counts = (accepted.get(), refused.get(), left_beside.get());
    println!("{counts:?} accepted, refused, left beside another change");
    assert!(counts.0 > 50 && counts.1 > 40 && counts.2 > 40, "{counts:?}");
}

/// A change after which the tenant has no value, and the place of the key.
type Loss = (&'static [&'static str], fn(&mut lockstep::twin::Twin));

const LOSSES: &[Loss] = &[
    (&["branding.logo_url"], |twin| drop(tenant(twin).branding.shift_remove("logo_url"))),
    (&["phone.templates.otp_verify.from"], |twin| {
        template(twin, "otp_verify").content.shift_remove("from");
    }),
    (
        &[
            "log_streams.http.siem.pii_config.algorithm",
            "log_streams.http.siem.pii_config.log_fields",
            "log_streams.http.siem.pii_config.method",
        ],
        |twin| siem(twin).pii_config = None,
    ),
];

#[test]
fn what_the_tenant_lacks_is_accepted_as_null() {
    for (keys, lose) in LOSSES {
        let mut bed = Bed::on(&applied_full(), valid(FULL, &[]));
        bed.with_twin(lose);
        let plan = drift(&mut bed);
        let lines: Vec<String> =
            changes(&plan).iter().filter_map(|(_, change)| change.accept.clone()).collect();
        assert_eq!(lines.len(), keys.len(), "{:?}", named(&plan));
        for (line, key) in lines.iter().zip(*keys) {
            assert!(line.contains(&format!("field: {key}, value: null, ")), "{line}");
        }
        let entries: Vec<Json> = lines.iter().map(|line| filled(line)).collect();
        let accept = accepting(&entries.iter().collect::<Vec<_>>());
        bed.manifest = valid(FULL, std::slice::from_ref(&accept));
        let mark = bed.stack.mark();
        bed.applied();
        assert_eq!(bed.writes_since(mark), Vec::<String>::new(), "{keys:?}");
        // A further change of the same object, which is sent as a whole, brings none of it back.
        let further = [
            edit("branding.font.url", json!("https://acme.example/new.woff")),
            edit("phone.templates.otp_verify.text", json!("Acme: your code is @{code}")),
            edit("log_streams.http.siem.filters", json!(["user.fail"])),
            accept,
        ];
        bed.manifest = valid(FULL, &further);
        bed.applied();
        let plan = drift(&mut bed);
        assert!(plan.is_empty() && named(&plan).is_empty(), "{keys:?}: {:?}", named(&plan));
        assert_eq!(plan.resources.iter().map(|resource| resource.accepted.len()).sum::<usize>(), keys.len());
    }
}

/// Destroy deletes an object only if it has the name on record; an accepted name is known too.
#[test]
fn an_object_with_an_accepted_name_is_deleted_by_destroy() {
    let snapshot = applied_full();
    let renamed = |manifest: Manifest| {
        let mut bed = Bed::on(&snapshot, manifest);
        bed.with_twin(|twin| service(twin).friendly_name = "Renamed".into());
        bed.destroyed();
        bed.with_twin(|twin| twin.world.account_mut(crate::support::ACCOUNT).verify_services.len())
    };
    assert_eq!(renamed(valid(FULL, &[])), 1, "somebody else's name");
    let entry = json!({ "field": "verify_service.friendly_name", "value": "Renamed", "reason": "r", "by": "jo", "until": "2120-01-01" });
    assert_eq!(renamed(valid(FULL, &[accepting(&[&entry])])), 0, "an accepted name");
}

#[test]
fn the_last_day_counts_whole_and_the_next_one_does_not() {
    let mut bed = Bed::on(&applied_full(), valid(FULL, &[]));
    bed.with_twin(|twin| {
        drop(tenant(twin).branding.insert("logo_url".into(), json!("https://theirs.example/l.png")))
    });
    let into_day_ms = bed.now_ms() % DAY_MS;
    let entry = filled(changes(&drift(&mut bed))[0].1.accept.as_deref().expect("a line"));
    bed.manifest = valid(FULL, &[accepting(&[&entry])]);
    // Some minutes before the end of the thirtieth day: the requests themselves take time.
    bed.stack.in_process.advance_ms(31 * DAY_MS - into_day_ms - 600_000);
    let plan = drift(&mut bed);
    assert!(named(&plan).is_empty() && told(&plan).is_empty(), "{:?} {:?}", named(&plan), told(&plan));
    bed.stack.in_process.advance_ms(600_000);
    let plan = drift(&mut bed);
    assert_eq!(named(&plan), ["branding.logo_url"]);
    assert_eq!(told(&plan).len(), 1, "{:?}", told(&plan));
}

#[test]
fn without_a_record_a_value_is_accepted_too() {
    let mut bed = Bed::on(&applied_full(), valid(FULL, &[]));
    bed.with_twin(|twin| {
        tenant(twin).branding.insert("logo_url".into(), json!("https://theirs.example/l.png"));
        lose_ledger(twin);
    });
    let entry = json!({
        "field": "branding.logo_url", "value": "https://theirs.example/l.png", "reason": "r", "by": "jo", "until": "2120-01-01",
    });
    let sid = bed.with_twin(|twin| service(twin).sid.clone());
    bed.manifest = valid(FULL, &[edit("verify_service.sid", json!(sid)), accepting(&[&entry])]);
    // Secrets are sent anew, because nobody knows the last ones.
    let plan = drift(&mut bed);
    assert!(!named(&plan).iter().any(|name| name.starts_with("branding")), "{:?}", named(&plan));
    bed.applied();
    let logo = bed.with_twin(|twin| tenant(twin).branding["logo_url"].clone());
    assert_eq!(logo, json!("https://theirs.example/l.png"));
    // The record does not claim that the stack applied it.
    bed.manifest = valid(FULL, &[edit("verify_service.sid", json!(sid))]);
    let plan = drift(&mut bed);
    assert_eq!(changes(&plan)[0].1.cause, Cause::NotApplied, "{:?}", changes(&plan));
}

#[test]
fn a_field_that_is_accepted_keeps_its_last_applied_value() {
    let mut bed = Bed::on(&applied_full(), valid(FULL, &[]));
    bed.with_twin(|twin| {
        drop(tenant(twin).branding.insert("logo_url".into(), json!("https://theirs.example/l.png")))
    });
    let entry = filled(changes(&drift(&mut bed))[0].1.accept.as_deref().expect("a line"));
    let font = edit("branding.font.url", json!("https://acme.example/new.woff"));
    bed.manifest = valid(FULL, &[accepting(&[&entry]), font.clone()]);
    bed.applied();
    bed.manifest = valid(FULL, &[font]);
    let plan = drift(&mut bed);
    let found = changes(&plan);
    assert_eq!((found.len(), found[0].1.cause), (1, Cause::TenantChanged), "{found:?}");
    bed.applied();
    let logo = bed.with_twin(|twin| tenant(twin).branding["logo_url"].clone());
    assert_eq!(logo, json!("https://acme.example/logo.png"));
}

/// A mistake: the text at which it is told (the entry itself if empty), and its code with the reason, or with the help
/// where a key is unknown.
type Mistake = (&'static str, &'static str);

/// Entries, each with its mistakes.
const MISTAKEN: &[(&str, &[Mistake])] = &[
    ("field: branding.logo_ulr, value: x", &[("branding", "LS0102 did you mean branding.logo_url?")]),
    (
        "field: mfa_factor.otp.enabled, value: false",
        &[("mfa_factor", "LS0102 did you mean mfa.factors.otp?")],
    ),
    (
        "field: branding.colors, value: x",
        &[(
            "branding",
            "LS0102 name one of its keys: branding.colors.primary or branding.colors.page_background",
        )],
    ),
    (
        "field: nothing_like_this, value: x",
        &[("nothing", "LS0102 write the whole key, such as branding.logo_url; docs/manifest.md lists them")],
    ),
    ("field: action.code, value: x", &[("action", "LS0302 it decides what sends the codes of logins")]),
    (
        "field: action.secrets.ANY, value: x",
        &[("action", "LS0302 it decides what sends the codes of logins")],
    ),
    (
        "field: mfa.policy, value: never",
        &[("mfa", "LS0302 it decides which logins are asked for a factor, and for which one")],
    ),
    ("field: auth0.domain, value: x", &[("auth0", "LS0302 it says which tenant is meant")]),
    (
        "field: log_streams.http.siem.endpoint, value: x",
        &[("log_streams", "LS0302 it decides who is sent the events of the tenant")],
    ),
    ("field: branding.favicon_url, value: 5", &[("5", "LS0103 this is a number, but the field holds text")]),
    (
        "field: verify_service.code_length, value: '6'",
        &[("'6'", "LS0103 this is text, but the field holds a whole number")],
    ),
    (
        "field: verify_service.lookup_enabled, value: 1",
        &[("1", "LS0103 this is a number, but the field holds true or false")],
    ),
    (
        "field: log_streams.http.siem.filters, value: other",
        &[("other", "LS0103 this is text, but the field holds a list of texts")],
    ),
    (
        "field: log_streams.http.siem.status, value: suspended",
        &[("suspended", "LS0103 the field holds active or paused, and no apply could send this")],
    ),
    ("field: verify_service.tts_name", &[("", "LS0106 an entry covers the one value that the tenant has")]),
    (
        "field: verify_service.totp.issuer, value: x, sha256: \
         a000000000000000000000000000000000000000000000000000000000000000",
        &[("sha256", "LS0301 an entry covers one value")],
    ),
    (
        "field: verify_service.totp.skew, sha256: a000000000000000000000000000000000000000000000000000000000000000",
        &[("a0000", "LS0103 only a text has one")],
    ),
    (
        "field: verify_service.email.from, sha256: xyz0000000000000000000000000000000000000000000000000000000000000",
        &[("xyz", "LS0107 not a SHA-256 digest")],
    ),
    ("field: verify_service.mailer_sid, sha256: abc", &[("abc", "LS0104 has 3 characters, must have 64")]),
    (
        "field: universal_login.identifier_first, value: [\"${env.X}\"]",
        &[("[", "LS0201 only the whole value can be a reference")],
    ),
    ("field: verify_service.push.include_date, valu: true", &[("valu:", "LS0102 did you mean value?")]),
    ("field: branding.logo_url, value: https://x.example", &[]),
    (
        "field: branding.logo_url, value: https://y.example",
        &[("branding", "LS0301 entry 22 of the list accepts it already")],
    ),
];

/// Everything that is wrong with entries, in one run, each at its place.
#[test]
fn every_mistake_in_an_entry_is_told_at_its_place() {
    let mut rows: Vec<(String, Vec<Mistake>)> = MISTAKEN
        .iter()
        .map(|(entry, told)| (format!("{{ {entry}, reason: r, by: jo, until: 2027-01-31 }}"), told.to_vec()))
        .collect();
    let rest: [(&str, &[Mistake]); 3] = [
        (
            "{ field: branding.font.url, value: x, reason: '', by: jo, until: 2027-01-31 }",
            &[("''", "LS0104 must have 1 to 500 characters")],
        ),
        (
            "{ field: verify_service.totp.code_length, value: 7, by: jo, until: 2027-02-30 }",
            &[("", "LS0106 reason is required here"), ("2027-02-30", "LS0107 not a date")],
        ),
        ("branding.logo_url", &[("branding", "LS0103 this is text, but a mapping is needed")]),
    ];
    rows.extend(rest.into_iter().map(|(entry, told)| (entry.to_owned(), told.to_vec())));
    let entries: String = rows.iter().map(|(entry, _)| format!("  - {entry}\n")).collect();
    let examined = examined(&format!("\n{entries}"));
    let shown = render(&examined.diagnostics, &examined.source, false);
    let errors = || examined.diagnostics.iter().filter(|one| one.problem.path.starts_with("accept"));
    let first = FULL.trim().lines().count() + 2;
    for (at, (entry, expected)) in rows.iter().enumerate() {
        let of_line = errors().filter_map(|one| {
            let span = one.span.as_ref().filter(|span| span.line == first + at)?;
            let problem = &one.problem;
            let is_unknown = problem.code.to_string() == "LS0102";
            let words = if is_unknown { &problem.help } else { &problem.reason };
            Some(format!("{} {} {words}", span.column, problem.code))
        });
        let found: Vec<String> = of_line.collect();
        let column = |place: &str| entry.find(place).unwrap_or(0) + "  - ".len() + 1;
        let expected: Vec<String> =
            expected.iter().map(|(place, told)| format!("{} {told}", column(place))).collect();
        assert_eq!(found, expected, "{entry}\n{shown}");
    }
    let count: usize = rows.iter().map(|(_, told)| told.len()).sum();
    assert_eq!(errors().count(), count, "{shown}");
}

fn examined(accept: &str) -> manifest::Examined {
    let text = format!("{}\naccept:{accept}\n", FULL.trim());
    let parsed = manifest::read("m.yaml", &text, &tables()).expect("a manifest");
    manifest::examine(&parsed, &folder(), Missing::Error, &lockstep::kinds::check)
}

/// A list of another form, and a secret in the reason: it is not drawn either.
#[test]
fn no_secret_is_a_reason_and_the_list_is_a_list() {
    let said = |accept: &str| {
        let examined = examined(accept);
        let own = examined.diagnostics.iter().filter(|one| one.problem.path.starts_with("accept"));
        render(&own.cloned().collect::<Vec<_>>(), &examined.source, false)
    };
    assert_eq!(said(""), "");
    assert_eq!(said(" []"), "");
    assert!(said(" { field: x }").contains("this is a mapping, but a list is needed"));
    assert!(said(" yes please").contains("this is text, but a list is needed"));
    let entry = |reason: &str| {
        format!("\n  - {{ field: branding.logo_url, value: x, reason: {reason}, by: jo, until: 2027-01-31 }}")
    };
    let secret = &super::bed::env()["SIEM_SECRET"];
    let shown = said(&entry(&format!("\"it was {secret}\"")));
    assert!(shown.contains("LS0201") && !shown.contains(secret.as_str()), "{shown}");
    let shown = said(&entry("\"${env.SIEM_SECRET}\""));
    assert!(shown.contains("LS0201") && !shown.contains(secret.as_str()), "{shown}");
    let shown = said(&entry("\"${verify_service.sid}\""));
    assert!(shown.contains("reason has to be a plain text"), "{shown}");
}

/// Every row of the table names a key, and docs/accept.md has each with its reason.
#[test]
fn the_table_is_of_keys_and_in_the_docs() {
    let page = std::fs::read_to_string("docs/accept.md").expect("the page");
    let keys = lockstep::manifest::places::keys();
    let outside = ["lockstep", "stack", "auth0", "twilio"];
    for (row, why) in NEVER {
        let names = keys.iter().any(|(key, _)| matches(row, key) || matches(&format!("{row}.*"), key));
        assert!(names || outside.contains(row), "{row} is no key");
        assert!(page.contains(&format!("| `{row}` | {why} |")), "docs/accept.md lacks | `{row}` | {why} |");
    }
    let (_, table) = page.split_once("## What cannot be accepted").expect("the heading");
    assert_eq!(table.matches("\n| `").count(), NEVER.len(), "docs/accept.md has other rows");
    // A new key is acceptable only if somebody has thought of it.
    let open = keys.iter().filter(|(key, field)| !field.secret && !is_refused(key)).count();
    assert_eq!(open, OPEN_KEYS, "a key was added: refuse it in NEVER, or raise OPEN_KEYS");
    let secret: Vec<&str> = keys
        .iter()
        .filter(|(key, field)| field.secret && !is_refused(key))
        .map(|(key, _)| key.as_str())
        .collect();
    assert_eq!(secret, Vec::<&str>::new(), "secrets that the table does not refuse");
}

/// Keys whose differences can be accepted.
const OPEN_KEYS: usize = 76;
