//! What the commands share: the terminal, and a manifest with everything needed to talk to its tenant.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use super::args::{ConnectArgs, ManifestArgs};
use super::connecting::{settings, transport};
use super::domain;
use super::error::{Error, Result};
use super::json::Document;
use super::loading::{load, resolve};
use super::outputs::{Written, outputs_apart};
use crate::manifest::Missing;
use crate::model::event::Told;
use crate::model::manifest::Manifest;
use crate::shell::in_process::save_world;
use crate::shell::secrets::Scrub;
use crate::shell::signals::Signals;
use crate::shell::stack::{Stack, Unconnected, connection, learn};
use crate::shell::terminal::Say;
use crate::twin::Twin;

/// The terminal, what may not be said on it, and the user's Ctrl-C.
pub struct Shell {
    pub say: Say,
    pub scrub: Scrub,
    pub signals: Signals,
    /// The document of `--output json`.
    pub json: Document,
    /// What was printed of a manifest that is refused: how many errors it has.
    pub refused: Option<String>,
}

/// A stack that can be run, and the world of its twin.
pub struct Ready<'a> {
    pub stack: Stack<'a>,
    world: Option<(PathBuf, Rc<RefCell<Twin>>)>,
}

impl Ready<'_> {
    /// Keeps the twin's world, if a file was named.
    pub fn close(self) -> Result<()> {
        match &self.world {
            Some((path, twin)) => Ok(save_world(&*twin.borrow(), path)?),
            None => Ok(()),
        }
    }
}

/// How far a command got towards its tenant.
pub enum Start<'a> {
    Ready(Box<Ready<'a>>),
    /// These places of the manifest have no value, and without them nobody lets us in.
    Unconnected(Box<Manifest>, Vec<&'static str>),
}

/// Loads, resolves and connects. `Ok(None)`: the manifest has errors, which were printed.
pub fn ready<'a>(
    manifest_args: &ManifestArgs,
    connect: &ConnectArgs,
    missing: Missing,
    written: &[Written<'_>],
    shell: &mut Shell,
    show: impl FnMut(Told) + 'a,
) -> Result<Option<Ready<'a>>> {
    match start(manifest_args, connect, missing, written, shell, show)? {
        None => Ok(None),
        Some(Start::Ready(ready)) => Ok(Some(*ready)),
        Some(Start::Unconnected(_, places)) => Err(without(&places)),
    }
}

/// Why there is no connection, and what to do.
pub fn without(places: &[&str]) -> Error {
    Error::manifest(format!("no value to connect with: {}", places.join(", ")))
        .help("set what the manifest takes them from, or try it with --twin")
}

/// [`ready`], and what there is when there is nothing to connect with.
pub fn start<'a>(
    manifest_args: &ManifestArgs,
    connect: &ConnectArgs,
    missing: Missing,
    written: &[Written<'_>],
    shell: &mut Shell,
    show: impl FnMut(Told) + 'a,
) -> Result<Option<Start<'a>>> {
    let Some(loaded) = load(manifest_args, shell)? else { return Ok(None) };
    outputs_apart(&loaded, connect, written)?;
    let twin = connect.twin.is_some();
    let Some(manifest) = resolve(&loaded, manifest_args, twin, missing, shell)? else { return Ok(None) };
    learn(&manifest, &shell.scrub);
    domain::admit(&loaded.parsed, &manifest, connect, shell)?;
    let connection = match connection(&manifest, connect.rate_share, &shell.scrub) {
        Ok(connection) => connection,
        Err(Unconnected::NoValue(places)) => {
            return Ok(Some(Start::Unconnected(Box::new(manifest), places)));
        }
        Err(Unconnected::Other(error)) => return Err(error.into()),
    };
    let (transport, world) = transport(connect, &manifest)?;
    let signals = shell.signals.clone();
    let stack = Stack::new(connection, manifest, transport, settings(connect), signals, show)?;
    Ok(Some(Start::Ready(Box::new(Ready { stack, world }))))
}
