//! The outputs for the events of a run: the terminal, the log, and the file of `--audit`.

use std::cell::RefCell;
use std::io::Write as _;
use std::path::Path;
use std::rc::Rc;

use anyhow::Result;
use serde_json::json;

use super::progress::Progress;
use super::setup::Shell;
use crate::engine::apply::timestamp;
use crate::model::address::Address;
use crate::model::event::{Event, Told};
use crate::model::plan::Digest;
use crate::model::text;
use crate::shell::clock::Clock;
use crate::shell::files;

/// Returns a listener that passes every event on to the terminal, the log and the audit file.
pub fn listen(shell: &Shell, audit: Rc<RefCell<Audit>>) -> impl FnMut(Told) + use<> {
    let (mut say, clock) = (shell.say.clone(), Clock::start());
    let mut progress = Progress::default();
    move |told| {
        if let Err(error) = audit.borrow_mut().hear(&told) {
            say.err_line(format!("  the audit file cannot be written: {error}"));
        }
        // Progress uses real time: a run on the twin goes through more virtual time than the user waits.
        if let Some(line) = progress.hear(&told.event, clock.now_ms()) {
            say.err_one_line(line);
        }
        log(&told);
    }
}

/// As [`listen`], for many tenants at once: the terminal is told of tenants and waves by whoever runs them.
pub fn listen_to_many(audit: Rc<RefCell<Audit>>) -> impl FnMut(Told) + use<> {
    move |told| {
        let _ = audit.borrow_mut().hear(&told);
        log(&told);
    }
}

fn log(told: &Told) {
    match &told.event {
        Event::Request { host, method, path, status, attempt, ms, .. } => {
            let status = status.map_or_else(|| "no reply".to_owned(), |status| status.to_string());
            tracing::info!(target: "lockstep::request", "{method} https://{host}{path} {status} ({ms} ms, attempt {attempt})");
        }
        // The plan is shown to the user anyway, and would make a long line.
        Event::PlanMade { .. } => {}
        _ => {
            let line = || serde_json::to_string(told).unwrap_or_default();
            tracing::debug!(target: "lockstep::event", "{}", line());
        }
    }
}

/// The audit file: one JSON line per write, whether the write was answered or lost.
#[derive(Default)]
pub struct Audit {
    file: Option<std::fs::File>,
    who: String,
    stack: String,
    /// Digest of the plan that is being applied.
    plan: Digest,
    step: Option<(usize, Address)>,
}

impl Audit {
    /// An audit without a file: it writes nothing.
    pub fn new() -> Rc<RefCell<Audit>> {
        Rc::default()
    }

    /// Opens the file of `--audit`. Call this only once it is known that the command does not read that file.
    pub fn write_to(&mut self, path: Option<&Path>) -> Result<()> {
        self.file = path.map(files::open_append).transpose()?;
        Ok(())
    }

    fn hear(&mut self, told: &Told) -> std::io::Result<()> {
        match &told.event {
            Event::RunStarted { who, stack, .. } => {
                who.clone_into(&mut self.who);
                stack.clone_into(&mut self.stack);
            }
            Event::PlanMade { plan } => self.plan.clone_from(&plan.digest),
            Event::StepStarted { number, address, .. } => self.step = Some((*number, address.clone())),
            Event::StepDone { .. } | Event::StepFailed { .. } => self.step = None,
            Event::Request { host, method, path, status, request_id, .. }
                if *method != "GET" && path != "/oauth/token" =>
            {
                let Some(file) = &mut self.file else { return Ok(()) };
                let (number, address) =
                    self.step.clone().map_or((None, None), |(n, address)| (Some(n), Some(address)));
                let line = json!({
                    "at": timestamp(told.at_ms), "by": self.who, "tenant": told.tenant, "stack": self.stack,
                    "plan": self.plan, "step": number, "address": address, "method": method, "host": host,
                    "path": path, "status": status, "request_id": request_id,
                });
                writeln!(file, "{}", text::json(&line.to_string()))?;
            }
            _ => {}
        }
        Ok(())
    }
}
