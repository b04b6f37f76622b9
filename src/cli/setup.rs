//! Shared by the commands: the terminal, and a manifest with everything needed to talk to its tenant.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use super::args::{ConnectArgs, ManifestArgs};
use super::connecting::{settings, transport};
use super::domain;
use super::error::{Error, Result};
use super::fleet::hubs;
use super::loading::{Loaded, load, resolve};
use super::outputs::{Written, admit, admit_named};
use super::reports::Reports;
use crate::manifest::{Missing, Source};
use crate::model::event::Told;
use crate::model::manifest::Manifest;
use crate::shell::in_process::save_world;
use crate::shell::secrets::Scrub;
use crate::shell::signals::Signals;
use crate::shell::stack::{Stack, Unconnected, connection, learn};
use crate::shell::terminal::Say;
use crate::twin::Twin;

/// The terminal, the secrets to hide on it, and the user's Ctrl-C.
pub struct Shell {
    pub say: Say,
    pub scrub: Scrub,
    pub signals: Signals,
    /// The forms of `--output`.
    pub reports: Reports,
    /// How many errors a refused manifest has, as printed.
    pub refused: Option<String>,
}

/// A stack that is ready to run, and the world of its twin.
pub struct Ready<'a> {
    pub stack: Stack<'a>,
    /// The text of the manifest.
    pub source: Arc<Source>,
    world: Option<(PathBuf, Rc<RefCell<Twin>>)>,
}

impl Ready<'_> {
    /// Saves the twin's world, if a file was named for it.
    pub fn close(self) -> Result<()> {
        match &self.world {
            Some((path, twin)) => Ok(save_world(&*twin.borrow(), path)?),
            None => Ok(()),
        }
    }
}

/// How far the connection to the tenant got.
pub enum Start<'a> {
    Ready(Box<Ready<'a>>),
    /// These keys of the manifest have no value, and no connection is possible without them.
    Unconnected(Box<Manifest>, Vec<&'static str>),
}

/// Loads and resolves the manifest and prepares the connection. `Ok(None)`: the manifest has errors, which were
/// printed.
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

/// The error of a manifest without the values to connect with.
pub fn without(places: &[&str]) -> Error {
    Error::manifest(format!("cannot connect, because these keys have no value: {}", places.join(", ")))
        .help("set the environment variables or files that the manifest takes them from, or try the manifest with --twin")
}

/// As [`ready`], but a manifest without the values to connect with is a result, not an error.
pub fn start<'a>(
    manifest_args: &ManifestArgs,
    connect: &ConnectArgs,
    missing: Missing,
    written: &[Written<'_>],
    shell: &mut Shell,
    show: impl FnMut(Told) + 'a,
) -> Result<Option<Start<'a>>> {
    admit(shell, manifest_args.path(), Some(connect), written, &[])?;
    let Some(loaded) = load(manifest_args, shell)? else { return Ok(None) };
    self::connect(loaded, manifest_args, connect, missing, written, shell, show)
}

/// As [`start`], with a manifest that is loaded already.
pub fn connect<'a>(
    loaded: Loaded,
    manifest_args: &ManifestArgs,
    connect: &ConnectArgs,
    missing: Missing,
    written: &[Written<'_>],
    shell: &mut Shell,
    show: impl FnMut(Told) + 'a,
) -> Result<Option<Start<'a>>> {
    admit_named(shell, &loaded, Some(connect), written)?;
    let twin = connect.twin.is_some();
    let Some(manifest) = resolve(&loaded, manifest_args, twin, missing, shell)? else { return Ok(None) };
    let Some(manifest) = hubs::filled(manifest, manifest_args, connect, shell)? else { return Ok(None) };
    learn(&manifest, &shell.scrub);
    domain::admit(domain::is_handed_in(&loaded.parsed), &manifest, connect, shell)?;
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
    Ok(Some(Start::Ready(Box::new(Ready { stack, source: loaded.parsed.source.clone(), world }))))
}
