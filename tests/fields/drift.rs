//! Tests of changes by others, in the manifest, on both sides, and without a ledger: what drift says, and what apply
//! does about them.

use std::collections::BTreeSet;

use lockstep::engine::apply::Ended;
use lockstep::engine::observe::Observation;
use lockstep::kinds;
use lockstep::model::field::{Type, flat};
use lockstep::model::plan::{Cause, FieldChange, Level, Plan};
use lockstep::plan::render::{self, Paint};
use lockstep::twin::Twin;
use lockstep::twin::world::{Dependency, Secret};
use serde_json::{Value as Json, json};

use super::bed::{
    Bed, FULL, Remote, Snapshot, action, applied_full, applied_of, assert_same, declared_fields, difference,
    edit, edit_action, edit_draft, lose_ledger, manifest, service, siem, stream, tenant, valid,
};
use super::legacy::{LEGACY, legacy_rows};
use super::rows::{Other, Row, live_secret, rows};

/// The tests of this file that send requests, for the contract test.
pub const COURSES: &[(&str, fn())] = &crate::support::courses![
    a_plan_is_of_the_manifest_that_it_was_made_of,
    changes_beyond_one_field_are_told_and_put_right,
    what_was_deleted_is_made_again,
    a_foreign_secret_is_kept_and_keeps_secrets_from_being_written,
    a_foreign_action_on_our_trigger_is_told_and_stops_us,
    a_generated_authorization_is_drawn_anew_when_it_was_changed,
    the_service_that_is_ours_is_known_by_its_sid,
];

/// Declared fields without a row, each with its reason.
const WITHOUT_ROW: &[(&str, &str, &str)] = &[
    (
        "trigger_binding",
        "in_place",
        "the trigger takes one Action only, so a place can differ only beside a foreign Action; that case is below",
    ),
    (
        "mfa_post_login_binding",
        "in_place",
        "a place differs only beside a foreign Action; see `post_login.rs`",
    ),
    (
        "feedback_action_binding",
        "in_place",
        "what stands behind the rules also stands in their place; see `faults/login_feedback.rs`",
    ),
    ("sample_client", "connection", "it is enabled or not, and so has no other value; see `sample.rs`"),
];

pub(super) fn changes(plan: &Plan) -> Vec<(&str, &FieldChange)> {
    plan.resources.iter().flat_map(|r| r.changes.iter().map(|change| (r.address.as_str(), change))).collect()
}

pub(super) fn named(plan: &Plan) -> Vec<String> {
    changes(plan).iter().map(|(address, change)| format!("{address}.{}", change.field)).collect()
}

/// The causes of all differences. The exit code of drift follows from them: only `NotApplied` 2, only `TenantChanged`
/// 3, both of them or `Both` 4, `Unknown` 5.
fn causes(plan: &Plan) -> BTreeSet<Cause> {
    changes(plan).iter().map(|(_, change)| change.cause).collect()
}

pub(super) fn change<'a>(plan: &'a Plan, row: &Row) -> Option<&'a FieldChange> {
    changes(plan)
        .into_iter()
        .find(|(address, change)| *address == row.address && change.field == row.field)
        .map(|(_, change)| change)
}

pub(super) fn name(row: &Row) -> String {
    format!("{}.{}", row.address, row.field)
}

/// A manifest, and the rows of the fields that it covers.
pub(super) struct Base {
    pub text: &'static str,
    pub rows: fn() -> Vec<Row>,
}

/// One manifest for each way of delivery.
const BASES: [Base; 2] = [Base { text: FULL, rows }, Base { text: LEGACY, rows: legacy_rows }];

/// Runs every row of every base on its applied state and reports all that fail, not only the first.
pub(super) fn every_row(check: impl Fn(&Base, &Snapshot, &Row) -> Result<(), String>) {
    let (mut failures, mut count) = (Vec::new(), 0);
    for base in &BASES {
        let snapshot = applied_of(base.text);
        for row in (base.rows)() {
            count += 1;
            failures.extend(check(base, &snapshot, &row).err().map(|why| format!("{}: {why}", name(&row))));
        }
    }
    assert!(failures.is_empty(), "{} of {count} fields:\n{}", failures.len(), failures.join("\n"));
}

pub(super) fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

/// A world that another operator has changed.
pub(super) fn tampered(base: &Base, snapshot: &Snapshot, row: &Row) -> Bed {
    let bed = Bed::on(snapshot, valid(base.text, &[]));
    let now_ms = bed.now_ms();
    bed.with_twin(|twin| (row.tamper)(twin, now_ms));
    bed
}

#[test]
fn every_declared_field_has_a_row() {
    let mut declared: BTreeSet<String> =
        declared_fields(FULL).iter().map(|(address, field)| format!("{address}.{field}")).collect();
    for (address, field, reason) in WITHOUT_ROW {
        assert!(
            declared.remove(&format!("{address}.{field}")),
            "{address}.{field} is not declared ({reason})"
        );
    }
    let rows: BTreeSet<String> = rows().iter().map(name).collect();
    assert_eq!(rows, declared);
    // From the legacy manifest only the fields that the first manifest does not have.
    let other: BTreeSet<String> = legacy_rows().iter().map(name).collect();
    let all = declared_fields(LEGACY);
    let new = all.iter().filter(|(address, _)| {
        let also =
            |name: &String| name.strip_prefix(address.as_str()).is_some_and(|rest| rest.starts_with('.'));
        !declared.iter().any(also)
    });
    let new: BTreeSet<String> = new
        .map(|(address, field)| format!("{address}.{field}"))
        .filter(|name| name != "legacy_binding.in_place")
        .collect();
    assert_eq!(other, new);
    // Every key that a request carries needs a row, so that the manifest side is changed too.
    let places = super::rows::rows().into_iter().chain(legacy_rows());
    let places: BTreeSet<String> = places.map(|row| row.place).collect();
    for section in kinds::sections() {
        for (key, field) in flat(section.fields).into_iter().filter(|(_, field)| !field.wire.is_empty()) {
            let place = format!("{}.{key}", section.path);
            let is_map = matches!(field.ty, Type::Map { .. });
            let moved =
                places.iter().any(|row| *row == place || is_map && row.starts_with(&format!("{place}.")));
            assert!(
                moved,
                "{place} has no row: add it to tests/fields/rows.rs, and its section to FULL in tests/fields/bed.rs"
            );
        }
    }
    println!("{} fields with a row, {} without", rows.len(), WITHOUT_ROW.len());
}

#[test]
fn changed_behind_our_back_is_told_and_put_right() {
    every_row(|base, snapshot, row| {
        let before = Bed::on(snapshot, valid(base.text, &[])).plain(Remote::Ids);
        let mut bed = tampered(base, snapshot, row);
        let visible = row.field == "deployed" || !difference(&before, &bed.plain(Remote::Ids)).is_empty();
        ensure(visible, || "the comparison of worlds is blind to this field".into())?;
        let plan = bed.observe().plan;
        ensure(named(&plan) == [name(row)], || format!("differ: {:?}", named(&plan)))?;
        let told = change(&plan, row).expect("just seen");
        let expected = (Some(row.there.clone()), Some(row.applied.clone()), row.secret);
        ensure((told.old.clone(), told.new.clone(), told.secret) == expected, || format!("{told:?}"))?;
        ensure(told.cause == Cause::TenantChanged, || format!("{told:?}"))?;
        shown(&plan, row, "[tenant changed]")?;

        let mark = bed.stack.mark();
        let outcome = bed.apply();
        ensure(outcome.ended == Ended::Done, || format!("{outcome:?}"))?;
        let writes = bed.writes_since(mark);
        ensure(writes.len() == row.writes, || {
            format!("{} writes, not {}: {writes:?}", writes.len(), row.writes)
        })?;
        let after = bed.observe().plan;
        ensure(after.is_empty() && named(&after).is_empty(), || format!("left: {:?}", named(&after)))?;
        let differing = difference(&before, &bed.plain(Remote::Ids));
        ensure(differing.is_empty(), || format!("the world is not as before: {differing:?}"))
    });
}

/// Checks that the text for people names the field, both values and the cause.
fn shown(plan: &Plan, row: &Row, cause: &str) -> Result<(), String> {
    let text = render::drift(plan, Paint(false));
    let line = text.lines().find(|line| line.trim_start().starts_with(&format!("{}:", row.field)));
    let Some(line) = line else { return Err(format!("not shown in\n{text}")) };
    let is_long = row.applied.as_str().is_some_and(|text| text.contains('\n'));
    let values = match (row.secret, is_long) {
        (true, _) => "changed on the tenant since it was applied (secret)".to_owned(),
        (false, true) => "what was applied (-) and what the tenant has (+)".to_owned(),
        (false, false) => {
            let (applied, there) = (render::shown(Some(&row.applied)), render::shown(Some(&row.there)));
            format!("was applied {applied}, the tenant has {there}, the manifest wants {applied}")
        }
    };
    ensure(line.contains(&values) && line.ends_with(cause), || format!("shown as {line:?}"))
}

#[test]
fn changed_in_the_manifest_is_not_applied() {
    every_row(|base, snapshot, row| match &row.other {
        Other::Fixed => Ok(()),
        Other::Refused(edits) => {
            // The value is refused by the manifest's checks, before anything is read, or else by the plan.
            let Ok(wanted) = manifest(base.text, edits) else { return Ok(()) };
            let plan = Bed::on(snapshot, wanted).observe().plan;
            let is_blocked = plan.blockers().any(|finding| finding.address == row.address);
            ensure(is_blocked, || "another value should be refused".into())
        }
        Other::Value(edits, shown) => {
            let plan = Bed::on(snapshot, valid(base.text, edits)).observe().plan;
            let told = change(&plan, row).ok_or_else(|| format!("differ: {:?}", named(&plan)))?;
            let old = if row.secret { json!("set") } else { row.applied.clone() };
            let expected = (Some(old), Some(shown.clone()), row.secret);
            ensure((told.old.clone(), told.new.clone(), told.secret) == expected, || format!("{told:?}"))?;
            ensure(causes(&plan) == [Cause::NotApplied].into(), || format!("{:?}", changes(&plan)))
        }
    });
}

#[test]
fn changed_on_both_sides_is_both() {
    let companion = edit("verify_service.code_length", json!(7));
    every_row(|base, snapshot, row| {
        let mut bed = tampered(base, snapshot, row);
        match &row.other {
            Other::Value(edits, shown) if row.secret || *shown != row.there => {
                bed.manifest = valid(base.text, edits);
                let plan = bed.observe().plan;
                let told = change(&plan, row).ok_or_else(|| format!("differ: {:?}", named(&plan)))?;
                ensure(told.cause == Cause::Both, || format!("{told:?}"))
            }
            other => {
                // A switch has two values, so when both sides change it, they agree and there is no difference.
                if let Other::Value(edits, _) = other {
                    bed.manifest = valid(base.text, edits);
                    let plan = bed.observe().plan;
                    ensure(change(&plan, row).is_none(), || {
                        format!("agrees, yet differs: {:?}", named(&plan))
                    })?;
                }
                // Therefore each side changes another field.
                bed.manifest = valid(base.text, std::slice::from_ref(&companion));
                let seen = causes(&bed.observe().plan);
                ensure(seen == [Cause::NotApplied, Cause::TenantChanged].into(), || format!("{seen:?}"))
            }
        }
    });
}

#[test]
fn without_a_ledger_the_cause_is_unknown() {
    every_row(|base, snapshot, row| {
        let mut twin = snapshot.twin.clone();
        let sid = service(&mut twin).sid.clone();
        // A service is never picked by its name alone.
        let pinned = valid(base.text, &[edit("verify_service.sid", json!(sid))]);
        let mut bed = tampered(base, snapshot, row);
        bed.with_twin(lose_ledger);
        bed.manifest = pinned.clone();
        let plan = bed.observe().plan;
        match change(&plan, row) {
            Some(_) => ensure(causes(&plan) == [Cause::Unknown].into(), || format!("{:?}", changes(&plan))),
            // A field that cannot be read back cannot be compared. The plan names it, and it is no difference.
            None => {
                let unknown = plan
                    .resources
                    .iter()
                    .any(|resource| resource.address == row.address && resource.unknown.contains(&row.field));
                ensure(row.secret && unknown, || format!("differ: {:?}", named(&plan)))
            }
        }
    });
}

/// What another operator does, at a time.
type Change = fn(&mut Twin, u64);

/// A change that is not one of a single field: the differences, and the number of writes that repair it.
struct Special {
    what: &'static str,
    edits: &'static [(&'static str, &'static str)],
    tamper: Change,
    /// `address.field: old → new`, in the order of the plan.
    differs: &'static [&'static str],
    writes: usize,
    /// The object is made again, so its ids differ.
    anew: bool,
}

fn add_secret(twin: &mut Twin, now_ms: u64) {
    edit_action(twin, now_ms, |action, stamp| {
        action.secrets.push(Secret { name: "THEIRS".into(), value: "x".into(), updated_at: stamp.into() });
    });
}

const SPECIALS: &[Special] = &[
    Special {
        what: "a dependency is added",
        edits: &[],
        tamper: |twin, now| {
            edit_action(twin, now, |action, _| {
                action.dependencies.push(Dependency { name: "lodash".into(), version: "4.17.21".into() });
            });
        },
        differs: &["action.dependencies.lodash: 4.17.21 → (absent)"],
        writes: 2,
        anew: false,
    },
    Special {
        what: "a dependency is removed",
        edits: &[],
        tamper: |twin, now| edit_action(twin, now, |action, _| action.dependencies.clear()),
        differs: &["action.dependencies.twilio: (absent) → 6.2.0"],
        writes: 2,
        anew: false,
    },
    Special {
        what: "a secret is removed",
        edits: &[],
        tamper: |twin, now| {
            edit_action(twin, now, |action, _| {
                action.secrets.retain(|secret| secret.name != "TWILIO_API_KEY")
            });
        },
        differs: &["action.secrets.TWILIO_API_KEY: (absent) → set"],
        writes: 2,
        anew: false,
    },
    Special {
        what: "a secret is added, and is to be removed",
        edits: &[("action.unmanaged_secrets", "remove")],
        tamper: add_secret,
        differs: &["action.secrets.THEIRS: set → (absent)"],
        writes: 2,
        anew: false,
    },
    Special {
        what: "the draft is edited and not deployed",
        edits: &[],
        tamper: |twin, now| edit_draft(twin, now, |action| action.runtime = "node18-actions".into()),
        differs: &["action.deployed: false → true", "action.runtime: node18 → node22"],
        writes: 2,
        anew: false,
    },
    Special {
        what: "the draft fails to build",
        edits: &[],
        tamper: |twin, now| edit_draft(twin, now, |action| action.build.fails = true),
        differs: &["action.deployed: false → true"],
        writes: 2,
        anew: false,
    },
    Special {
        what: "the stream is suspended",
        edits: &[],
        tamper: |twin, _| stream(twin).status = "suspended".into(),
        differs: &["log_stream.status: suspended → active"],
        writes: 1,
        anew: false,
    },
    Special {
        what: "a header is added",
        edits: &[],
        tamper: |twin, _| {
            let headers = stream(twin).sink.get_mut("httpCustomHeaders").and_then(Json::as_array_mut);
            headers.expect("headers").push(json!({ "header": "X-Theirs", "value": "x" }));
        },
        differs: &["log_stream.custom_headers.X-Theirs: set → (absent)"],
        writes: 1,
        anew: false,
    },
    Special {
        what: "masking is removed",
        edits: &[],
        tamper: |twin, _| stream(twin).pii_config = None,
        differs: &[
            "log_stream.pii_config.algorithm: (absent) → xxhash",
            "log_stream.pii_config.log_fields: (absent) → [email]",
            "log_stream.pii_config.method: (absent) → mask",
        ],
        writes: 1,
        anew: false,
    },
    Special {
        what: "filters are removed",
        edits: &[],
        tamper: |twin, _| stream(twin).filters = None,
        differs: &["log_stream.filters: [] → [other, user.notification]"],
        writes: 1,
        anew: false,
    },
    Special {
        what: "the SIEM's stream is suspended",
        edits: &[],
        tamper: |twin, _| siem(twin).status = "suspended".into(),
        differs: &["log_stream.siem.status: suspended → active"],
        writes: 1,
        anew: false,
    },
    Special {
        what: "the branding is taken away",
        edits: &[],
        tamper: |twin, _| tenant(twin).branding.clear(),
        differs: &[
            "branding.colors.page_background: null → #445566",
            "branding.colors.primary: null → #112233",
            "branding.favicon_url: null → https://acme.example/icon.png",
            "branding.font.url: null → https://acme.example/font.woff",
            "branding.identifiers.login_display: null → separate",
            "branding.identifiers.otp_autocomplete: null → true",
            "branding.identifiers.phone_display.formatting: null → international",
            "branding.identifiers.phone_display.masking: null → mask_digits",
            "branding.logo_url: null → https://acme.example/logo.png",
        ],
        writes: 1,
        anew: false,
    },
    Special {
        what: "several policies are set",
        edits: &[],
        tamper: |twin, _| tenant(twin).policies = vec!["all-applications".into(), "confidence-score".into()],
        differs: &["mfa_policy.policy: (all-applications, confidence-score) → always"],
        writes: 1,
        anew: false,
    },
    Special {
        what: "message types are taken away",
        edits: &[],
        tamper: |twin, _| tenant(twin).message_types = None,
        differs: &["phone_message_types.message_types: [] → [sms, voice]"],
        writes: 1,
        anew: false,
    },
    Special {
        what: "the binding is removed",
        edits: &[],
        tamper: |twin, _| drop(tenant(twin).bindings.remove("custom-phone-provider")),
        differs: &[
            "trigger_binding.display_name: (absent) → Send the code",
            "trigger_binding.in_place: (absent) → true",
        ],
        writes: 1,
        anew: false,
    },
    Special {
        what: "the provider is deleted",
        edits: &[],
        tamper: |twin, _| tenant(twin).phone_providers.clear(),
        differs: &[
            "phone_provider.delivery_methods: (absent) → [text, voice]",
            "phone_provider.disabled: (absent) → false",
            "phone_provider.name: (absent) → custom",
        ],
        writes: 1,
        anew: true,
    },
];

fn tell(plan: &Plan) -> Vec<String> {
    changes(plan)
        .iter()
        .map(|(address, change)| {
            let [old, new] = [&change.old, &change.new].map(|value| render::shown(value.as_ref()));
            format!("{address}.{}: {old} → {new}", change.field)
        })
        .collect()
}

#[test]
fn changes_beyond_one_field_are_told_and_put_right() {
    let base = applied_full();
    for special in SPECIALS {
        let edits: Vec<_> = special.edits.iter().map(|(place, value)| edit(*place, json!(value))).collect();
        let mut bed = Bed::on(&base, valid(FULL, &edits));
        let before = bed.plain(if special.anew { Remote::NoIds } else { Remote::Ids });
        let now_ms = bed.now_ms();
        bed.with_twin(|twin| (special.tamper)(twin, now_ms));
        let plan = bed.observe().plan;
        assert_eq!(tell(&plan), special.differs, "{}", special.what);
        assert_eq!(causes(&plan), [Cause::TenantChanged].into(), "{}: {:?}", special.what, changes(&plan));
        let mark = bed.stack.mark();
        bed.applied();
        let writes = bed.writes_since(mark);
        assert_eq!(writes.len(), special.writes, "{}: {writes:?}", special.what);
        assert!(bed.observe().plan.is_empty(), "{}", special.what);
        let after = bed.plain(if special.anew { Remote::NoIds } else { Remote::Ids });
        assert_same(&before, &after, special.what);
    }
}

#[test]
fn what_was_deleted_is_made_again() {
    let base = applied_full();
    let cases: &[(&str, Change, usize)] = &[
        // The new service has another SID, which both Actions read from a secret and the Function from a variable:
        // create, two drafts, variable, two deployments. What belonged to the service is made again too: two limits, three buckets, a
        // messaging configuration.
        (
            "verify_service",
            |twin, _| twin.world.account_mut(crate::support::ACCOUNT).verify_services.clear(),
            12,
        ),
        // Writes: service, environment, Function, upload, build, six variables, deploy.
        (
            "feedback_function",
            |twin, _| twin.world.account_mut(crate::support::ACCOUNT).serverless_services.clear(),
            12,
        ),
        // The build still exists, so the writes are: environment, six variables, deploy.
        ("feedback_function", |twin, _| super::bed::receiver(twin).environments.clear(), 8),
        // Writes: create, deploy, bind.
        (
            "action",
            |twin, _| {
                let id = action(twin).id.clone();
                tenant(twin).actions.retain(|action| action.id != id);
                tenant(twin).bindings.remove("custom-phone-provider");
            },
            3,
        ),
        (
            "log_stream",
            |twin, _| {
                let id = stream(twin).id.clone();
                tenant(twin).log_streams.retain(|stream| stream.id != id);
            },
            1,
        ),
        (
            "log_stream.siem",
            |twin, _| {
                let id = siem(twin).id.clone();
                tenant(twin).log_streams.retain(|stream| stream.id != id);
            },
            1,
        ),
        (
            "phone_template.otp_enroll",
            |twin, _| tenant(twin).phone_templates.retain(|template| template.r#type != "otp_enroll"),
            1,
        ),
        (
            "sample_client",
            |twin, _| {
                tenant(twin).clients.clear();
                tenant(twin).connections[0].clients.clear();
            },
            // The application, and the connection that is enabled for it.
            2,
        ),
    ];
    for (address, tamper, writes) in cases {
        let mut bed = Bed::on(&base, valid(FULL, &[]));
        let before = bed.plain(Remote::NoIds);
        let now_ms = bed.now_ms();
        bed.with_twin(|twin| tamper(twin, now_ms));
        let plan = bed.observe().plan;
        assert_eq!(causes(&plan), [Cause::TenantChanged].into(), "{address}: {:?}", tell(&plan));
        assert!(changes(&plan).iter().any(|(at, _)| at == address), "{address}: {:?}", tell(&plan));
        let mark = bed.stack.mark();
        bed.applied();
        let made = bed.writes_since(mark);
        assert_eq!(made.len(), *writes, "{address}: {made:?}");
        assert!(bed.observe().plan.is_empty(), "{address}");
        assert_same(&before, &bed.plain(Remote::NoIds), address);
    }
}

fn findings(observation: &Observation, level: Level) -> Vec<String> {
    let findings = observation.plan.findings.iter().filter(|finding| finding.level == level);
    findings.map(|finding| format!("{}: {}", finding.address, finding.text)).collect()
}

#[test]
fn a_foreign_secret_is_kept_and_keeps_secrets_from_being_written() {
    let mut bed = Bed::on(&applied_full(), valid(FULL, &[]));
    let now_ms = bed.now_ms();
    bed.with_twin(|twin| add_secret(twin, now_ms));
    let seen = bed.observe();
    assert!(seen.plan.is_empty() && named(&seen.plan).is_empty(), "{:?}", named(&seen.plan));
    assert!(
        findings(&seen, Level::Warning).iter().any(|text| text.contains("THEIRS")),
        "{:?}",
        seen.plan.findings
    );

    // A new dependency needs a draft. A draft that is sent without secrets keeps them all.
    bed.manifest = valid(FULL, &[edit("action.dependencies.twilio", json!("6.3.0"))]);
    bed.applied();
    assert_eq!(bed.with_twin(|twin| live_secret(twin, "THEIRS")).as_deref(), Some("x"));

    // A changed secret needs the whole set, which would remove the foreign secret: a person has to decide.
    let edits = [
        edit("action.dependencies.twilio", json!("6.3.0")),
        edit("action.secrets.TWILIO_API_KEY", json!("${env.OTHER_KEY}")),
    ];
    bed.manifest = valid(FULL, &edits);
    let before = bed.plain(Remote::Ids);
    assert!(findings(&bed.observe(), Level::Blocker).iter().any(|text| text.contains("THEIRS")));
    let outcome = bed.apply();
    assert!(matches!(&outcome.ended, Ended::Failed(text) if text.contains("THEIRS")), "{outcome:?}");
    assert_same(&before, &bed.plain(Remote::Ids), "refused");
}

#[test]
fn a_foreign_action_on_our_trigger_is_told_and_stops_us() {
    let mut bed = Bed::on(&applied_full(), valid(FULL, &[edit("action.binding.position", json!("first"))]));
    let now_ms = bed.now_ms();
    bed.with_twin(|twin| {
        let trigger = lockstep::twin::TriggerRef::new("custom-phone-provider", "v1");
        let id = twin.world.add_deployed_action(crate::support::DOMAIN, "Theirs", &trigger, now_ms);
        let mut ours = tenant(twin).bindings.remove("custom-phone-provider").expect("bound");
        twin.world.bind(crate::support::DOMAIN, "custom-phone-provider", &id, "Theirs", now_ms);
        tenant(twin).bindings.get_mut("custom-phone-provider").expect("bound").append(&mut ours);
    });
    let before = bed.plain(Remote::Ids);
    let seen = bed.observe();
    assert_eq!(tell(&seen.plan), ["trigger_binding.in_place: false → true"]);
    assert_eq!(causes(&seen.plan), [Cause::TenantChanged].into());
    assert!(findings(&seen, Level::Blocker).iter().any(|text| text.contains("Theirs")));
    assert!(matches!(bed.apply().ended, Ended::Failed(_)));
    assert_same(&before, &bed.plain(Remote::Ids), "refused");
}

#[test]
fn a_generated_authorization_is_drawn_anew_when_it_was_changed() {
    // Without the Function only the stream keeps the value.
    let edits = [
        edit("feedback.log_stream.authorization", json!("${generated.feedback}")),
        edit("feedback.function", Json::Null),
    ];
    let mut bed = Bed::new(valid(FULL, &edits));
    bed.applied();
    let drawn = bed.with_twin(|twin| stream(twin).sink["httpAuthorization"].clone());
    bed.with_twin(|twin| stream(twin).sink.insert("httpAuthorization".into(), json!("theirs")));
    let plan = bed.observe().plan;
    assert_eq!(tell(&plan), ["log_stream.authorization: set → changed"]);
    assert_eq!(causes(&plan), [Cause::TenantChanged].into());
    let mark = bed.stack.mark();
    bed.applied();
    assert_eq!(bed.writes_since(mark).len(), 1);
    let now = bed.with_twin(|twin| stream(twin).sink["httpAuthorization"].clone());
    assert!(now != json!("theirs") && now != drawn, "the old value is kept nowhere, so a new one is drawn");
    assert!(bed.observe().plan.is_empty());
}

#[test]
fn the_service_that_is_ours_is_known_by_its_sid() {
    let mut bed = Bed::on(&applied_full(), valid(FULL, &[]));
    bed.with_twin(|twin| {
        let mut twin_service = service(twin).clone();
        twin_service.sid = format!("VA{}", "1".repeat(32));
        twin_service.settings.insert("code_length".into(), json!(9));
        twin.world.account_mut(crate::support::ACCOUNT).verify_services.push(twin_service);
    });
    let plan = bed.observe().plan;
    assert!(plan.is_empty() && named(&plan).is_empty(), "{:?}", tell(&plan));
}

#[test]
fn a_plan_is_of_the_manifest_that_it_was_made_of() {
    // The texts of the steps name fields only, so they do not show that a value is different. The digest has to.
    let mut bed = Bed::on(&applied_full(), valid(FULL, &[edit("verify_service.code_length", json!(7))]));
    let basis = |bed: &mut Bed, place: &str, value: Json| {
        bed.manifest = valid(FULL, &[edit("verify_service.code_length", json!(7)), edit(place, value)]);
        bed.observe().plan.basis
    };
    let first = basis(&mut bed, "verify_service.code_length", json!(7));
    assert_eq!(first, basis(&mut bed, "verify_service.code_length", json!(7)));
    assert_ne!(first, basis(&mut bed, "verify_service.code_length", json!(8)));
    let first = basis(&mut bed, "action.dependencies.twilio", json!("6.1.0"));
    assert_ne!(first, basis(&mut bed, "action.dependencies.twilio", json!("6.0.0")));
}
