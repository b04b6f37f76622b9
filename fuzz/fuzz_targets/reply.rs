//! Replies of both APIs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lockstep::engine::reply;
use lockstep::kinds::{action, log_stream, phone_provider, phone_template, trigger_binding};
use lockstep::model::api::ApiReply;
use lockstep::model::scrub::Scrubber;
use lockstep::model::secret::{Origin, Secret};

fuzz_target!(|data: &[u8]| {
    let mut scrubber = Scrubber::default();
    scrubber.learn(&Secret::new("A-Secret-7f1c9b", Origin::Person));
    let answer = ApiReply { status: 400, headers: Vec::new(), body: data.to_vec() };
    let (code, message) = reply::message(&answer, &scrubber);
    for text in code.iter().chain([&message]) {
        assert!(!text.contains("A-Secret-7f1c9b") && !text.chars().any(char::is_control), "{text:?}");
    }
    let Ok(json) = reply::json_of(data) else { return };
    action::parse(&json);
    let _ = action::items(&json);
    let _ = trigger_binding::parse(&json);
    log_stream::parse(&json);
    phone_provider::parse(&json);
    phone_template::parse(&json);
});
