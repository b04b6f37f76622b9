//! Tests that destroy removes what apply made, puts back what apply changed, and touches nothing else.

use lockstep::engine::apply::Ended;
use lockstep::model::api::Method;
use lockstep::model::plan::{Finding, Level};
use lockstep::shell::in_process::Stop;
use lockstep::twin::faults::{Rule, What, When};
use lockstep::twin::world::{LogStream, PhoneProvider, PhoneTemplate, Secret};
use lockstep::twin::{TriggerRef, Twin};
use serde_json::{Value as Json, json};

use super::bed::{
    Bed, Edits, FULL, Remote, action, applied_full, assert_same, edit, ledger_id, service, siem, stream,
    tenant, valid,
};
use crate::support::{ACCOUNT, DOMAIN};

/// The tests of this file that send requests, for the contract test.
pub const COURSES: &[(&str, fn())] = &crate::support::courses![
    a_fresh_tenant_is_as_fresh_as_before,
    a_tenant_in_use_is_as_it_was,
    a_policy_that_stands_on_a_foreign_factor_is_put_back,
    an_apply_that_was_killed_anywhere_is_taken_back,
    what_a_killed_destroy_put_back_is_not_recorded_as_ours,
    a_policy_that_nobody_could_meet_is_not_put_back,
    types_by_which_codes_may_not_come_are_not_put_back,
    what_others_change_in_between_stays,
    what_was_adopted_is_not_deleted,
    another_object_in_the_place_of_ours_is_taken_over_and_stays,
    an_adopted_provider_and_service_get_their_former_values_back,
    former_settings_of_a_service_are_looked_for_when_the_answer_was_lost,
    a_provider_that_somebody_took_back_is_left,
    codes_travel_the_former_way_again,
    a_former_way_that_does_not_fit_any_more_is_left,
    an_adopted_binding_stays_bound,
    an_adopted_stream_sends_to_its_former_endpoint_unless_a_secret_of_ours_stays,
    an_adopted_action_that_has_other_secrets_is_not_stripped_of_them,
    a_setting_that_was_as_wanted_when_it_was_taken_over_is_put_back_too,
    a_vendor_provider_that_was_taken_over_is_not_deleted,
];

/// Adds a stream of somebody else.
fn foreign_stream(twin: &mut Twin, name: &str, kind: &str, sink: Json) {
    let id = twin.world.ids.log_stream();
    tenant(twin).log_streams.push(LogStream {
        id,
        name: Some(name.into()),
        r#type: kind.into(),
        status: "active".into(),
        sink: sink.as_object().cloned().unwrap_or_default(),
        filters: None,
        pii_config: None,
        is_priority: false,
    });
}

/// Adds a template that the tenant had before the stack.
fn foreign_template(twin: &mut Twin, kind: &str, mut content: Json) {
    content["syntax"] = json!("liquid");
    let id = format!("tem_{}", twin.world.ids.word(22));
    tenant(twin).phone_templates.push(PhoneTemplate {
        id,
        r#type: kind.into(),
        disabled: true,
        content: content.as_object().cloned().unwrap_or_default(),
        created_at: "2025-01-01T00:00:00.000Z".into(),
        updated_at: "2025-01-01T00:00:00.000Z".into(),
    });
}

/// Adds a Verify service of somebody else.
fn foreign_service(twin: &mut Twin, friendly_name: &str, now_ms: u64) {
    let form = [("FriendlyName", friendly_name), ("CodeLength", "8")];
    let method = lockstep::model::api::Method::Post;
    let (status, _) =
        twin.operate_account(ACCOUNT, "verify.twilio.com", method, "/v2/Services", &form, now_ms);
    assert_eq!(status, 201);
}

/// Makes a tenant and an account that were in use before the stack.
fn in_use(twin: &mut Twin, now_ms: u64) {
    let triggers = [
        ("Enrich the token", "post-login", "v3", Some("Enrich")),
        ("Block some countries", "post-login", "v3", Some("Geo")),
        ("Kept for later", "post-login", "v3", None),
        ("Old phone hook", "send-phone-message", "v2", Some("Old phone hook")),
        ("Tell the CRM", "post-change-password", "v2", Some("CRM")),
    ];
    for (name, trigger, version, bound) in triggers {
        let id = twin.world.add_deployed_action(DOMAIN, name, &TriggerRef::new(trigger, version), now_ms);
        if let Some(display_name) = bound {
            twin.world.bind(DOMAIN, trigger, &id, display_name, now_ms);
        }
    }
    foreign_stream(twin, "To Datadog", "datadog", json!({ "datadogApiKey": "k", "datadogRegion": "eu" }));
    foreign_stream(twin, "To the SIEM", "http", json!({ "httpEndpoint": "https://siem.example/" }));
    foreign_service(twin, "Somebody else", now_ms);
    foreign_service(twin, "Acme Login", now_ms);
    let tenant = tenant(twin);
    for factor in &mut tenant.factors {
        factor.enabled = ["otp", "email", "duo"].contains(&factor.name.as_str());
    }
    tenant.policies = vec!["all-applications".into()];
    tenant.message_types = Some(vec!["voice".into()]);
    tenant.prompts.universal_login_experience = "classic".into();
    tenant.prompts.identifier_first = Some(false);
    tenant.prompts.webauthn_platform_first_factor = Some(false);
    tenant.settings.insert("friendly_name".into(), json!("Acme"));
    tenant.branding.insert("logo_url".into(), json!("https://acme.example/former.png"));
    let gradient =
        json!({ "type": "linear-gradient", "start": "#ffffff", "end": "#000000", "angle_deg": 35 });
    tenant.branding.insert("colors".into(), json!({ "page_background": gradient }));
    tenant.branding.insert("identifiers".into(), json!({ "login_display": "unified" }));
    foreign_template(
        twin,
        "otp_verify",
        json!({ "from": "+15550111", "body": { "text": "Former @{code}" } }),
    );
    foreign_template(twin, "otp_enroll", json!({ "body": { "text": "Former", "voice": "Former" } }));
}

/// Edits for a stack in a tenant that is in use. The factors that the manifest does not name are somebody else's.
fn beside() -> Edits {
    vec![
        edit("verify_service.sid", json!("new")),
        edit("mfa.factors", json!({ "phone": true, "otp": true, "webauthn_roaming": true })),
        edit("mfa.policy", json!("never")),
    ]
}

fn lease_is_gone(twin: &mut Twin) -> bool {
    twin.world.account_mut(ACCOUNT).serverless_services.is_empty()
}

/// Applies, destroys, and destroys again.
fn there_and_back(what: &str, edits: &Edits, prepare: fn(&mut Twin, u64)) -> Bed {
    let mut bed = Bed::new(valid(FULL, edits));
    let now_ms = bed.now_ms();
    bed.with_twin(|twin| prepare(twin, now_ms));
    let before = bed.plain(Remote::Ids);
    bed.applied();
    assert!(bed.observe().plan.is_empty(), "{what}: a second apply does nothing");
    bed.destroyed();
    assert_same(&before, &bed.plain(Remote::Ids), what);
    assert!(bed.with_twin(|twin| ledger_id(twin)).is_none(), "{what}: the ledger is gone");
    assert!(bed.with_twin(lease_is_gone), "{what}: the lease is gone");

    let mark = bed.stack.mark();
    let outcome = bed.destroyed();
    assert!(outcome.done.is_empty(), "{what}: a second destroy does nothing: {outcome:?}");
    let writes: Vec<_> = bed.stack.log_since(mark).into_iter().filter(|entry| entry.wrote).collect();
    assert!(writes.is_empty(), "{what}: a second destroy writes nothing: {writes:?}");
    bed
}

/// Kills a destroy at every `every`-th request, finishes it with the next one, and compares the world with what it was
/// before the apply. `bed` is a fresh bed of the manifest; `at_kill` looks at the world right after each kill.
pub fn killed_everywhere(mut bed: Bed, name: &str, every: usize, at_kill: impl Fn(&Bed, &str)) {
    let manifest = bed.manifest.clone();
    let former = bed.plain(Remote::Ids);
    bed.applied();
    let snapshot = bed.snapshot();
    let mark = bed.stack.mark();
    bed.destroyed();
    let length = bed.stack.mark() - mark;
    for k in (0..=length).step_by(every) {
        let story = format!("{name}, destroy killed after {k} of {length}");
        let mut bed = Bed::on(&snapshot, manifest.clone());
        let _ = bed.run_until(Stop::kill(k, k % 2 == 0), true);
        at_kill(&bed, &story);
        bed.stack.in_process.advance_ms(3_600_000);
        bed.destroyed();
        // The run was killed before it released the lease, and nothing else was left to do. The next apply with work
        // takes such a lease.
        bed.with_twin(|twin| {
            let services = &mut twin.world.account_mut(ACCOUNT).serverless_services;
            services.retain(|service| !service.unique_name.starts_with("lockstep-lease-"));
        });
        assert_same(&former, &bed.plain(Remote::Ids), &story);
    }
}

#[test]
fn a_fresh_tenant_is_as_fresh_as_before() {
    there_and_back("fresh", &vec![], |_, _| {});
}

#[test]
fn a_tenant_in_use_is_as_it_was() {
    there_and_back("in use", &beside(), in_use);
}

#[test]
fn an_apply_that_was_killed_anywhere_is_taken_back() {
    let mut bed = Bed::new(valid(FULL, &beside()));
    let now_ms = bed.now_ms();
    bed.with_twin(|twin| in_use(twin, now_ms));
    let (snapshot, former) = (bed.snapshot(), bed.plain(Remote::Ids));
    let mark = bed.stack.mark();
    bed.applied();
    let length = bed.stack.mark() - mark;
    for k in (0..=length).step_by(2) {
        let mut bed = Bed::on(&snapshot, valid(FULL, &beside()));
        let _ = bed.run_until(Stop::kill(k, k % 4 == 0), false);
        bed.stack.in_process.advance_ms(3_600_000);
        bed.destroyed();
        bed.with_twin(|twin| {
            twin.world.account_mut(ACCOUNT).serverless_services.retain(|service| {
                // The run was killed before it released the lease, and nothing else was left to do. The next apply with
                // work takes such a lease.
                !service.unique_name.starts_with("lockstep-lease-")
            })
        });
        assert_same(&former, &bed.plain(Remote::Ids), &format!("killed after {k} of {length}"));
    }
}

#[test]
fn what_a_killed_destroy_put_back_is_not_recorded_as_ours() {
    const FIELD: &str = "webauthn_platform_first_factor";
    let mut bed = Bed::new(valid(FULL, &[]));
    bed.applied();
    bed.manifest = valid(FULL, &[edit(format!("universal_login.{FIELD}"), Json::Null)]);
    bed.applied();
    let snapshot = bed.snapshot();
    let mark = bed.stack.mark();
    bed.destroyed();
    let length = bed.stack.mark() - mark;
    let mut put_back = 0;
    for k in 0..length {
        let mut bed = Bed::on(&snapshot, bed.manifest.clone());
        let _ = bed.run_until(Stop::kill(k, true), true);
        bed.stack.in_process.advance_ms(3_600_000);
        let back = bed.with_twin(|twin| tenant(twin).prompts.webauthn_platform_first_factor == Some(false));
        if bed.observe().found.ledger.is_none() {
            break;
        }
        bed.applied();
        let ledger = bed.observe().found.ledger.expect("applied");
        let told = ledger.resources["universal_login"].fields.contains_key(FIELD);
        assert_eq!(told, !back, "killed after {k} of {length}");
        put_back += usize::from(back);
    }
    assert!(put_back > 1, "{put_back}");
}

/// Makes every login ask for a second factor, with this factor as the only one.
fn policy_with(twin: &mut Twin, factor: &str) {
    tenant(twin).policies = vec!["all-applications".into()];
    tenant(twin).factors.iter_mut().for_each(|known| known.enabled = known.name == factor);
}

#[test]
fn a_policy_that_stands_on_a_foreign_factor_is_put_back() {
    let edits =
        vec![edit("mfa.factors", json!({ "phone": true, "otp": true })), edit("mfa.policy", json!("never"))];
    there_and_back("foreign factor", &edits, |twin, _| policy_with(twin, "email"));
}

#[test]
fn a_policy_that_nobody_could_meet_is_not_put_back() {
    // Without any factor this policy had locked everybody out before the stack. Such a state is not restored.
    let mut bed = Bed::new(valid(FULL, &[edit("mfa.policy", json!("never"))]));
    bed.with_twin(|twin| {
        tenant(twin).factors.iter_mut().for_each(|factor| factor.enabled = false);
        tenant(twin).policies = vec!["all-applications".into()];
    });
    bed.applied();
    let plan = bed.observe_destroy().plan;
    let warned = |found: &Finding| found.level == Level::Warning && found.address == "mfa_policy";
    let told = plan.findings.iter().find(|found| warned(found)).map(|found| found.text.clone());
    assert!(told.as_ref().is_some_and(|text| text.contains("none could be used")), "{told:?}");
    bed.destroyed();
    assert!(bed.with_twin(|twin| tenant(twin).policies.is_empty()));
    assert!(bed.destroyed().done.is_empty());
}

#[test]
fn types_by_which_codes_may_not_come_are_not_put_back() {
    // In the legacy set-up the sender is not read. Every login asks, and the phone is the only factor.
    let without = ["mfa.post_login", "feedback.action", "mfa.policy"].map(|place| edit(place, Json::Null));
    let bed = Bed::new(valid(FULL, &without));
    bed.with_twin(|twin| {
        policy_with(twin, "sms");
        tenant(twin).settings.insert("phone_consolidated_experience".into(), json!(false));
        tenant(twin).message_types = Some(vec!["voice".into()]);
    });
    let snapshot = bed.snapshot();
    // The run was killed before it wrote the message types. Then somebody sets the wanted types, which looks as if the
    // run had done it.
    let told = (0..200).find_map(|k| {
        let mut bed = Bed::on(&snapshot, bed.manifest.clone());
        bed.run_until(Stop::kill(k, true), false).is_none().then_some(())?;
        bed.stack.in_process.advance_ms(3_600_000);
        bed.observe().found.ledger?;
        bed.with_twin(|twin| tenant(twin).message_types = Some(vec!["sms".into(), "voice".into()]));
        let plan = bed.observe_destroy().plan;
        assert!(plan.steps.iter().all(|step| step.address != "phone_message_types"), "{:?}", plan.steps);
        let mut told = plan.findings.into_iter();
        told.find(|found| found.address == "phone_message_types" && found.level == Level::Warning)
    });
    let text = told.expect("a warning").text;
    assert!(text.contains("the phone is the only one"), "{text}");
}

#[test]
fn what_others_change_in_between_stays() {
    let mut bed = Bed::new(valid(FULL, &beside()));
    let now_ms = bed.now_ms();
    bed.with_twin(|twin| in_use(twin, now_ms));
    bed.applied();
    let change = |twin: &mut Twin, now_ms: u64| {
        let trigger = TriggerRef::new("post-login", "v3");
        let id = twin.world.add_deployed_action(DOMAIN, "New colleague", &trigger, now_ms);
        twin.world.bind(DOMAIN, "post-login", &id, "New colleague", now_ms);
        tenant(twin).bindings.get_mut("post-login").expect("bound").swap(0, 1);
        tenant(twin).log_streams.retain(|stream| stream.name.as_deref() != Some("To Datadog"));
        foreign_service(twin, "Later", now_ms);
        tenant(twin).factors.iter_mut().filter(|f| f.name == "recovery-code").for_each(|f| f.enabled = true);
        tenant(twin).settings.insert("friendly_name".into(), json!("Acme Inc"));
    };
    // The same changes on a tenant that never had the stack.
    let mut other = Bed::new(valid(FULL, &beside()));
    other.with_twin(|twin| in_use(twin, now_ms));
    other.with_twin(|twin| change(twin, now_ms));
    let now_ms = bed.now_ms();
    bed.with_twin(|twin| change(twin, now_ms));
    bed.destroyed();
    assert_same(&other.plain(Remote::NoIds), &bed.plain(Remote::NoIds), "changed in between");
    assert!(other.observe().found.ledger.is_none());
}

/// Adds objects that the manifest names, and that existed before the stack, bound and sending.
fn adoptable(twin: &mut Twin, now_ms: u64) {
    let trigger = TriggerRef::new("custom-phone-provider", "v1");
    let id = twin.world.add_deployed_action(DOMAIN, "Acme phone", &trigger, now_ms);
    twin.world.bind(DOMAIN, "custom-phone-provider", &id, "By hand", now_ms);
    let provider_id = format!("pro_{}", twin.world.ids.word(22));
    tenant(twin).phone_providers.push(PhoneProvider {
        id: provider_id,
        name: "custom".into(),
        disabled: false,
        configuration: json!({ "delivery_methods": ["text"] }).as_object().cloned().unwrap_or_default(),
        credentials: serde_json::Map::new(),
        created_at: "2025-01-01T00:00:00.000Z".into(),
        updated_at: "2025-01-01T00:00:00.000Z".into(),
    });
    foreign_stream(
        twin,
        "Acme feedback",
        "http",
        json!({ "httpEndpoint": "https://acme-feedback.example/auth0-logs" }),
    );
    foreign_service(twin, "By hand", now_ms);
    tenant(twin).factors.iter_mut().filter(|f| f.name == "sms").for_each(|f| f.enabled = true);
    tenant(twin).message_types = Some(vec!["sms".into()]);
}

/// The adopted objects, by what identifies them.
fn adopted(twin: &mut Twin) -> [String; 4] {
    [
        action(twin).id.clone(),
        tenant(twin).phone_providers[0].id.clone(),
        stream(twin).id.clone(),
        service(twin).sid.clone(),
    ]
}

fn adopting() -> (Bed, [String; 4]) {
    let mut bed = Bed::new(valid(FULL, &[]));
    let now_ms = bed.now_ms();
    bed.with_twin(|twin| adoptable(twin, now_ms));
    let ids = bed.with_twin(adopted);
    bed.manifest = valid(FULL, &[edit("verify_service.sid", json!(ids[3]))]);
    (bed, ids)
}

#[test]
fn what_was_adopted_is_not_deleted() {
    let (mut bed, ids) = adopting();
    let outcome = bed.applied();
    assert_eq!(outcome.ended, Ended::Done);
    assert_eq!(bed.with_twin(adopted), ids, "taken over, not made anew");
    assert!(bed.observe().plan.is_empty());
    let mark = bed.stack.mark();
    bed.destroyed();
    assert_eq!(bed.with_twin(adopted), ids);
    let deletes: Vec<String> =
        bed.writes_since(mark).into_iter().filter(|line| line.starts_with("DELETE")).collect();
    // Deleted are: the ledger's own Action, the Actions for the rules and the feedback, and the stream, templates, messaging
    // configuration and application that were not there before. Rate limits are deleted too, because the former version of the Action,
    // which runs again, passes none.
    let kinds = |part: &str| deletes.iter().filter(|line| line.contains(part)).count();
    let parts = [
        "/actions/actions/",
        "/log-streams/",
        "/phone/templates/",
        "/MessagingConfigurations/",
        "/RateLimits/",
        "/clients/",
    ];
    assert_eq!((parts.map(kinds), deletes.len()), ([3, 1, 5, 1, 2, 1], 13), "{deletes:?}");
    assert_eq!(bed.with_twin(|twin| service(twin).rate_limits.len()), 0);
    assert!(bed.with_twin(|twin| ledger_id(twin)).is_none());
    assert!(bed.with_twin(lease_is_gone));
    let again = bed.destroyed();
    assert!(again.done.is_empty(), "{again:?}");
}

/// Somebody deleted what this stack had made, and made each of them anew with the same name.
#[test]
fn another_object_in_the_place_of_ours_is_taken_over_and_stays() {
    let mut bed = Bed::on(&applied_full(), valid(FULL, &[]));
    let theirs = bed.with_twin(|twin| {
        let ours = action(twin).id.clone();
        let anew = twin.world.ids.uuid();
        action(twin).id.clone_from(&anew);
        let bound = tenant(twin).bindings.values_mut().flatten().filter(|bound| bound.action_id == ours);
        bound.for_each(|bound| bound.action_id.clone_from(&anew));
        tenant(twin).phone_providers[0].id = format!("pro_{}", twin.world.ids.word(22));
        stream(twin).id = twin.world.ids.log_stream();
        siem(twin).id = twin.world.ids.log_stream();
        (adopted(twin), siem(twin).id.clone())
    });
    let plan = bed.observe().plan;
    let taken: Vec<&str> =
        plan.resources.iter().filter(|one| one.taken_over).map(|one| one.address.as_str()).collect();
    assert_eq!(taken, ["action", "trigger_binding", "phone_provider", "log_stream", "log_stream.siem"]);
    let untouched = bed.snapshot();
    for applies in [true, false] {
        let mut bed = Bed::on(&untouched, valid(FULL, &[]));
        if applies {
            bed.applied();
            assert!(bed.observe().plan.is_empty());
        }
        bed.destroyed();
        let there = bed.with_twin(|twin| (adopted(twin), siem(twin).id.clone()));
        assert_eq!(there, theirs, "they were never ours to delete");
        let bound = bed.with_twin(|twin| tenant(twin).bindings["custom-phone-provider"].len());
        assert_eq!(bound, 1, "nor to unbind");
        let again = bed.destroyed();
        assert!(again.done.is_empty(), "{again:?}");
    }
}

#[test]
fn an_adopted_provider_and_service_get_their_former_values_back() {
    let (mut bed, _) = adopting();
    let former = |twin: &mut Twin| {
        let service = service(twin);
        let mut settings = json!(service.settings);
        // An empty value clears the issuer, and the API keeps the former issuer whatever is sent.
        settings["totp"]["issuer"] = Json::Null;
        // Custom codes stay on, because the Action that was taken over still sends its codes through the service.
        settings["custom_code_enabled"] = json!(true);
        let text = settings.to_string().replace("\"\"", "null");
        let service = json!([service.friendly_name, text]);
        let tenant = tenant(twin);
        json!([service, tenant.phone_providers[0].configuration, tenant.message_types, tenant.factors])
    };
    let before = bed.with_twin(former);
    bed.applied();
    assert_ne!(before, bed.with_twin(former));
    bed.destroyed();
    let after = bed.with_twin(former);
    assert_same(&before, &after, "adopted");
}

/// The write is lost as often as it is sent again without a look, and the look finds what was there.
#[test]
fn former_settings_of_a_service_are_looked_for_when_the_answer_was_lost() {
    let (mut bed, ids) = adopting();
    let name = |twin: &mut Twin| service(twin).friendly_name.clone();
    let before = bed.with_twin(name);
    bed.applied();
    assert_ne!(before, bed.with_twin(name));
    let rule = Rule::once(
        When::first(Method::Post, &format!("/v2/Services/{}$", ids[3])),
        What::Lost { after_effect: false },
    );
    bed.with_twin(|twin| twin.faults.rules.push(Rule { times: 8, ..rule }));
    let outcome = bed.destroyed();
    assert_eq!(before, bed.with_twin(name), "{outcome:?}");
}

/// A provider that sent text messages only, after an apply that leaves it only voice.
fn speaking() -> Bed {
    let (mut bed, ids) = adopting();
    bed.with_twin(|twin| twin.options.provider_must_cover_message_types = true);
    let spoken = [edit("verify_service.sid", json!(ids[3])), edit("phone.channels", json!(["voice"]))];
    bed.manifest = valid(FULL, &spoken);
    bed.applied();
    assert_eq!(ways(&mut bed), (json!(["voice"]), json!(["voice"])));
    bed
}

/// Delivery methods of the provider, and message types.
fn ways(bed: &mut Bed) -> (Json, Json) {
    bed.with_twin(|twin| {
        let tenant = tenant(twin);
        let methods = tenant.phone_providers[0].configuration["delivery_methods"].clone();
        (methods, json!(tenant.message_types))
    })
}

#[test]
fn a_provider_that_somebody_took_back_is_left() {
    type Take = fn(&mut PhoneProvider);
    let takes: [(&str, Take); 2] = [
        ("in place", |provider| {
            provider.name = "twilio".into();
            let theirs = json!({ "sid": "AC1", "default_from": "+15550100", "delivery_methods": ["text"] });
            provider.configuration = theirs.as_object().cloned().unwrap_or_default();
        }),
        ("by another one", |provider| provider.id = "pro_2222222222222222222222".into()),
    ];
    for created in [true, false] {
        for (what, take) in takes {
            let mut bed = if created { Bed::new(valid(FULL, &[])) } else { adopting().0 };
            if !created {
                bed.with_twin(|twin| tenant(twin).phone_providers[0].disabled = true);
            }
            bed.applied();
            bed.with_twin(|twin| take(&mut tenant(twin).phone_providers[0]));
            let before = bed.with_twin(|twin| format!("{:?}", tenant(twin).phone_providers));
            let plan = bed.observe_destroy().plan;
            let told = |found: &&Finding| found.level == Level::Warning && found.address == "phone_provider";
            assert!(plan.findings.iter().any(|found| told(&found)), "{what}: {:?}", plan.findings);
            // Another custom provider would send through our Action, so then nothing is removed.
            let goes = bed.destroy().ended == Ended::Done;
            assert_eq!(goes, what == "in place" || !created, "{what}, created: {created}");
            let after = bed.with_twin(|twin| format!("{:?}", tenant(twin).phone_providers));
            assert_eq!(before, after, "{what}, created: {created}");
        }
    }
}

#[test]
fn codes_travel_the_former_way_again() {
    // Provider and message types cannot each go back in one step, because each write alone would be refused.
    let mut bed = speaking();
    let mark = bed.stack.mark();
    bed.destroyed();
    assert_eq!(ways(&mut bed), (json!(["text"]), json!(["sms"])));
    let refused: Vec<_> =
        bed.stack.log_since(mark).into_iter().filter(|entry| entry.served_status == Some(409)).collect();
    assert!(refused.is_empty(), "{refused:?}");
}

#[test]
fn a_former_way_that_does_not_fit_any_more_is_left() {
    // With the factor off the API accepts no message types, so the provider keeps its delivery method.
    let mut bed = speaking();
    bed.with_twin(|twin| {
        let factors = &mut tenant(twin).factors;
        factors.iter_mut().filter(|factor| factor.name == "sms").for_each(|factor| factor.enabled = false);
    });
    bed.destroyed();
    let (methods, types) = ways(&mut bed);
    assert_eq!((methods, types), (json!(["text", "voice"]), json!(["voice"])));
    assert!(bed.destroyed().done.is_empty());
}

#[test]
fn an_adopted_binding_stays_bound() {
    let (mut bed, ids) = adopting();
    bed.applied();
    bed.destroyed();
    let bound: Vec<String> = bed.with_twin(|twin| {
        tenant(twin).bound("custom-phone-provider").iter().map(|binding| binding.action_id.clone()).collect()
    });
    assert_eq!(bound, [ids[0].clone()], "it was bound before us, and its provider still sends through it");
}

/// The former receiver must not get a secret of ours. So the former endpoint comes back only if every secret that this
/// stack wrote goes.
#[test]
fn an_adopted_stream_sends_to_its_former_endpoint_unless_a_secret_of_ours_stays() {
    let former = json!({ "httpEndpoint": "https://acme-feedback.example/auth0-logs" });
    let moved = "https://acme-feedback.example/moved";
    let sink = |twin: &mut Twin| {
        let mut streams = tenant(twin).log_streams.iter();
        json!(streams.find(|stream| stream.name.as_deref() == Some("Acme feedback")).expect("it stays").sink)
    };
    let theirs = [
        ("httpAuthorization", json!("theirs")),
        ("httpCustomHeaders", json!([{ "header": "X-Stack", "value": "theirs" }])),
    ];
    for secret in [None].into_iter().chain(theirs.map(Some)) {
        let (mut bed, ids) = adopting();
        if let Some((key, value)) = &secret {
            bed.with_twin(|twin| drop(stream(twin).sink.insert((*key).to_owned(), value.clone())));
        }
        bed.applied();
        let elsewhere = edit("feedback.log_stream.endpoint", json!(moved));
        bed.manifest = valid(FULL, &[edit("verify_service.sid", json!(ids[3])), elsewhere]);
        bed.applied();
        assert_eq!(bed.with_twin(sink)["httpEndpoint"], moved);
        bed.destroyed();
        let after = bed.with_twin(sink);
        match secret {
            None => assert_same(&former, &after, "all of the sink is theirs again"),
            Some((key, _)) => assert_eq!(after["httpEndpoint"], moved, "{key}: {after}"),
        }
    }
}

#[test]
fn an_adopted_action_that_has_other_secrets_is_not_stripped_of_them() {
    let (mut bed, _) = adopting();
    bed.with_twin(|twin| {
        let stamp = "2025-01-01T00:00:00.000000001Z".to_owned();
        let secret = Secret { name: "THEIRS".into(), value: "x".into(), updated_at: stamp };
        action(twin).secrets.push(secret);
    });
    let before = bed.plain(Remote::Ids);
    let outcome = bed.apply();
    assert!(matches!(&outcome.ended, Ended::Failed(text) if text.contains("THEIRS")), "{outcome:?}");
    assert_same(&before, &bed.plain(Remote::Ids), "refused");
}

#[test]
fn a_setting_that_was_as_wanted_when_it_was_taken_over_is_put_back_too() {
    let without = edit("mfa.policy", Json::Null);
    let mut bed = Bed::new(valid(FULL, std::slice::from_ref(&without)));
    bed.with_twin(|twin| policy_with(twin, "otp"));
    bed.applied();
    // The policy is taken over without a step, and the next apply changes it.
    for policy in ["always", "never"] {
        bed.manifest = valid(FULL, &[edit("mfa.policy", json!(policy))]);
        bed.applied();
    }
    assert!(bed.with_twin(|twin| tenant(twin).policies.is_empty()));
    bed.destroyed();
    assert_eq!(bed.with_twin(|twin| tenant(twin).policies.clone()), ["all-applications"]);
}

#[test]
fn a_vendor_provider_that_was_taken_over_is_not_deleted() {
    let mut bed = Bed::new(valid(FULL, &[]));
    let id = "pro_1111111111111111111111";
    bed.with_twin(|twin| {
        let configuration =
            json!({ "sid": "AC1", "default_from": "+15550100", "delivery_methods": ["text"] });
        tenant(twin).phone_providers.push(PhoneProvider {
            id: id.into(),
            name: "twilio".into(),
            disabled: false,
            configuration: configuration.as_object().cloned().unwrap_or_default(),
            credentials: json!({ "auth_token": "theirs" }).as_object().cloned().unwrap_or_default(),
            created_at: "2025-01-01T00:00:00.000Z".into(),
            updated_at: "2025-01-01T00:00:00.000Z".into(),
        });
    });
    let taken = bed.observe().plan.steps.into_iter().find(|step| step.address == "phone_provider");
    let danger = taken.and_then(|step| step.danger).unwrap_or_default();
    assert!(danger.contains("credentials cannot be put back"), "{danger}");
    bed.applied();
    assert_eq!(bed.with_twin(|twin| tenant(twin).phone_providers[0].name.clone()), "custom");
    // Destroy refuses while the provider calls our Action. Somebody has to switch the provider back first.
    bed.with_twin(|twin| tenant(twin).phone_providers[0].name = "twilio".into());
    bed.destroyed();
    assert_eq!(bed.with_twin(|twin| tenant(twin).phone_providers[0].id.clone()), id);
    let again = bed.destroyed();
    assert!(again.done.is_empty(), "{again:?}");
}
