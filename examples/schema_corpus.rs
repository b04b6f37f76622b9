//! Writes manifests with and without one structural mistake, one JSON line each, for validators of others:
//! `{"manifest": …, "mistake": null, "accepted": true, "unsaid": null}`. `unsaid` is the reason why a schema cannot say
//! the mistake.
//!
//! Run it: cargo run --example schema_corpus -- 10000

use std::io::Write as _;

use serde_json::json;

#[path = "../tests/schemas/corpus.rs"]
mod corpus;

fn main() -> std::io::Result<()> {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(10_000);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for number in 0..count {
        let corpus::Drawn { manifest, mistake, accepted } = corpus::drawn(number);
        let unsaid = mistake
            .as_ref()
            .and_then(|(name, _)| corpus::UNSAID.iter().find(|(unsaid, _)| unsaid == name))
            .map(|(_, reason)| *reason);
        let line =
            json!({ "manifest": manifest, "mistake": mistake, "accepted": accepted, "unsaid": unsaid });
        writeln!(out, "{line}")?;
    }
    out.flush()
}
