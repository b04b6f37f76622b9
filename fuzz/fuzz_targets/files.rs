//! Worlds of the twin and saved plans.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lockstep::model::plan::Plan;
use lockstep::plan::render::{self, Paint};
use lockstep::twin::Twin;

fuzz_target!(|data: &[u8]| {
    if let Ok(json) = serde_json::from_slice(data) {
        if let Ok(twin) = Twin::from_json(json) {
            twin.to_json();
            twin.picture(1_795_132_800_000);
        }
    }
    if let Ok(plan) = serde_json::from_slice::<Plan>(data) {
        let drawn = render::plan(&plan, Paint(false)) + &render::drift(&plan, Paint(true));
        assert!(drawn.len() < 1_000 * data.len() + 100_000);
    }
});
