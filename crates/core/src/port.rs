//! All that a kind can do: read, sleep, and, with a [`Writer`], write once.
//!
//! A [`Port`] is a mailbox between one task and the engine. The task puts calls in and awaits results; the engine takes
//! calls out and puts results in. Headers, tokens, pacing and retries are not visible here. A [`Reader`] has no method
//! that writes, which keeps plan and drift read-only.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use serde_json::Value as Json;

use crate::model::call::{Api, Body, Credentials, Empty, Failed, Get, Paging, Repeat, Write};
use crate::model::event::Event;
use crate::model::place::{Content, Place, PlaceCall, PlaceReply, Tag};
use crate::model::secret::percent_encode;

/// Result of a call: the decoded reply (`null` for an empty one).
pub type Answered = Result<Json, Failed>;

/// What was read in a phase.
pub type Replies = BTreeMap<Get, Result<Rc<Json>, Failed>>;

/// A call on its way to the engine.
#[derive(Debug)]
pub enum Call {
    /// One page of a read: the API, the full path, and the meaning of a reply without content.
    Read(Api, String, Empty),
    /// A small read of Verify with other credentials than ours, to see whether Twilio accepts them.
    Probe(Credentials),
    /// A write.
    Write(Write, Writes),
}

/// Purpose of a write. The purpose decides when the write is no longer sent or repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// A step's write: not sent after an interrupt, nor without the lease.
    Step,
    /// A write of the record: sent after an interrupt, too, because the record tells of it; not sent without the lease.
    Record,
    /// A write of the lease: always sent. The lease has an id of its own, so the write cannot hit another run's lease.
    Lease,
}

impl Writes {
    /// Whether a write for this purpose is held back once the lease is lost.
    pub fn needs_lease(&self) -> bool {
        matches!(self, Writes::Step | Writes::Record)
    }
}

#[derive(Default)]
struct State {
    next_id: u64,
    outbox: VecDeque<(u64, Call)>,
    inbox: BTreeMap<u64, Answered>,
    /// The same for places of records.
    place_outbox: VecDeque<(u64, Place, PlaceCall)>,
    place_inbox: BTreeMap<u64, Result<PlaceReply, Failed>>,
    alarms: Vec<u64>,
    now_ms: u64,
    interrupted: bool,
    /// From this time on, only the lease is written; in ms since the Unix epoch.
    fence_ms: Option<u64>,
    cache: BTreeMap<Get, Option<Result<Rc<Json>, Failed>>>,
    /// Whether a part of the task waits for a read that another part has sent.
    shares: bool,
    /// In a rehearsal: what answers all reads.
    rehearses: Option<Rc<Replies>>,
    events: VecDeque<Event>,
    scopes: Option<Vec<String>>,
    /// Time since the last poll during which a person was asked, in ms.
    asked_ms: u64,
    /// Credentials that Twilio accepted in this run, each with the time in ms.
    taken: Vec<(Credentials, u64)>,
    /// Earliest and latest possible time by the server's clock, in ms since the Unix epoch.
    server_ms: Option<(u64, u64)>,
}

/// Pause before the same read is sent once more, because a read may lag behind a write.
pub const LOOK_AGAIN_MS: u64 = 1000;
/// Pauses before each of the reads that look for the effect of an unanswered write.
pub const LOOKS_MS: [u64; 3] = [0, LOOK_AGAIN_MS, 2 * LOOK_AGAIN_MS];

/// The mailbox of one task. Cloning gives another handle to the same mailbox.
#[derive(Clone, Default)]
pub struct Port(Rc<RefCell<State>>);

/// The engine's side of the mailbox.
impl Port {
    /// A mailbox for a rehearsal: these replies answer the reads, nothing else is read, and no time passes.
    pub fn rehearsing(replies: Rc<Replies>) -> Port {
        Port(Rc::new(RefCell::new(State { rehearses: Some(replies), ..State::default() })))
    }

    /// Takes the calls made since the last time, oldest first.
    pub fn take_calls(&self) -> Vec<(u64, Call)> {
        self.0.borrow_mut().outbox.drain(..).collect()
    }

    /// Takes what places of records were asked since the last time, oldest first.
    pub fn take_place_calls(&self) -> Vec<(u64, Place, PlaceCall)> {
        self.0.borrow_mut().place_outbox.drain(..).collect()
    }

    /// Takes the events of the task, oldest first.
    pub fn take_events(&self) -> Vec<Event> {
        self.0.borrow_mut().events.drain(..).collect()
    }

    /// Delivers the result of a call.
    pub fn deliver(&self, id: u64, result: Answered) {
        self.0.borrow_mut().inbox.insert(id, result);
    }

    /// Delivers what a place answered, or why it did not.
    pub fn deliver_place(&self, id: u64, reply: Result<PlaceReply, Failed>) {
        self.0.borrow_mut().place_inbox.insert(id, reply);
    }

    /// Prepares a poll: sets the time and the interrupt, and clears the alarms of the last poll.
    pub fn begin_poll(&self, now_ms: u64, interrupted: bool) {
        let mut state = self.0.borrow_mut();
        state.now_ms = now_ms;
        state.interrupted = interrupted;
        state.alarms.clear();
    }

    /// Whether only the lease is written at that time, in ms since the Unix epoch.
    pub fn is_fenced(&self, now_ms: u64) -> bool {
        self.0.borrow().fence_ms.is_some_and(|from_ms| from_ms <= now_ms)
    }

    /// The earliest time at which a sleeping part of the task wants to be polled again, in ms since the Unix epoch.
    pub fn next_alarm(&self) -> Option<u64> {
        self.0.borrow().alarms.iter().min().copied()
    }

    /// Sets the tenant's time before a poll: the earliest and the latest possible one; `None` if no reply told it.
    pub fn tell_server_time(&self, between_ms: Option<(u64, u64)>) {
        self.0.borrow_mut().server_ms = between_ms;
    }

    /// Takes the time during which a person was asked since the last call, in ms.
    pub fn take_asked_ms(&self) -> u64 {
        std::mem::take(&mut self.0.borrow_mut().asked_ms)
    }

    /// Sets the scopes of the access token.
    pub fn tell_scopes(&self, scopes: Vec<String>) {
        self.0.borrow_mut().scopes = Some(scopes);
    }
}

/// The task's side of the mailbox, common to readers and writers.
impl Port {
    /// A read-only handle.
    pub fn reader(&self) -> Reader {
        Reader { port: self.clone() }
    }

    /// A handle that can write once, for a step.
    pub fn writer(&self) -> Writer {
        self.writer_of(Writes::Step)
    }

    /// A handle that can write once.
    pub fn writer_of(&self, what: Writes) -> Writer {
        Writer { reader: self.reader(), left: 1, what }
    }

    /// Forgets what was read, so that the next phase reads anew.
    pub fn new_phase(&self) {
        self.0.borrow_mut().cache.clear();
    }

    /// Sets the time from which only the lease is written, because a waiting run may take the lease for a dead one.
    pub fn fence(&self, from_ms: u64) {
        self.0.borrow_mut().fence_ms = Some(from_ms);
    }

    /// Reports progress.
    pub fn tell(&self, event: Event) {
        self.0.borrow_mut().events.push_back(event);
    }

    /// Reports that a person was asked during this time, in ms.
    pub fn asked(&self, ms: u64) {
        self.0.borrow_mut().asked_ms += ms;
    }

    /// Gives control to the engine, which passes the events on. No time passes.
    pub async fn give_way(&self) {
        let mut is_back = false;
        std::future::poll_fn(|_| {
            if std::mem::replace(&mut is_back, true) {
                return Poll::Ready(());
            }
            let mut state = self.0.borrow_mut();
            let now_ms = state.now_ms;
            state.alarms.push(now_ms);
            Poll::Pending
        })
        .await
    }

    /// Whether the user asked to stop.
    pub fn interrupted(&self) -> bool {
        self.0.borrow().interrupted
    }

    /// Time of the last poll, in ms since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        self.0.borrow().now_ms
    }

    /// The latest possible time by the tenant's own clock, in ms since the Unix epoch; the record has this time. Our
    /// own clock if no reply told the time.
    pub fn server_now_ms(&self) -> u64 {
        let state = self.0.borrow();
        state.server_ms.map_or(state.now_ms, |(_, latest)| latest)
    }

    /// Scopes of the access token, once one was granted; `None` before that.
    pub fn scopes(&self) -> Option<Vec<String>> {
        self.0.borrow().scopes.clone()
    }

    async fn call(&self, call: Call) -> Answered {
        let id = self.next_id();
        self.0.borrow_mut().outbox.push_back((id, call));
        self.answer(|state| state.inbox.remove(&id)).await
    }

    /// Writes to the place of a record, or takes away what stands there, if that is as expected. Like every write of the
    /// record also after an interrupt, and not without the lease.
    ///
    /// # Errors
    /// [`Failed::Moved`] where something else stands there; otherwise it failed, or nobody knows.
    pub async fn keep(&self, place: &Place, text: Option<String>, expect: Tag) -> Result<Content, Failed> {
        if self.is_fenced(self.now_ms()) {
            return Err(Failed::LeaseLost);
        }
        let call = match text {
            Some(text) => PlaceCall::Save { text, expect },
            None => PlaceCall::Remove { expect },
        };
        self.place(place, call, Failed::NotDone).await
    }

    async fn place(
        &self,
        place: &Place,
        call: PlaceCall,
        failed: fn(String) -> Failed,
    ) -> Result<Content, Failed> {
        let id = self.next_id();
        self.0.borrow_mut().place_outbox.push_back((id, place.clone(), call));
        match self.answer(|state| state.place_inbox.remove(&id)).await? {
            PlaceReply::Stands(content) => Ok(content),
            PlaceReply::Moved => Err(Failed::Moved(format!("ledger file {}", place.0))),
            PlaceReply::Failed(why) => Err(failed(why)),
        }
    }

    fn next_id(&self) -> u64 {
        let mut state = self.0.borrow_mut();
        state.next_id += 1;
        state.next_id
    }

    async fn answer<T>(&self, take: impl Fn(&mut State) -> Option<T>) -> T {
        std::future::poll_fn(|_| take(&mut self.0.borrow_mut()).map_or(Poll::Pending, Poll::Ready)).await
    }
}

/// Reads and sleeps; nothing else. Its mailbox is private, so code that is handed a reader cannot get a [`Writer`]: law
/// 7 by type.
#[derive(Clone)]
pub struct Reader {
    port: Port,
}

impl Reader {
    /// Reads once per phase: equal reads share one request and one result.
    pub async fn get(&self, get: &Get) -> Result<Rc<Json>, Failed> {
        let first = {
            let mut state = self.port.0.borrow_mut();
            match state.cache.get(get) {
                Some(Some(result)) => return result.clone(),
                Some(None) => false,
                None => {
                    state.cache.insert(get.clone(), None);
                    true
                }
            }
        };
        if first {
            let result = self.fresh(get).await.map(Rc::new);
            let mut state = self.port.0.borrow_mut();
            state.cache.insert(get.clone(), Some(result.clone()));
            // A part that shares the read may have been polled before us, and nothing else may cause another poll.
            if std::mem::take(&mut state.shares) {
                let now_ms = state.now_ms;
                state.alarms.push(now_ms);
            }
            return result;
        }
        std::future::poll_fn(|_| {
            let mut state = self.port.0.borrow_mut();
            if let Some(Some(result)) = state.cache.get(get) {
                return Poll::Ready(result.clone());
            }
            state.shares = true;
            Poll::Pending
        })
        .await
    }

    /// What was read in this phase so far.
    pub fn replies(&self) -> Replies {
        let state = self.port.0.borrow();
        let known = |(get, reply): (&Get, &Option<_>)| Some((get.clone(), reply.clone()?));
        state.cache.iter().filter_map(known).collect()
    }

    /// Reads now, without the cache: for polls and for reads right before a write. Follows paging. A failed page fails
    /// the whole read.
    pub async fn fresh(&self, get: &Get) -> Answered {
        if let Some(replies) = &self.port.0.borrow().rehearses {
            let unread = || Err(Failed::NotDone(format!("GET {} was not read", get.path)));
            return replies.get(get).map_or_else(unread, |reply| reply.clone().map(|json| (*json).clone()));
        }
        match get.paging {
            Paging::Whole => self.page(get.api, get.path.clone()).await,
            Paging::WholeOrNothing => self.one_page(get.api, get.path.clone(), Empty::Nothing).await,
            Paging::Offset { key, per_page } => {
                let mut all = Vec::new();
                let mut room = LIST_MAX;
                let joint = if get.path.contains('?') { '&' } else { '?' };
                // A tenant holds at most 100 Actions and a trigger 20 bindings, so the loop ends early. The bound stops
                // a server that never sends a short page.
                for page in 0..100 {
                    let path = format!("{}{joint}page={page}&per_page={per_page}", get.path);
                    let mut reply = self.page(get.api, path).await?;
                    let items = take_items(&mut reply, key, &get.path)?;
                    room = spend(room, &items, &get.path)?;
                    // A server may send smaller pages than asked for, and then reports their size.
                    let number = |key: &str| reply.get(key).and_then(Json::as_u64);
                    let capped = number("per_page").and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
                    let empty = items.is_empty();
                    let short = items.len() < per_page.min(capped.unwrap_or(per_page));
                    all.extend(items);
                    let more = number("total").is_some_and(|total| (all.len() as u64) < total);
                    if empty || (short && !more) {
                        return Ok(list(key, all));
                    }
                }
                Err(Failed::Misread(format!("GET {}: more than 100 pages", get.path)))
            }
            Paging::Checkpoint { key, take } => {
                let mut all = Vec::new();
                let mut room = LIST_MAX;
                let joint = if get.path.contains('?') { '&' } else { '?' };
                let mut from = String::new();
                let mut read = BTreeSet::new();
                for _ in 0..500 {
                    let mut path = format!("{}{joint}take={take}", get.path);
                    if !from.is_empty() {
                        path += &format!("&from={}", percent_encode(&from));
                    }
                    let mut reply = self.page(get.api, path).await?;
                    let items = take_items(&mut reply, key, &get.path)?;
                    room = spend(room, &items, &get.path)?;
                    all.extend(items);
                    match reply.get("next") {
                        None | Some(Json::Null) => return Ok(list(key, all)),
                        Some(Json::String(next)) if next.is_empty() => {
                            return Ok(list(key, all));
                        }
                        Some(Json::String(next)) if read.insert(next.clone()) => next.clone_into(&mut from),
                        Some(Json::String(_)) => return Err(in_a_circle(get)),
                        Some(_) => return Err(without_an_end(get)),
                    }
                }
                Err(Failed::Misread(format!("GET {}: more than 500 pages", get.path)))
            }
            Paging::Next => {
                let mut all: Vec<Json> = Vec::new();
                let mut path = get.path.clone();
                let mut room = LIST_MAX;
                let mut read = BTreeSet::new();
                for _ in 0..100 {
                    if !read.insert(path.clone()) {
                        return Err(in_a_circle(get));
                    }
                    let mut reply = self.page(get.api, path).await?;
                    let meta = reply.get("meta").cloned().unwrap_or(Json::Null);
                    let key = meta.get("key").and_then(Json::as_str).unwrap_or_default().to_owned();
                    let items = take_items(&mut reply, &key, &get.path)?;
                    room = spend(room, &items, &get.path)?;
                    all.extend(items);
                    // An absent or odd value is not the end of the list: else the rest of the list would be taken for
                    // missing.
                    match meta.get("next_page_url") {
                        Some(Json::Null) => return Ok(list(&key, all)),
                        Some(Json::String(url)) => path = path_of(url).to_owned(),
                        _ => return Err(without_an_end(get)),
                    }
                }
                Err(Failed::Misread(format!("GET {}: more than 100 pages", get.path)))
            }
        }
    }

    async fn page(&self, api: Api, path: String) -> Answered {
        self.one_page(api, path, Empty::Lost).await
    }

    async fn one_page(&self, api: Api, path: String, empty: Empty) -> Answered {
        if self.port.interrupted() {
            return Err(Failed::Stopped);
        }
        self.port.call(Call::Read(api, path, empty)).await
    }

    /// Reads a little of Verify with these credentials instead of our own.
    pub async fn probe(&self, credentials: Credentials) -> Answered {
        if self.port.interrupted() {
            return Err(Failed::Stopped);
        }
        self.port.call(Call::Probe(credentials)).await
    }

    /// Reads what stands at the place of a record.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn content(&self, place: &Place) -> Result<Content, Failed> {
        self.port.place(place, PlaceCall::Load, Failed::Misread).await
    }

    /// Remembers that Twilio accepted these credentials now.
    pub fn took(&self, credentials: &Credentials) {
        let mut state = self.port.0.borrow_mut();
        let now_ms = state.now_ms;
        state.taken.retain(|(known, _)| known != credentials);
        state.taken.push((credentials.clone(), now_ms));
    }

    /// Whether Twilio accepted these credentials within this time, in ms.
    pub fn was_taken(&self, credentials: &Credentials, within_ms: u64) -> bool {
        let state = self.port.0.borrow();
        let is_recent = |at_ms: u64| state.now_ms.saturating_sub(at_ms) <= within_ms;
        state.taken.iter().any(|(known, at_ms)| known == credentials && is_recent(*at_ms))
    }

    /// Waits for this time, in ms; an interrupt ends the wait.
    pub async fn sleep_ms(&self, ms: u64) {
        let until = self.port.now_ms().saturating_add(ms);
        std::future::poll_fn(|_| {
            let mut state = self.port.0.borrow_mut();
            if state.now_ms >= until || state.interrupted || state.rehearses.is_some() {
                return Poll::Ready(());
            }
            state.alarms.push(until);
            Poll::Pending
        })
        .await
    }

    /// Forgets what was read, so that the next phase reads anew.
    pub fn new_phase(&self) {
        self.port.new_phase();
    }

    /// Reports progress.
    pub fn tell(&self, event: Event) {
        self.port.tell(event);
    }

    /// Whether the user asked to stop.
    pub fn interrupted(&self) -> bool {
        self.port.interrupted()
    }

    /// Time of the last poll, in ms since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        self.port.now_ms()
    }

    /// The earliest possible time by the tenant's own clock, in ms since the Unix epoch; dates are compared with it.
    /// `None` if no reply told the time.
    pub fn server_now_ms(&self) -> Option<u64> {
        self.port.0.borrow().server_ms.map(|(earliest, _)| earliest)
    }

    /// Scopes of the access token, once one was granted; `None` before that.
    pub fn scopes(&self) -> Option<Vec<String>> {
        self.port.scopes()
    }
}

/// A reader that may also write once.
pub struct Writer {
    reader: Reader,
    left: u8,
    what: Writes,
}

impl Writer {
    /// Sends the one write of this step, and forgets all earlier reads.
    ///
    /// # Panics
    /// On a second write: a step makes at most one.
    pub async fn send(&mut self, write: Write) -> Answered {
        assert!(self.left > 0, "a step makes at most one write");
        if self.reader.port.interrupted() && self.what == Writes::Step {
            return Err(Failed::Stopped);
        }
        if self.what != Writes::Lease && self.reader.port.is_fenced(self.reader.port.now_ms()) {
            return Err(Failed::LeaseLost);
        }
        self.left -= 1;
        let result = self.reader.port.call(Call::Write(write, self.what)).await;
        self.reader.port.new_phase();
        // A refused write has changed nothing, so the step may try once more.
        if result.as_ref().is_err_and(|failed| failed.did_nothing() || *failed == Failed::LeaseLost) {
            self.left += 1;
        }
        result
    }

    /// Shorthand for a JSON write to Auth0.
    pub async fn json(
        &mut self,
        method: crate::model::api::Method,
        path: impl Into<String>,
        body: Json,
        repeat: Repeat,
    ) -> Answered {
        let body = if body.is_null() { Body::None } else { Body::Json(body) };
        self.send(Write { api: Api::Auth0, method, path: path.into(), body, repeat }).await
    }

    /// Whether the write was sent, and was not refused.
    pub fn has_written(&self) -> bool {
        self.left == 0
    }

    /// The reader part.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Makes a check right before the write. A rehearsal leaves it out: what the check is about, earlier steps bring about.
    pub async fn checked<T: Default>(
        &self,
        check: impl Future<Output = Result<T, Failed>>,
    ) -> Result<T, Failed> {
        let rehearses = self.reader.port.0.borrow().rehearses.is_some();
        if rehearses { Ok(T::default()) } else { check.await }
    }
}

/// Limit of all pages of one list together, counted as [`size`] does: more than any page, far below a machine's memory.
const LIST_MAX: usize = 64 * 1024 * 1024;

/// A reply with all pages of a list. The items are moved into it.
fn list(key: &str, items: Vec<Json>) -> Json {
    Json::Object([(key.to_owned(), Json::Array(items))].into_iter().collect())
}

/// Takes the items of a page out of its reply.
fn take_items(reply: &mut Json, key: &str, path: &str) -> Result<Vec<Json>, Failed> {
    let items = reply.get_mut(key).and_then(Json::as_array_mut).map(std::mem::take);
    items.ok_or_else(|| Failed::Misread(format!("GET {path}: no list {key:?} in the reply")))
}

fn in_a_circle(get: &Get) -> Failed {
    Failed::Misread(format!("GET {}: the pages go in a circle", get.path))
}

fn without_an_end(get: &Get) -> Failed {
    Failed::Misread(format!("GET {}: the reply does not say whether there is another page", get.path))
}

/// The room left after these items.
fn spend(room: usize, items: &[Json], path: &str) -> Result<usize, Failed> {
    let taken: usize = items.iter().map(size).sum();
    room.checked_sub(taken).ok_or_else(|| Failed::Misread(format!("GET {path}: the list is too long")))
}

/// Bytes of text plus 64 for each value. The parser bounds the nesting of replies, so the recursion ends.
fn size(json: &Json) -> usize {
    64 + match json {
        Json::String(text) => text.len(),
        Json::Array(items) => items.iter().map(size).sum(),
        Json::Object(entries) => entries.iter().map(|(key, value)| key.len() + size(value)).sum(),
        _ => 0,
    }
}

/// Path and query of an absolute URL. The vendor's page links name the real host, but a gateway has another.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("/", |at| &rest[at..])
}

/// A boxed future of one task.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Runs futures concurrently and returns their results in the order given.
pub async fn join_all<T>(futures: Vec<Boxed<'_, T>>) -> Vec<T> {
    let mut slots: Vec<(Option<Boxed<'_, T>>, Option<T>)> =
        futures.into_iter().map(|future| (Some(future), None)).collect();
    std::future::poll_fn(move |cx| {
        for (future, result) in &mut slots {
            if let Some(running) = future
                && let Poll::Ready(value) = running.as_mut().poll(cx)
            {
                *result = Some(value);
                *future = None;
            }
        }
        if slots.iter().all(|(future, _)| future.is_none()) {
            Poll::Ready(slots.iter_mut().filter_map(|(_, result)| result.take()).collect())
        } else {
            Poll::Pending
        }
    })
    .await
}

/// Runs `main` to its end, with `beside` running concurrently; `beside` is dropped when `main` is done.
pub async fn beside<T>(main: impl Future<Output = T>, beside: impl Future<Output = ()>) -> T {
    let mut main = Box::pin(main);
    let mut beside = Box::pin(beside);
    let mut ended = false;
    std::future::poll_fn(move |cx| {
        if !ended && beside.as_mut().poll(cx).is_ready() {
            ended = true;
        }
        main.as_mut().poll(cx)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_step_nor_the_record_is_written_without_the_lease() {
        assert!(Writes::Step.needs_lease() && Writes::Record.needs_lease() && !Writes::Lease.needs_lease());
    }

    #[test]
    fn who_shares_a_read_is_polled_again_when_it_is_there() {
        use std::task::{Context, Waker};
        let port = Port::default();
        let (one, two) = (port.reader(), port.reader());
        let get = Get::whole(Api::Verify, "/v2/Services/VA1");
        let (first, early) = (get.clone(), get.clone());
        let turn = Rc::new(RefCell::new(0));
        let later = turn.clone();
        // This future is polled first and asks second, so it waits for the answer to the other's request.
        let waits: Boxed<'_, bool> = Box::pin(async move {
            std::future::poll_fn(|_| if *later.borrow() > 0 { Poll::Ready(()) } else { Poll::Pending }).await;
            one.get(&early).await.is_ok()
        });
        let asks: Boxed<'_, bool> = Box::pin(async move { two.get(&first).await.is_ok() });
        let mut both = Box::pin(join_all(vec![waits, asks]));
        let mut cx = Context::from_waker(Waker::noop());
        let mut poll = |now_ms| {
            port.begin_poll(now_ms, false);
            both.as_mut().poll(&mut cx)
        };
        assert!(poll(1).is_pending());
        *turn.borrow_mut() = 1;
        assert!(poll(2).is_pending());
        let calls = port.take_calls();
        assert_eq!(calls.len(), 1, "equal reads are sent once");
        port.deliver(calls[0].0, Ok(Json::Null));
        assert!(poll(3).is_pending());
        assert_eq!(port.next_alarm(), Some(3), "or it would never be polled again");
        assert_eq!(poll(3), Poll::Ready(vec![true, true]));
    }

    #[test]
    fn page_links_are_cut_to_their_path() {
        assert_eq!(path_of("https://verify.twilio.com/v2/Services?Page=1"), "/v2/Services?Page=1");
        assert_eq!(path_of("/v2/Services?Page=1"), "/v2/Services?Page=1");
        assert_eq!(path_of("https://verify.twilio.com"), "/");
    }
}
