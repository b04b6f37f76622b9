//! Tables of what the log says and what follows from it.

use serde_json::{Value as Json, json};

use super::{Blame, LogEvent, What};
use super::{Running, asks_for_before, blame, count, judge};
use crate::model::health::{Counts, Health, Verdict};

fn running() -> Running {
    [("action-1".to_owned(), "version-2".to_owned())].into()
}

/// Events as the log shows them, one a second.
#[derive(Default)]
struct Log(Vec<Json>);

impl Log {
    fn event(mut self, kind: &str, user: &str, details: Json) -> Log {
        let (at, id) =
            (format!("2026-11-20T10:{:02}:{:02}Z", self.0.len() / 60, self.0.len() % 60), self.0.len());
        let user = if user.is_empty() { Json::Null } else { json!(user) };
        self.0.push(json!({ "log_id": id.to_string(), "date": at, "type": kind, "user_id": user, "details": details }));
        self
    }

    fn sent(self, people: usize) -> Log {
        (0..people).fold(self, |log, n| log.event("gd_send_sms", &format!("auth0|well-{n}"), json!({})))
    }

    /// So many people whose message fails with that code.
    fn failed(self, people: usize, code: u32) -> Log {
        (0..people).fold(self, |log, n| log.failed_for(&format!("auth0|ill-{n}"), code))
    }

    fn failed_for(self, user: &str, code: u32) -> Log {
        self.event("gd_send_sms_failure", user, json!({ "failure_details": { "errorCode": code } }))
    }

    fn crashed(self, version: &str, user: &str) -> Log {
        self.event(
            "actions_execution_failed",
            user,
            json!({ "action_id": "action-1", "version_id": version }),
        )
    }

    fn counts(self) -> Counts {
        let events: Vec<LogEvent> = self.0.iter().filter_map(LogEvent::of).collect();
        assert_eq!(events.len(), self.0.len(), "every event is read");
        count(&events, &running())
    }

    fn judged(self, before: Option<Log>) -> Health {
        judge(self.counts(), before.map(Log::counts), (String::new(), String::new()))
    }
}

#[test]
fn verdicts() {
    use Verdict::{Failing, Healthy, TooFew};
    let log = Log::default;
    let calm = || Some(log().sent(100));
    let rows: [(&str, Log, Option<Log>, Verdict); 27] = [
        ("nothing was seen", log(), None, TooFew),
        ("one message is enough", log().sent(1), None, Healthy),
        ("an execution of this version", log().sent(50).crashed("version-2", "auth0|x"), None, Failing),
        ("an execution of the former version", log().sent(1).crashed("version-1", "auth0|x"), None, Healthy),
        ("an execution without its version", log().crashed("", "auth0|x"), None, Failing),
        ("dead credentials", log().sent(50).failed(1, 20003), None, Failing),
        ("a closed account", log().failed(1, 20403), None, Failing),
        ("no such service", log().failed(1, 20404), None, Failing),
        ("no custom codes", log().failed(1, 60204), None, Failing),
        ("no such channel", log().failed(1, 60223), None, Failing),
        ("a key without the permission", log().failed(1, 70051), None, Failing),
        ("one blocked number", log().failed(1, 60410), calm(), TooFew),
        ("nineteen people of nineteen", log().failed(19, 60200), calm(), TooFew),
        ("twenty people of twenty", log().failed(20, 60200), calm(), Failing),
        ("a burst for one number", log().sent(3).burst(60, 60410), calm(), Healthy),
        ("a burst of one person besides many", log().sent(30).burst(500, 60203), calm(), Healthy),
        ("four of many, and none before", log().sent(40).failed(4, 60605), calm(), Healthy),
        ("five of many, and none before", log().sent(40).failed(5, 60605), calm(), Failing),
        (
            "twice the share",
            log().sent(80).failed(20, 60605),
            Some(log().sent(90).failed(10, 60605)),
            Failing,
        ),
        ("below twice", log().sent(81).failed(19, 60605), Some(log().sent(90).failed(10, 60605)), Healthy),
        ("the time before was not read", log().sent(1).failed(40, 60605), None, Healthy),
        ("too few before", log().sent(1).failed(40, 60605), Some(log().sent(19)), Healthy),
        ("a code that nobody knows, once", log().sent(1).failed(1, 60999), calm(), Healthy),
        ("a code that nobody knows, for all", log().failed(30, 60999), calm(), Failing),
        ("who gets it at last counts as reached", log().failed(30, 60203).all_reached(30), calm(), Healthy),
        ("thrown for a blocked number", log().thrown(60410), calm(), TooFew),
        (
            "thrown, and nobody knows why",
            log().crashed("version-2", "auth0|a").no_code("auth0|a"),
            calm(),
            Failing,
        ),
    ];
    for (what, now, before, verdict) in rows {
        let judged = now.judged(before);
        assert_eq!(judged.verdict, verdict, "{what}: {judged:?}");
        assert_eq!(judged.reasons.is_empty(), verdict == Healthy, "{what} is told why");
    }
}

impl Log {
    fn burst(self, messages: usize, code: u32) -> Log {
        (0..messages).fold(self, |log, _| log.failed_for("auth0|one", code))
    }

    fn all_reached(self, people: usize) -> Log {
        (0..people).fold(self, |log, n| log.event("gd_send_voice", &format!("auth0|ill-{n}"), json!({})))
    }

    /// Code of the older trigger has to throw to report that a message failed.
    fn thrown(self, code: u32) -> Log {
        self.crashed("version-2", "auth0|a").failed_for("auth0|a", code)
    }

    fn no_code(self, user: &str) -> Log {
        self.event("gd_send_sms_failure", user, json!({ "failure_details": { "message": "TypeError" } }))
    }
}

#[test]
fn a_failed_message_explains_one_execution_of_the_same_person() {
    let twice = Log::default().thrown(60410).crashed("version-2", "auth0|a").counts();
    assert_eq!((twice.explained, twice.executions), (1, 1));
    let another = Log::default().crashed("version-2", "auth0|b").failed_for("auth0|a", 60410).counts();
    assert_eq!((another.explained, another.executions), (0, 1));
    let nobody = Log::default().crashed("version-2", "").failed_for("auth0|a", 60410).counts();
    assert_eq!((nobody.explained, nobody.executions), (1, 0));
}

#[test]
fn the_former_version_is_no_better_if_it_ended_with_the_set_up() {
    let now = || Log::default().failed(1, 20003);
    assert!(now().judged(Some(Log::default().sent(30))).is_new);
    assert!(now().judged(None).is_new);
    assert!(!now().judged(Some(Log::default().sent(30).failed(1, 20003))).is_new);
    assert!(now().judged(Some(Log::default().failed(1, 20003).sent(1))).is_new, "it was mended since");
    assert!(now().crashed("version-2", "").judged(Some(Log::default().failed(1, 20003))).is_new);
}

#[test]
fn the_time_before_is_read_only_where_it_decides() {
    for (log, asks) in [
        (Log::default().sent(100), false),
        (Log::default().sent(100).failed(4, 60410), false),
        (Log::default().sent(15).failed(5, 60410), true),
        (Log::default().failed(1, 20003), true),
        (Log::default().crashed("version-2", ""), false),
    ] {
        let counts = log.counts();
        assert_eq!(asks_for_before(&counts), asks, "{counts:?}");
    }
}

#[test]
fn each_code_of_the_table_blames_what_it_has_to() {
    for code in [20003, 20403, 20404, 60204, 60223, 70051] {
        assert_eq!(blame(code), Some(Blame::Setup), "{code}");
    }
    for code in [60200, 60202, 60203, 60205, 60212, 60238, 60410, 60605] {
        assert_eq!(blame(code), Some(Blame::Number), "{code}");
    }
    assert_eq!(blame(60999), None);
}

/// Published types and examples disagree on where the code is, and what it is.
#[test]
fn a_code_is_read_wherever_an_event_has_it() {
    let unified = crate::builtin::source("twilio-verify").unwrap_or_default();
    assert!(
        unified.contains("`Twilio Verify answered HTTP ${status}${code ? `, code ${code}` : ''}"),
        "the reason of ours"
    );
    for (details, code) in [
        (json!({ "failure_details": { "errorCode": 60204 } }), Some(60204)),
        (json!({ "failure_details": { "errorCode": "60204" } }), Some(60204)),
        (json!({ "provider_error": { "errorCode": 60204 } }), Some(60204)),
        (json!({ "provider_error": { "code": 60204 } }), Some(60204)),
        (json!({ "error": { "code": "60204" } }), Some(60204)),
        (
            json!({ "error": "Twilio Verify answered HTTP 403, code 60204: custom codes are off" }),
            Some(60204),
        ),
        (
            json!({ "failure_details": { "message": "Twilio Verify answered HTTP 403, code 60204" } }),
            Some(60204),
        ),
        // A text of others decides nothing, whatever number it holds.
        (json!({ "failure_details": { "message": "error 20003 for +15005550006" } }), None),
        (json!({ "failure_details": { "message": "Twilio Verify answered HTTP 503" } }), None),
        (json!({ "failure_details": { "errorCode": "*****" } }), None),
        (json!({ "failure_details": { "errorCode": 403 } }), None),
        (json!({ "failure_details": null }), None),
        (json!(null), None),
        (json!("a text"), None),
    ] {
        let flat = json!({ "log_id": "1", "date": "2026-11-20T10:00:00.123Z", "type": "gd_send_voice_failure", "details": details });
        let inside = json!({ "log_id": "1", "data": flat });
        for event in [flat.clone(), inside] {
            let read = LogEvent::of(&event).expect("an event");
            assert_eq!(read.what, What::NotSent(code), "{event}");
        }
    }
}

#[test]
fn a_second_report_of_a_message_counts_only_if_it_blames_the_set_up() {
    let told = |code: u32| {
        Log::default()
            .event("fn", "auth0|a", json!({ "to": "+15005550006", "error": { "code": code } }))
            .counts()
    };
    assert_eq!((told(60410).failed, told(60410).people), (0, 0));
    let (failed, setup) = (told(20003).failed, told(20003).setup);
    assert_eq!((failed, setup), (0, [(20003, 1)].into()));
}

#[test]
fn events_that_say_nothing_are_left_out() {
    for event in [
        json!(null),
        json!([]),
        json!({ "type": "gd_send_sms", "date": "2026-11-20T10:00:00Z" }),
        json!({ "log_id": "1", "type": "gd_send_sms" }),
        json!({ "log_id": "1", "type": "gd_send_sms", "date": "yesterday" }),
        json!({ "log_id": "1", "type": "s", "date": "2026-11-20T10:00:00Z" }),
    ] {
        assert_eq!(LogEvent::of(&event), None, "{event}");
    }
}

#[test]
fn a_line_says_what_was_seen() {
    let line = |log: Log| log.counts().line();
    assert_eq!(line(Log::default()), "0 messages sent, none failed, no failed execution");
    let busy = Log::default()
        .sent(2)
        .failed(1, 60410)
        .failed(1, 20003)
        .crashed("version-2", "auth0|z")
        .crashed("version-1", "");
    assert_eq!(
        line(busy.no_code("auth0|y")),
        "2 messages sent, 3 failed (set-up 20003: 1; numbers and users 60410: 1; without a code: 1), \
         1 failed execution, 1 of other versions"
    );
}
