//! Tests of the final messages of a destroy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::lab::{Folder, Proxy, QUICKSTART, Site, Twin, json_reply};

/// The documentation does not say whether the API removes a key from an object when a write omits it, so the reply
/// decides.
#[test]
fn what_the_tenant_keeps_of_what_was_to_go_is_said_at_the_end() {
    let (folder, twin) = (Folder::new(), Twin::start());
    let keeps = Arc::new(AtomicBool::new(false));
    let told = keeps.clone();
    let proxy = Proxy::start(&twin, move |asked, forward| {
        let reply = forward();
        if told.load(Ordering::SeqCst) && asked.is("PATCH", "auth0", "/api/v2/branding") {
            return json_reply(200, "", &json!({ "colors": { "primary": "#112233" } }));
        }
        reply
    });
    let site = Site::new(&twin, 1).through(&proxy);
    let text = std::fs::read_to_string(QUICKSTART).expect("the quickstart");
    let manifest =
        folder.write("branded.yaml", &(text + "\nbranding: { colors: { primary: \"#112233\" } }\n"));
    site.lockstep("apply", &manifest, &["--yes"]).run().expect(0);
    keeps.store(true, Ordering::SeqCst);
    let run = site.lockstep("destroy", &manifest, &["--yes"]).run().expect(0);
    assert!(run.out.contains("Done: the stack is taken away, by "), "{}", run.out);
    let kept = "stays: branding: colors.primary is still \"#112233\" and not gone: the tenant kept it";
    assert!(run.out.contains(kept), "{}", run.out);
}
