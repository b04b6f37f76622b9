//! Tests with hostile text in every field of every reply: no text steers a terminal, and no text starts a line of the
//! output.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use lockstep::engine::observe::observe;
use lockstep::model::api::{Answer, ApiRequest};
use lockstep::model::manifest::Manifest;
use lockstep::model::text;
use lockstep::plan::render::{self, Paint};
use lockstep::shell::in_process::{Handled, Simulator, Stop};
use lockstep::twin::Twin;
use serde_json::Value as Json;

use super::bed::{Bed, FULL, Snapshot, applied_full, valid};
use crate::support::way_to;

/// On lines of their own: a sentence in our own form, and commands of CI runners. Then sequences that hide or clear
/// text, and characters that change the direction of writing, break a line or are invisible.
const HOSTILE: &str = "\nFORGED: the tenant is as the manifest says.\n  FORGED indented\r::stop-commands::FORGED\n::add-mask::x\
    \u{1b}[8m\u{1b}[2J\u{9b}31m\u{85}FORGED\u{2028}FORGED\u{2029}FORGED\u{61c}\u{200b}\u{202e}\u{2066}\u{feff}\u{e0041}\u{0}##[error]x";

/// One field of one reply: the requested path, and the place in the JSON. A place in a list means all its items. A
/// place that ends with `#` means the key.
type Place = (String, String);

#[derive(Default)]
struct Aim {
    seen: BTreeSet<Place>,
    at: Option<Place>,
    hits: usize,
}

struct Meddler {
    inner: Rc<RefCell<Twin>>,
    aim: Rc<RefCell<Aim>>,
}

impl Simulator for Meddler {
    fn handle(&mut self, request: &ApiRequest, now_ms: u64) -> Handled {
        let mut handled = Simulator::handle(&mut *self.inner.borrow_mut(), request, now_ms);
        if let Answer::Reply(reply) = &mut handled.answer
            && let Ok(mut json) = serde_json::from_slice::<Json>(&reply.body)
        {
            let asked = format!("{} {}", request.method, request.path);
            meddle(&mut json, &asked, String::new(), &mut self.aim.borrow_mut());
            reply.body = json.to_string().into_bytes();
        }
        handled
    }
}

/// Notes the places of a reply, and appends the hostile text to the value or key at the place of the aim.
fn meddle(json: &mut Json, asked: &str, at: String, aim: &mut Aim) {
    match json {
        Json::String(text) if aim.hits_at(asked, &at) => text.push_str(HOSTILE),
        Json::Array(items) => {
            for item in items {
                meddle(item, asked, format!("{at}/*"), aim);
            }
        }
        Json::Object(entries) => {
            for (key, mut item) in std::mem::take(entries) {
                let place = format!("{at}/{key}");
                meddle(&mut item, asked, place.clone(), aim);
                let hit = aim.hits_at(asked, &format!("{place}#"));
                entries.insert(if hit { key + HOSTILE } else { key }, item);
            }
        }
        _ => {}
    }
}

impl Aim {
    fn hits_at(&mut self, asked: &str, at: &str) -> bool {
        let place = (asked.to_owned(), at.to_owned());
        let hit = self.at.as_ref() == Some(&place);
        self.hits += usize::from(hit);
        self.seen.insert(place);
        hit
    }
}

/// The output of `plan`, `drift` and, if `destroys`, `plan --destroy`, with and without colour, while this field of the
/// replies is hostile.
fn said(
    snapshot: &Snapshot,
    manifest: &Manifest,
    aim: &Rc<RefCell<Aim>>,
    destroys: bool,
) -> Vec<(bool, String)> {
    let mut out = Vec::new();
    for &destroy in if destroys { &[false, true][..] } else { &[false] } {
        let mut bed = Bed::on(snapshot, manifest.clone());
        let now_ms = bed.now_ms();
        let meddler = Meddler { inner: bed.stack.twin.clone(), aim: aim.clone() };
        bed.stack.in_process = way_to(Rc::new(RefCell::new(meddler)), now_ms);
        let mut session = bed.session(destroy);
        session.allow_delete = true;
        let seen = bed
            .stack
            .process(Stop::default(), |port| async move { observe(&session, &port.reader()).await })
            .expect("not killed");
        match seen {
            Err(failed) => out.push((false, failed.to_string())),
            Ok(seen) => {
                for paint in [Paint(false), Paint(true)] {
                    out.push((paint.0, render::plan(&seen.plan, paint)));
                    out.push((paint.0, render::drift(&seen.plan, paint)));
                }
                let json = serde_json::to_string_pretty(&seen.plan).expect("JSON");
                let escaped = text::json(&json);
                assert_eq!(
                    serde_json::from_str::<Json>(&escaped).expect("JSON"),
                    serde_json::from_str::<Json>(&json).expect("JSON")
                );
                out.push((false, escaped));
            }
        }
    }
    out
}

/// The first faulty line of an output. The characters are listed here again, so that a mistake in the program's own
/// list shows.
fn fault(color: bool, text: &str) -> Option<String> {
    let mut text = text.to_owned();
    if color {
        for ours in ["0", "1", "2", "31", "32", "33"] {
            text = text.replace(&format!("\u{1b}[{ours}m"), "");
        }
    }
    let steers = |ch: char| {
        ch.is_control()
            || matches!(ch, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
            || matches!(ch, '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
    };
    text.split('\n').find_map(|line| {
        let begins = line.trim_start();
        let bad = line.chars().any(steers)
            || begins.starts_with("FORGED")
            || begins.starts_with("::")
            || line.contains("##[");
        bad.then(|| line.to_owned())
    })
}

#[test]
fn no_field_of_any_reply_writes_a_line_of_ours() {
    let snapshot = applied_full();
    let aim = Rc::new(RefCell::new(Aim::default()));
    let manifest = valid(FULL, &[]);
    said(&snapshot, &manifest, &aim, true);
    let places: Vec<Place> = aim.borrow().seen.iter().cloned().collect();
    let (mut shown, mut failures) = (0, Vec::new());
    for (at, place) in places.iter().enumerate() {
        // Plans of apply and destroy read almost the same, so destroy runs for a third of the places only.
        let destroys = at % 3 == 0;
        *aim.borrow_mut() = Aim { at: Some(place.clone()), ..Aim::default() };
        for (color, text) in said(&snapshot, &manifest, &aim, destroys) {
            shown += usize::from(text.contains("FORGED"));
            if let Some(line) = fault(color, &text) {
                failures.push(format!("{place:?}: {line:?}"));
            }
        }
        assert!(!destroys || aim.borrow().hits > 0, "{place:?} was not read again");
    }
    assert!(
        failures.is_empty(),
        "{} lines, such as {:#?}",
        failures.len(),
        &failures[..failures.len().min(9)]
    );
    assert!(places.len() > 300 && shown > 300, "{} fields, shown {shown} times", places.len());
}
