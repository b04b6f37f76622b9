//! Tests that an adopted manifest makes its world again, for worlds that the simulation's manifests make.

use lockstep::engine::apply::Ended;
use lockstep::model::plan::Verb;
use lockstep::twin::World;

use super::lab::{
    Values, adopted, applied, observed, options_of, read, stack_on, without_pins, without_record,
};
use super::worlds::{differences, picture};
use crate::simulation::dice::Dice;
use crate::simulation::manifests::{self, Draft};
use crate::support::{Stack, core_manifest, function_manifest};

/// Worlds of the default run; `LOCKSTEP_ADOPT_SEEDS` asks for more.
const SEEDS: u64 = 24;

pub fn seeds() -> std::ops::Range<u64> {
    let asked = std::env::var("LOCKSTEP_ADOPT_SEEDS").ok().and_then(|text| text.parse().ok());
    0..asked.unwrap_or(SEEDS)
}

/// The world that a drawn manifest makes of an empty tenant; `None` if that manifest cannot be applied to one.
pub fn drawn(seed: u64) -> Option<(World, bool)> {
    let mut dice = Dice::new(seed).fork("adopt");
    let is_legacy = dice.chance(25);
    let mut draft = Draft::draw(&mut dice, "story", is_legacy);
    // The keys that a stack makes are its own: nobody adopts them, and the key of this tenant's reconciler may make none.
    draft.minted = false;
    let mut stack = Stack::new(options_of(is_legacy), core_manifest());
    stack.env = manifests::env();
    let manifest = draft.parse(&manifests::env()).expect("drawn manifests are valid");
    let outcome = applied(&mut stack, manifest);
    (outcome.ended == Ended::Done).then(|| (without_record(&stack), is_legacy))
}

/// What an apply of a manifest makes of an empty tenant and account.
pub fn made_of(manifest: lockstep::model::manifest::Manifest, is_legacy: bool) -> World {
    let mut stack = Stack::new(options_of(is_legacy), core_manifest());
    // Other ids and other domains than in the first world.
    stack.twin.borrow_mut().world = World::new(4711);
    let outcome = applied(&mut stack, manifest);
    assert_eq!(outcome.ended, Ended::Done, "{outcome:?}");
    without_record(&stack)
}

#[test]
fn an_adopted_manifest_makes_its_world_again() {
    let mut worlds = 0;
    for seed in seeds() {
        let Some((world, is_legacy)) = drawn(seed) else { continue };
        worlds += 1;
        let mut stack = stack_on(world.clone(), is_legacy);
        // The defaults of names depend on the stack's name, so both cases are tried.
        let adopted = adopted(&mut stack, if seed % 2 == 0 { "story" } else { "other" });
        assert!(!stack.twin.borrow().log().iter().any(|entry| entry.wrote), "seed {seed}");
        let values = Values::of(&adopted, &world);
        let again = made_of(read(&without_pins(&adopted.manifest), &values), is_legacy);
        let differ = differences(&picture(&world), &picture(&again));
        assert!(differ.is_empty(), "seed {seed}:\n{}\n{}", differ.join("\n"), adopted.manifest);
    }
    assert!(worlds * 2 >= seeds().count(), "only {worlds} worlds");
}

#[test]
fn the_plan_of_an_adopted_manifest_only_adopts() {
    for seed in seeds() {
        let Some((world, is_legacy)) = drawn(seed) else { continue };
        let mut stack = stack_on(world.clone(), is_legacy);
        let adopted = adopted(&mut stack, "adopted");
        let values = Values::of(&adopted, &world);
        let plan = observed(&mut stack, read(&adopted.manifest, &values)).plan;
        let blockers: Vec<String> =
            plan.blockers().map(|one| format!("{}: {}", one.address, one.text)).collect();
        assert!(blockers.is_empty(), "seed {seed}: {blockers:?}\n{}", adopted.manifest);
        let others: Vec<String> = plan
            .resources
            .iter()
            .filter(|one| !matches!(one.verb, Verb::Adopt | Verb::NoOp))
            .map(|one| format!("{} {:?} {:?}", one.address, one.verb, one.changes))
            .collect();
        assert!(others.is_empty() && plan.steps.is_empty(), "seed {seed}: {others:#?}\n{}", adopted.manifest);
    }
}

#[test]
fn an_empty_manifest_does_not_make_the_world_again() {
    let mut told = 0;
    for seed in 0..4 {
        let Some((world, is_legacy)) = drawn(seed) else { continue };
        let mut empty = Stack::new(options_of(is_legacy), core_manifest());
        let nothing = "lockstep: v1\nstack: x\nauth0: { domain: \"${env.AUTH0_DOMAIN}\", client_id: \"${env.AUTH0_CLIENT_ID}\", \
                       client_secret: \"${env.AUTH0_CLIENT_SECRET}\" }\ntwilio: { account_sid: \"${env.TWILIO_ACCOUNT_SID}\", \
                       api_key: \"${env.TWILIO_API_KEY}\", api_secret: \"${env.TWILIO_API_SECRET}\" }\n";
        empty.text = nothing.into();
        let manifest = crate::support::manifest_of(nothing, &empty.env);
        let again = made_of(manifest, is_legacy);
        told += usize::from(!differences(&picture(&world), &picture(&again)).is_empty());
    }
    assert!(told >= 2, "the comparison cannot fail");
}

#[test]
fn the_shipped_manifests_come_back() {
    for text in [core_manifest(), function_manifest()] {
        let mut stack = Stack::new(options_of(false), text);
        stack.applied();
        let world = without_record(&stack);
        let mut stack = stack_on(world.clone(), false);
        let adopted = adopted(&mut stack, "acme-login");
        assert!(adopted.left.is_empty() && adopted.changes.is_empty(), "{}", adopted.manifest);
        let values = Values::of(&adopted, &world);
        let again = made_of(read(&without_pins(&adopted.manifest), &values), false);
        assert_eq!(differences(&picture(&world), &picture(&again)), Vec::<String>::new());
    }
}
