//! Log streams: what is new in a tenant's log is posted to the Function that each stream names.

use std::rc::Rc;

use lockstep_front::{Ask, category};
use lockstep_twin::world::LogStream;
use serde_json::{Value as Json, json};

use super::Loop;
use super::function::find;

/// Most entries of one post.
const BATCH_MAX: usize = 100;
/// So often a batch is tried (Auth0 docs, Log streams, 2026).
const TRIES: usize = 3;

/// Whether a stream takes an entry of that type.
fn takes(stream: &LogStream, kind: &str) -> bool {
    let Some(filters) = &stream.filters else { return true };
    filters.iter().any(|filter| filter["name"] == category(kind))
}

impl Loop {
    /// Hands new entries to the streams, behind what goes on now.
    pub(super) fn streams(self: &Rc<Self>) {
        let (this, fresh) = (self.clone(), self.fresh());
        if !fresh.is_empty() {
            tokio::task::spawn_local(async move {
                let turn = this.delivery.lock().await;
                for (domain, entries) in fresh {
                    this.deliver(&domain, &entries).await;
                }
                drop(turn);
            });
        }
    }

    /// Entries that were not handed on yet, by tenant.
    fn fresh(&self) -> Vec<(String, Vec<Json>)> {
        let twin = self.twin.borrow();
        let mut told = self.told.borrow_mut();
        let mut out = Vec::new();
        for (domain, tenant) in &twin.world.tenants {
            let from = told.insert(domain.clone(), tenant.logs.len()).unwrap_or(0);
            let entries = tenant.logs.get(from..).unwrap_or_default();
            if !entries.is_empty() {
                out.push((domain.clone(), entries.to_vec()));
            }
        }
        out
    }

    async fn deliver(self: &Rc<Self>, domain: &str, entries: &[Json]) {
        let streams = self.twin.borrow().world.tenants.get(domain).map(|one| one.log_streams.clone());
        for stream in streams.unwrap_or_default().iter().filter(|stream| stream.r#type == "http") {
            let wanted: Vec<&Json> = entries
                .iter()
                .filter(|entry| takes(stream, entry["type"].as_str().unwrap_or_default()))
                .collect();
            let name = stream.name.as_deref().unwrap_or(&stream.id);
            if wanted.is_empty() {
                continue;
            }
            if stream.status != "active" {
                self.hop(
                    &format!("log stream {name:?}: {}", stream.status),
                    Some("nothing is posted".into()),
                );
                continue;
            }
            if self.switches.borrow().no_feedback {
                self.hop(
                    &format!("log stream {name:?}"),
                    Some("the switch of the page lets nothing through".into()),
                );
                continue;
            }
            for batch in wanted.chunks(BATCH_MAX) {
                self.post(stream, name, batch).await;
            }
        }
    }

    async fn post(self: &Rc<Self>, stream: &LogStream, name: &str, batch: &[&Json]) {
        let text = |key: &str| stream.sink.get(key).and_then(Json::as_str).unwrap_or_default();
        let endpoint = text("httpEndpoint");
        let (host, path) = endpoint.trim_start_matches("https://").split_once('/').unwrap_or((endpoint, ""));
        let host = host.to_ascii_lowercase();
        if find(&self.twin.borrow(), &host).is_none() {
            self.hop(
                &format!("log stream {name:?}"),
                Some(format!("{host} is no Function of this twin: nothing is posted")),
            );
            return;
        }
        let of = |entry: &&Json| json!({ "log_id": entry["log_id"], "data": entry });
        let items: Vec<Json> = batch.iter().map(of).collect();
        let body = match text("httpContentFormat") {
            "JSONARRAY" => json!(items).to_string(),
            "JSONOBJECT" => items.first().map(Json::to_string).unwrap_or_default(),
            _ => items.iter().map(Json::to_string).collect::<Vec<_>>().join("\n"),
        };
        let mut headers = vec![("content-type".to_owned(), text("httpContentType").to_owned())];
        if !text("httpAuthorization").is_empty() {
            headers.push(("authorization".to_owned(), text("httpAuthorization").to_owned()));
        }
        let ask =
            Ask { method: "POST".into(), host, path: format!("/{path}"), headers, body: body.into_bytes() };
        let kinds: Vec<&str> = batch.iter().filter_map(|entry| entry["type"].as_str()).collect();
        for _ in 0..TRIES {
            self.hop(&format!("log stream {name:?} posts {}", kinds.join(", ")), None);
            let reply = self.call_function(&ask).await;
            if (200..300).contains(&reply.status) {
                return;
            }
        }
        self.hop(&format!("log stream {name:?}"), Some(format!("given up after {TRIES} tries")));
    }
}
