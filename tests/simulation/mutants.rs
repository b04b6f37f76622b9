//! Mistakes that the simulation has to notice, as a table: what to break, and which law then speaks up.
//! `examples/mutants.rs` makes them one by one; a test sees to it that every one still applies.

#[path = "fleets/mutants.rs"]
mod of_fleets;

/// One mistake.
pub struct Mutant {
    pub name: &'static str,
    pub file: &'static str,
    /// Stands in the file exactly once.
    pub text: &'static str,
    pub instead: &'static str,
    /// Names of the laws of which one story has to break one first, behind `fleets` if it is a story of a fleet; or `test `
    /// and the name of the test that fails.
    pub caught_by: &'static [&'static str],
}

const fn mutant(
    name: &'static str,
    file: &'static str,
    text: &'static str,
    instead: &'static str,
    caught_by: &'static [&'static str],
) -> Mutant {
    Mutant { name, file, text, instead, caught_by }
}

/// Every mistake.
pub fn all() -> impl Iterator<Item = &'static Mutant> {
    MUTANTS.iter().chain(of_fleets::MUTANTS)
}

/// The test that judges each rule of law 1 by its own cases.
pub const EACH_RULE: &[&str] = &["test laws::each_rule_is_tripped_by_its_cases_and_by_no_other"];

/// A mistake in a rule of law 1, under the name of the rule; tests/laws.rs has its cases.
const fn rule(name: &'static str, text: &'static str, instead: &'static str) -> Mutant {
    Mutant { name, file: CHECK, text, instead, caught_by: EACH_RULE }
}

const BUILD: &str = "crates/core/src/plan/build.rs";
const COMPARE: &str = "crates/core/src/plan/compare.rs";
const CHECK: &str = "crates/core/src/plan/check.rs";
const GATE: &str = "crates/engine/src/gate.rs";
const PACE: &str = "crates/engine/src/pace.rs";
const APPLY: &str = "crates/engine/src/apply.rs";
const RECORD: &str = "crates/engine/src/apply/record.rs";
const LEASE: &str = "crates/engine/src/lease.rs";
const BINDING: &str = "crates/core/src/kinds/trigger_binding.rs";
const ACTION: &str = "crates/core/src/kinds/action/mod.rs";
const KEY: &str = "crates/core/src/kinds/twilio_key.rs";
const ACCEPT: &str = "crates/core/src/plan/accept.rs";
const DIGEST: &str = "crates/core/src/plan/digest.rs";
const MARKDOWN: &str = "crates/core/src/report/markdown.rs";
const WATCH: &str = "crates/engine/src/watch.rs";
const IDENTITY: &str = "crates/core/src/kinds/identity.rs";

pub const MUTANTS: &[Mutant] = &[
    // Order of the plan, and its proof.
    mutant(
        "steps in reverse",
        BUILD,
        "steps.sort_by_key(|step| (step.stage,",
        "steps.sort_by_key(|step| (std::cmp::Reverse(step.stage),",
        &["Second", "Order", "Login"],
    ),
    mutant(
        "nothing is proven",
        BUILD,
        "for loss in check::losses(path, steps) {",
        "for loss in check::losses(path, steps).into_iter().take(0) {",
        &["Login", "Second"],
    ),
    mutant(
        "losses are not named",
        BUILD,
        "step.danger = Some(format!(\"{former}{}\", loss.what));",
        "step.danger = Some(format!(\"{former}{}\", loss.step));",
        &["Login"],
    ),
    mutant(
        "an unread sender is taken to send nothing",
        CHECK,
        "works(before).unwrap_or(leaves_unread)",
        "works(before).unwrap_or(!leaves_unread)",
        &["Login"],
    ),
    mutant(
        "nobody asks for feedback at the hand-over",
        CHECK,
        "phone_on == Some(true) && before.fed() || handed_over;",
        "phone_on == Some(true) && before.fed() && !handed_over;",
        &["Login"],
    ),
    // The rules of law 1, each by itself.
    rule(
        "A hand-over to an Action of others is confirmed",
        "FLOWS.iter().filter(|_| after.is_by_others() && !was)",
        "FLOWS.iter().filter(|_| after.is_by_others() && was)",
    ),
    rule(
        "A factor that is demanded can be used",
        "refused(after.locked_out() && begins,",
        "refused(after.locked_out() && !begins,",
    ),
    rule("A rule can be met", "let begins = anew || old", "let begins = anew && old"),
    rule(
        "Other people's Actions can be met",
        "before.can_use(factor) && !after.can_use(factor)",
        "before.can_use(factor) && after.can_use(factor)",
    ),
    rule(
        "Rules are deployed before they are bound",
        "!bound(before) && !after.rules_run()",
        "!bound(before) && after.rules_run()",
    ),
    rule(
        "The tenant can ask for what rules demand",
        "refused(fail(after) && !fail(before), what)",
        "refused(fail(before) && !fail(after), what)",
    ),
    rule(
        "The phone factor comes after what delivers",
        "refused(comes && after.delivers_any() == Some(false)",
        "refused(comes && after.delivers_any().is_none()",
    ),
    rule(
        "Nobody has the phone alone while its binding is refused",
        "after.leans() && begins",
        "after.leans() && !begins",
    ),
    rule(
        "Users do not depend on an unbound Action of others",
        "after.is_unlisted() && is_met(",
        "!after.is_unlisted() && is_met(",
    ),
    rule(
        "Each message is sent once",
        "after.sends_twice() && !before.sends_twice()",
        "after.sends_twice() && before.sends_twice()",
    ),
    rule(
        "Nobody has the codes of a former version alone",
        "after.leans_on_former() && !before",
        "!after.leans_on_former() && !before",
    ),
    rule(
        "The unified experience needs a binding that is taken",
        "&& after.is_refused(), &what",
        "&& !after.is_refused(), &what",
    ),
    rule(
        "An Action is deployed before it is bound",
        "step.effects.has(fact) && !action.may_run()",
        "step.effects.has(fact) && action.may_run()",
    ),
    rule(
        "An Action is deployed before the provider sends by it",
        "&& !before.phone.may_run()",
        "&& before.phone.may_run()",
    ),
    rule(
        "An Action is deployed before codes are handed to it",
        "&& !before.legacy.may_run()",
        "&& before.legacy.may_run()",
    ),
    rule(
        "An Action is there before it is deployed",
        "action.state.is(&ActionState::Absent)",
        "action.state.is(&ActionState::Draft)",
    ),
    rule(
        "An Action is unbound before it is deleted",
        "action.bound.is(&Binding::Bound)",
        "action.bound.is(&Binding::Unbound)",
    ),
    rule(
        "An Action is bound before codes are handed to it",
        "before.legacy.bound.is(&Binding::Unbound)",
        "before.legacy.bound.is(&Binding::Bound)",
    ),
    rule(
        "The unified experience comes after what delivers",
        "after.phone_is_on() != Some(false) && after.delivers_any()",
        "after.phone_is_on() == Some(false) && after.delivers_any()",
    ),
    rule(
        "Rate limits stand while code passes them",
        "before.missing_limit(was).is_none()",
        "before.missing_limit(was).is_some()",
    ),
    // What is sent again, and how fast.
    mutant(
        "creates are repeated blindly",
        GATE,
        "Call::Write(write, _) => write.repeat == Repeat::Safe,",
        "Call::Write(..) => true,",
        &["Twice"],
    ),
    mutant(
        "the users' share is spent",
        PACE,
        "remaining.saturating_sub(self.in_flight) > self.reserve(window)",
        "remaining.saturating_sub(self.in_flight) > 0",
        &["Pace"],
    ),
    mutant(
        "a wait without bound",
        "crates/engine/src/told.rs",
        "if limit == 0 || limit > LIMIT_BELIEVED || remaining > limit {",
        "if limit > LIMIT_BELIEVED || remaining > limit {",
        &["test faults::waits::headers_that_make_no_sense_do_not_hold_a_run"],
    ),
    mutant(
        "a create is repeated when a look finds nothing",
        "crates/core/src/kinds/kind.rs",
        "        !step.creates\n",
        "        !step.creates || true\n",
        &["test faults::waits::a_lost_create_whose_list_lags_is_never_made_twice"],
    ),
    mutant(
        "a lease is given the least time, whatever it says",
        LEASE,
        "let ttl_ms = held.ttl_ms();",
        "let ttl_ms = held.ttl_ms().min(TTL_MIN_MS);",
        &["test process::lease::a_short_lease_ttl_takes_no_living_lease"],
    ),
    mutant(
        "a burst in the dark",
        PACE,
        "const BLIND_BURST: u64 = 2;",
        "const BLIND_BURST: u64 = 20;",
        &["Pace"],
    ),
    mutant(
        "lost replies cost nothing",
        PACE,
        "*remaining = remaining.saturating_sub(1);",
        "*remaining = remaining.saturating_sub(0);",
        &["Pace"],
    ),
    // The list of a trigger.
    mutant(
        "only our entry is sent",
        BINDING,
        "place(&before, &entry, &position)",
        "vec![entry.clone()]",
        &["Foreign"],
    ),
    mutant(
        "unbinding empties the list",
        BINDING,
        "before.iter().filter(|bound| bound.action_id != id).cloned().collect()",
        "before.iter().take(0).cloned().collect()",
        &["Foreign"],
    ),
    mutant(
        "the others' order is turned round",
        "crates/core/src/kinds/binding_order.rs",
        "placed.insert(at.min(placed.len()), ours.clone());",
        "placed.reverse();\n    placed.insert(at.min(placed.len()), ours.clone());",
        &["Foreign", "Second"],
    ),
    // The lease.
    mutant(
        "a lease that is held is ignored",
        LEASE,
        "Some(held) => match wait_out(held, tenant, port).await? {",
        "Some(_) if ttl_ms > 0 => return Ok(Taken::Lease(lease)),\n                        Some(held) => match wait_out(held, tenant, port).await? {",
        &["Lease", "Twice"],
    ),
    mutant(
        "a living lease is taken over",
        LEASE,
        "Some(now) if now != held => return Ok(Some(now)),",
        "Some(now) if now != held && now.sid.is_empty() => return Ok(Some(now)),",
        &["test process::lease::a_living_lease_of_somebody_else_is_respected"],
    ),
    mutant(
        "the lease is kept",
        LEASE,
        "Some(sid) if !self.lost.get() => delete(sid, port).await,",
        "Some(sid) if !self.lost.get() && sid.is_empty() => delete(sid, port).await,",
        &["Lease", "Second"],
    ),
    // What became of a step whose reply was lost.
    mutant(
        "a Verify service is not looked up",
        "crates/core/src/kinds/verify_service.rs",
        "sends_custom_codes(run.desired, &seen)?;\n            Ok(Some(Done::seen(seen)))",
        "let _ = seen;\n            Ok(None)",
        &["test faults::waits::what_a_lost_create_made_is_taken_in_the_same_run"],
    ),
    mutant(
        "a log stream is not looked up",
        "crates/core/src/kinds/log_stream.rs",
        "[stream] => Ok(Some(Done::seen(parse(stream)))),",
        "[_] => Ok(None),",
        &["test faults::waits::what_a_lost_create_made_is_taken_in_the_same_run"],
    ),
    mutant(
        "an Action is not looked up",
        ACTION,
        "[action] => Ok(Some(written(self.read(action, name), secrets))),",
        "[_] => Ok(None),",
        &["test faults::waits::what_a_lost_create_made_is_taken_in_the_same_run"],
    ),
    mutant(
        "the ledger is not looked up",
        "crates/engine/src/store/tenant.rs",
        "all.find(|action| text(action, \"name\") == name)",
        "all.find(|_| false)",
        &["test faults::waits::what_a_lost_create_made_is_taken_in_the_same_run"],
    ),
    mutant(
        "the intent names nothing",
        "crates/engine/src/intent.rs",
        "creating.insert(step.address.clone(), before);",
        "drop(before);",
        &["Ledger", "Second", "Twice"],
    ),
    mutant(
        "a failed run forgets the one before it",
        RECORD,
        "if complete || !(self.unsettled || self.inherited) {",
        "if complete || !(self.unsettled && self.inherited) {",
        &["Ledger", "Second", "Twice"],
    ),
    mutant(
        "a reply of another shape is an empty list",
        "crates/core/src/kinds/reply.rs",
        "items.map(Vec::as_slice).ok_or_else(",
        "Some(items.map(Vec::as_slice).unwrap_or_default()).ok_or_else(",
        &["test fields::replies::a_reply_of_another_shape_is_not_believed"],
    ),
    // What waits, and what goes back.
    mutant(
        "the old way goes at once",
        "crates/core/src/plan/deferred.rs",
        "if due && (until == Until::Unused || path.delivers_unified()) {",
        "if until == Until::Unused || path.delivers_unified() || due {",
        &["Order"],
    ),
    mutant(
        "what is due goes unlooked at",
        "crates/core/src/plan/deferred.rs",
        "step.op.retires = true",
        "step.op.retires = false",
        &["test faults::migration::what_is_due_is_looked_at_again_right_before_it_goes"],
    ),
    mutant(
        "nothing is put back",
        "crates/engine/src/intent.rs",
        "restore.insert(resource.address.clone(), small(kind.restore(seen)));",
        "restore.insert(resource.address.clone(), small(kind.restore(seen)).into_iter().take(0).collect());",
        &["Ledger"],
    ),
    // Keys that the stack makes.
    mutant(
        "the former key goes before the new one is used",
        KEY,
        "vec![create]",
        "{ let sid = diff.seen.ids.get(\"sid\").cloned().unwrap_or_default(); \
         let mut gone = delete(diff.address, Verb::Update, &Key { generation: 0, sid, name: String::new() }); \
         gone.stage = Stage::Limits; \
         if diff.seen.exists { vec![create, gone] } else { vec![create] } }",
        &["Login"],
    ),
    mutant(
        "an orphan is kept",
        KEY,
        "let is_new = |key: &&Key| ",
        "let is_new = |key: &&Key| key.sid.is_empty() && ",
        &["Ledger"],
    ),
    mutant(
        "the secret of a key is put on record",
        KEY,
        "seen.attrs.insert(SECRET.into(), Value::Secret(secret));",
        "seen.ids.insert(SECRET.into(), secret.expose().to_owned()); \
         seen.attrs.insert(SECRET.into(), Value::Secret(secret));",
        &["Secret"],
    ),
    // Fields and fingerprints.
    mutant(
        "every value is as wanted",
        COMPARE,
        "(Value::Known(wanted), Some(Value::Known(there))) => is(wanted == there),",
        "(Value::Known(wanted), Some(Value::Known(there))) => is(wanted == there || there.is_string()),",
        &["Second", "Ledger"],
    ),
    mutant(
        "every secret is the one that was sent",
        COMPARE,
        "is(same_mark(stamp, mark) && prints.is_of(last, wanted))",
        "is(same_mark(stamp, mark) || prints.is_of(last, wanted))",
        &["Second"],
    ),
    mutant(
        "the mark of a secret is not remembered",
        COMPARE,
        "Some(prints.print(secret, stamp.clone()))",
        "Some(prints.print(secret, serde_json::json!([stamp])))",
        &["Second", "Twice"],
    ),
    mutant(
        "the ledger holds secrets",
        COMPARE,
        "Some(prints.print(secret, Json::Null))",
        "Some(Last::Print { print: secret.expose().to_owned(), keyed: None, stamp: Json::Null })",
        &["Secret"],
    ),
    // Too rare for a story: a test of their own, by its name.
    mutant(
        "a record that moved is not noticed",
        APPLY,
        "if !now.is_as(known) {",
        "if now.ledger.is_none() && !now.is_as(known) {",
        &["test faults::rivals::a_plan_from_before_another_run_is_made_anew"],
    ),
    mutant(
        "what a killed run made is taken for somebody else's",
        IDENTITY,
        "([one], ..) => Meant::One(*one, Whose::Resumed),",
        "([one], ..) => Meant::One(*one, Whose::Unowned),",
        &["test faults::kills::a_killed_apply_and_then_a_destroy_leave_the_former_world"],
    ),
    mutant(
        "what was there before is taken for our own",
        IDENTITY,
        "!before.iter().any(|there| there == id)",
        "!before.is_empty() || !id.is_empty()",
        &["test faults::post_login::what_was_there_before_an_unfinished_run_is_not_ours"],
    ),
    mutant(
        "another object in the place of ours is taken for ours",
        IDENTITY,
        "Meant::One(*one, Whose::Another)",
        "Meant::One(*one, Whose::Ours)",
        &["test fields::destroy::another_object_in_the_place_of_ours_is_taken_over_and_stays"],
    ),
    mutant(
        "a late record is believed",
        APPLY,
        "wishes.reread || observation.torn",
        "wishes.reread || (observation.torn && wishes.reread)",
        &["test faults::rivals::a_record_that_comes_late_is_not_of_one_piece_with_the_rest"],
    ),
    mutant(
        "any reply is good enough for a deletion",
        "crates/engine/src/reply.rs",
        "method == Method::Delete && reply.status != 204",
        "method == Method::Delete && reply.status > 299",
        &["test faults::single::a_destroy_goes_by_what_is_gone_and_not_by_a_friendly_reply"],
    ),
    mutant(
        "a lease without beats is relied on",
        "crates/core/src/port.rs",
        "fence_ms.is_some_and(|from_ms| from_ms <= now_ms)",
        "fence_ms.is_some_and(|from_ms| from_ms == 0)",
        &["test faults::rivals::without_beats_a_step_does_not_try_again"],
    ),
    mutant(
        "types come back by which codes may not come",
        "crates/core/src/plan/build.rs",
        "before.strands(after) =>",
        "before.strands(after) && false =>",
        &["test fields::destroy::types_by_which_codes_may_not_come_are_not_put_back"],
    ),
    mutant(
        "a file is written over, whatever stands there",
        "crates/core/src/model/place.rs",
        "if now.tag == expect {",
        "if now.tag == expect || true {",
        &["test faults::files::a_file_that_moved_before_the_result_stays_and_the_result_is_beside_it"],
    ),
    mutant(
        "owner by record alone",
        "crates/engine/src/store/mod.rs",
        "if proof != Proof::Sealed && !on_trust {",
        "if proof != Proof::Sealed && !on_trust && false {",
        &[
            "test faults::forged::what_only_a_record_without_proof_calls_ours_goes_when_it_is_named_and_not_before",
        ],
    ),
    mutant(
        "property not in the digest",
        "crates/core/src/kinds/log_stream.rs",
        "if let Some(start) = start_from {",
        "if let Some(start) = Some(\"2020-01-01T00:00:00Z\") {",
        &["test manifests::bodies::every_property_of_every_write_is_in_the_plan"],
    ),
    mutant(
        "code is sent as it stands",
        "crates/core/src/javascript.rs",
        "if let Some(error) = parsed.errors.first() {",
        "if let Some(error) = parsed.errors.first().filter(|_| false) {",
        &["test fields::post_login::code_that_cannot_run_is_refused_with_its_place"],
    ),
    mutant(
        "credentials are handed on untried",
        "crates/core/src/kinds/looks/handed_on.rs",
        "DEAD.contains(&code) => Answer::No",
        "DEAD.contains(&code) => Answer::Yes",
        &["test faults::credentials::a_wrong_secret_does_not_reach_a_sender_that_works"],
    ),
    mutant(
        "no probe before exposing",
        "crates/core/src/kinds/looks/handed_on.rs",
        "    taken?;\n",
        "    let _ = taken;\n",
        &["test faults::exposure::a_key_that_died_since_is_tried_before_users_are_sent_that_way"],
    ),
    mutant(
        "a refused binding is believed for good",
        BINDING,
        "refused.then_some(step)",
        "refused.then_some(step).filter(|_| false)",
        &["test faults::exposure::a_binding_that_was_refused_is_said_and_tried_again_until_it_is_taken"],
    ),
    mutant(
        "a service goes while others send through it",
        BUILD,
        "let used = used_objects(basis, steps);",
        "let used: BTreeMap<Address, String> = used_objects(basis, steps).into_iter().take(0).collect();",
        &["test faults::two_stacks::a_service_that_an_action_which_stays_sends_through_is_not_deleted"],
    ),
    mutant(
        "what other stacks have on record is not looked at",
        "crates/core/src/plan/claims.rs",
        "others.iter().find(breaks)",
        "others.iter().take(0).find(breaks)",
        &["test faults::two_stacks::what_another_stack_has_on_record_since_stays_when_the_first_goes"],
    ),
    mutant(
        "the phone is the last factor that goes where codes may not arrive",
        BUILD,
        "!(is_unsure && phone(step, false))",
        "(is_unsure && phone(step, false))",
        &["test fields::parts::factors_go_together_while_the_binding_is_refused"],
    ),
    mutant(
        "who sends is not looked at where others do",
        "crates/engine/src/observe.rs",
        "let senders = leaves && delivery;",
        "let senders = !leaves && delivery;",
        &["test fields::parts::the_phone_is_switched_on_where_others_can_send"],
    ),
    mutant(
        "who sends is not looked at again where others do",
        "crates/core/src/kinds/looks/delivery.rs",
        "if is_of_others(run) {",
        "if !is_of_others(run) {",
        &["test fields::parts::what_others_take_away_since_the_plan_keeps_the_phone_off"],
    ),
    mutant(
        "messages are handed to an Action of others that is gone",
        "crates/core/src/kinds/looks/delivery.rs",
        "stands.iter().all(|fact| facts.has(fact))",
        "!stands.iter().all(|fact| facts.has(fact))",
        &["test fields::parts::a_provider_of_ours_hands_messages_to_an_action_of_others"],
    ),
    mutant(
        "the record takes a place that the tenant does not have",
        "crates/engine/src/observe.rs",
        "(count >= 100).then(",
        "(count > 100).then(",
        &["test fields::parts::a_full_tenant_has_no_room_for_the_record"],
    ),
    mutant(
        "Actions of others are not looked at while another Action of this stack is there",
        "crates/core/src/kinds/guards.rs",
        "Some(_) => !is_ours(&PHONE),",
        "Some(_) => !is_ours(&PHONE) && !is_ours(&LEGACY),",
        &["test fields::parts::the_legacy_action_of_this_stack_is_not_the_one_that_the_provider_needs"],
    ),
    mutant(
        "a service goes that others may have been told of",
        "crates/core/src/plan/others.rs",
        "sender::may_know(basis.seen, sid, made_at).next()?",
        "sender::may_know(basis.seen, sid, made_at).take(0).next()?",
        &["test fields::parts::a_service_stays_that_others_may_have_been_told_of"],
    ),
    mutant(
        "without phone the legacy Action does not wait",
        BUILD,
        "!deferred::has_phone(basis) && is_ahead(",
        "deferred::has_phone(basis) && is_ahead(",
        &["test fields::parts::the_legacy_action_waits_its_day_also_when_phone_leaves_the_manifest"],
    ),
    mutant(
        "a lost create is noted once or not at all",
        RECORD,
        "(true, _) => &intent::UNTIL_SHOWN_MS",
        "(true, _) => &[]",
        &["test faults::waits::a_lost_create_is_noted_although_the_record_refuses_at_first"],
    ),
    mutant(
        "what a killed destroy put back stays on record as ours",
        RECORD,
        ".filter(|old| !is_back(field, old))",
        ".filter(|old| !is_back(field, old) || true)",
        &["test fields::destroy::what_a_killed_destroy_put_back_is_not_recorded_as_ours"],
    ),
    mutant(
        "name with line break",
        "crates/core/src/model/text.rs",
        "if steers(ch) { ' ' } else { ch }",
        "if steers(ch) && ch != '\\n' { ' ' } else { ch }",
        &["test fields::hostile::no_field_of_any_reply_writes_a_line_of_ours"],
    ),
    mutant(
        "a rollback writes over what others changed",
        "crates/core/src/plan/rollback.rs",
        "if is_left(former, recorded.and_then(|entry| entry.fields.get(field)), &there) => {",
        "if is_left(former, recorded.and_then(|entry| entry.fields.get(field)), &there) || true => {",
        &["test faults::rollback::what_somebody_else_changed_since_is_left"],
    ),
    mutant(
        "an earlier version runs again with secrets that nobody can prove",
        "crates/core/src/kinds/action/earlier.rs",
        "match unproven(back, earlier) {",
        "match unproven(back, earlier).filter(|_| false) {",
        &["test faults::rollback::a_replaced_secret_stays_and_the_old_code_gets_it"],
    ),
    mutant(
        "a rollback forgets what it takes back",
        APPLY,
        "if !self.session.rollback {",
        "if true {",
        &["test faults::rollback::a_rollback_that_was_killed_anywhere_is_finished_by_the_next"],
    ),
    // The watch after an apply.
    mutant(
        "a blocked number turns a run back",
        "crates/core/src/health/mod.rs",
        "Some(Blame::Number) => &mut counts.numbers,",
        "Some(Blame::Number) => &mut counts.setup,",
        &["Watch"],
    ),
    mutant(
        "a watch ends with its first look",
        WATCH,
        "|| !fails && now_ms >= until_ms || refused {",
        "|| !fails || refused {",
        &["Watch"],
    ),
    mutant(
        "the time of a watch begins with the version",
        RECORD,
        "watch.ms += now_ms.saturating_sub(watch::millis(&watch.since));",
        "",
        &["test faults::watch::a_watch_lasts_its_whole_time_from_the_end_of_its_run_on"],
    ),
    mutant(
        "a watch that was stopped forgets the run",
        WATCH,
        "Some(settled.unwrap_or_else(|failed| unwatched(&failed, since, port)))",
        "let _ = since;\n            Some(settled?)",
        &["Watch"],
    ),
    // What is accepted, what is reviewed, what is reported and what is adopted: functions of data, each with a test.
    mutant(
        "an accepted value covers every other one",
        ACCEPT,
        "match accept.covers(change.old.as_ref()) {",
        "match accept.covers(change.old.as_ref()) || true {",
        &["test process::accept::the_line_of_drift_makes_drift_clean"],
    ),
    mutant(
        "what is accepted is accepted for ever",
        ACCEPT,
        "true if accept.is_over(today) => Fate::Over,",
        "true if accept.is_over(today) && false => Fate::Over,",
        &["test fields::accept::the_last_day_counts_whole_and_the_next_one_does_not"],
    ),
    mutant(
        "a write of another field takes an accepted value back",
        ACCEPT,
        "Some(there) => drop(want.desired.insert(field.clone(), there.clone())),",
        "Some(_) => {}",
        &["test process::accept::an_explained_request_leaves_the_accepted_value"],
    ),
    mutant(
        "the digest of a plan leaves out what was observed",
        DIGEST,
        "json!([seen.exists, seen.not_read, seen.ids, attrs])",
        "json!([seen.exists, seen.not_read, seen.ids, attrs.len()])",
        &["test digests::a_wanted_an_observed_and_a_recorded_value_each_change_the_digest"],
    ),
    mutant(
        "a secret that the tenant shows is in the digest of a plan",
        DIGEST,
        "Json::String(text) if secrets.contains(text.as_str()) =>",
        "Json::String(text) if secrets.contains(text.as_str()) && false =>",
        &["test digests::a_secret_that_the_tenant_shows_does_not_count_by_its_value"],
    ),
    mutant(
        "Markdown leaves out more than it says",
        MARKDOWN,
        "let more = self.items.len() - shown.len();",
        "let more = (self.items.len() - shown.len()) / 2;",
        &[
            "test process::largest::markdown_of_the_largest_stack_keeps_its_limit_and_counts_what_it_leaves_out",
        ],
    ),
    mutant(
        "a name of others ends a code span",
        MARKDOWN,
        "let fence = \"`\".repeat(ticks(&line) + 1);",
        "let fence = \"`\".repeat(ticks(&line).min(1) + 1);",
        &["test forms::hostile::a_text_of_others_changes_nothing_but_its_own_cell"],
    ),
    mutant(
        "a service is not adopted for its name",
        "crates/core/src/adopt/doc.rs",
        "field.required && field.unless.is_empty() ||",
        "field.required ||",
        &["test adopt::hostile::a_service_whose_name_cannot_be_said_is_adopted_by_its_sid"],
    ),
    mutant(
        "an id of this tenant is adopted as a plain text",
        "crates/core/src/adopt/mod.rs",
        "Some(name) => Said::Reference(name),",
        "Some(_) => said,",
        &["test adopt::reproduced::an_adopted_manifest_makes_its_world_again"],
    ),
];
