//! Reads a part of the tenant log.
//!
//! By search: a query of kinds and dates, in pages of a hundred, up to a thousand events ("Auth0 docs, Retrieve log
//! events using the Management API", 2026-08). What comes back is judged by its own kind and date, whatever the search
//! made of the query.

use super::log::{LogEvent, TYPES};
use crate::model::call::{Api, Failed, Get};
use crate::model::secret::percent_encode;
use crate::port::Reader;

/// The scope that the log needs.
pub const SCOPE: &str = "read:logs";
/// Largest page, and most pages of a search.
const PER_PAGE: usize = 100;
const PAGES_MAX: usize = 10;

/// The events of a time, each once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    pub events: Vec<LogEvent>,
    /// There are more events than a search gives.
    pub cut: bool,
}

/// Reads the events from one time to another (ms since the Unix epoch), oldest first or newest first.
///
/// # Errors
/// A page cannot be read; then nothing is known.
pub async fn read(
    reader: &Reader,
    (from_ms, to_ms): (u64, u64),
    newest_first: bool,
) -> Result<Window, Failed> {
    let types = TYPES.map(|kind| format!("type:{kind}")).join(" OR ");
    let query = format!("({types}) AND date:[\"{}\" TO \"{}\"]", rfc3339(from_ms), rfc3339(to_ms));
    let order = if newest_first { "-1" } else { "1" };
    let path = format!("/api/v2/logs?q={}&sort=date:{order}&per_page={PER_PAGE}", percent_encode(&query));
    let mut window = Window::default();
    for page in 0..PAGES_MAX {
        let reply = reader.fresh(&Get::whole(Api::Auth0, format!("{path}&page={page}"))).await?;
        let list = reply.as_array().or_else(|| reply["logs"].as_array());
        let list = list.ok_or_else(|| Failed::Misread("GET /api/v2/logs: no list of events".into()))?;
        let events = list.iter().filter_map(LogEvent::of);
        for event in events.filter(|event| (from_ms..=to_ms).contains(&event.at_ms)) {
            if !window.events.iter().any(|known| known.id == event.id) {
                window.events.push(event);
            }
        }
        if list.len() < PER_PAGE {
            return Ok(window);
        }
    }
    window.cut = true;
    Ok(window)
}

/// A time as the log writes it, to the millisecond.
pub fn rfc3339(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map(|at| format!("{at:.3}")).unwrap_or_default()
}
