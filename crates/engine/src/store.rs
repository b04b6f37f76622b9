//! Where the ledger is kept: in the tenant, in a file, or nowhere.

use std::rc::Rc;

use serde_json::{Value as Json, json};

use crate::kinds::{action, text};
use crate::ledger::seal::{Keys, Proof};
use crate::ledger::{self, TRIGGER, TRIGGER_VERSION};
use crate::model::api::Method;
use crate::model::call::{Api, Failed, Get, Repeat};
use crate::model::ledger::Ledger;
use crate::model::plan::{Finding, Level};
use crate::port::{LOOKS_MS, Port, Reader, Writes};

/// Writes of one record until a reply tells that it is kept.
const WRITES_MAX: usize = 3;

/// A file that holds a ledger; the shell implements it.
pub trait LedgerFile {
    /// The content; `None` when there is no file.
    fn load(&self) -> Result<Option<String>, String>;
    /// Replaces the content at once or not at all.
    fn save(&self, content: &str) -> Result<(), String>;
    /// Removes the file; no file is fine.
    fn remove(&self) -> Result<(), String>;
}

/// Where the ledger is kept.
#[derive(Clone)]
pub enum Store {
    Tenant,
    File(Rc<dyn LedgerFile>),
    None,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub ledger: Option<Ledger>,
    /// Id of the ledger Action, also of one that is not trusted: it is the one to write over.
    pub action_id: Option<String>,
    pub findings: Vec<Finding>,
    /// Nonce of the intent on record, whether or not that is believed.
    pub nonce: Option<String>,
    /// What an unfinished run made and nobody can tell apart, and what was tried beside; no part of the record.
    pub unclear: Vec<Finding>,
    /// The records of other stacks in the tenant, where the whole list of Actions was read.
    pub others: Vec<Ledger>,
}

impl Found {
    /// Whether the record is as it was when `known` was read.
    pub fn is_as(&self, known: &Found) -> bool {
        let serial = |found: &Found| found.ledger.as_ref().map(|ledger| ledger.serial);
        serial(self) == serial(known) && self.action_id == known.action_id && self.findings == known.findings
    }

    /// Takes a record that can be read, for as much as its seals prove.
    fn take(&mut self, mut ledger: Ledger, owner: &Owner<'_>) {
        self.nonce = ledger.intent.as_ref().map(|intent| intent.nonce.clone());
        let proof = owner.keys.proof(&ledger);
        let told = match &proof {
            Proof::Sealed => None,
            Proof::OfOthers(labels) if owner.reads_only => Some((
                Level::Note,
                format!(
                    "the seal of the record cannot be checked with these credentials: it is by {}",
                    labels.join(", ")
                ),
                "nothing to do: whoever applies this checks it, and takes nothing away that is not proven",
            )),
            Proof::OfOthers(labels) => Some((
                Level::Note,
                format!("the record is sealed by other credentials than these: {}", labels.join(", ")),
                UNPROVEN,
            )),
            Proof::Broken(labels) => Some((
                Level::Warning,
                format!(
                    "the record's seal by {} does not fit: somebody else wrote it, or that credential has changed since",
                    labels.join(", ")
                ),
                UNPROVEN,
            )),
            Proof::Absent => Some((
                Level::Note,
                "the record has no seal: an older version wrote it, or somebody else did".to_owned(),
                UNPROVEN,
            )),
        };
        if let Some((level, text, help)) = told {
            self.findings.push(finding(level, text, help));
        }
        let on_trust = owner.reads_only && matches!(proof, Proof::OfOthers(_));
        if proof != Proof::Sealed && !on_trust {
            ledger.distrust();
        }
        self.ledger = Some(ledger);
    }
}

impl Found {
    /// Whether other stacks have on record what they had when `known` was read.
    pub fn has_others_as(&self, known: &Found) -> bool {
        let serials = |found: &Found| -> Vec<(String, u64)> {
            found.others.iter().map(|other| (other.stack.clone(), other.serial)).collect()
        };
        serials(self) == serials(known)
    }
}

/// What is done with a record that nothing proves.
const UNPROVEN: &str =
    "it is compared with, and nothing is taken away or put back on its word: name what may go by --delete ID";

/// Whose ledger it is, and what proves it.
pub struct Owner<'a> {
    pub stack: &'a str,
    pub tenant: &'a str,
    pub account: &'a str,
    pub keys: Keys,
    /// Nothing is written: see [`super::observe::Session::purpose`].
    pub reads_only: bool,
}

fn finding(level: Level, text: String, help: &str) -> Finding {
    Finding { address: "ledger".into(), text, help: help.into(), level }
}

impl Store {
    /// The kind of place, as the command line names it.
    pub fn name(&self) -> &'static str {
        match self {
            Store::Tenant => "tenant",
            Store::File(_) => "file",
            Store::None => "none",
        }
    }

    /// Whether anything is remembered at all.
    pub fn keeps(&self) -> bool {
        !matches!(self, Store::None)
    }

    /// Scopes of the Management API that writing the record needs: intent, then result (or its removal).
    pub fn scopes(&self, found: &Found, destroy: bool) -> &'static [&'static str] {
        match (self, found.action_id.is_some()) {
            (Store::Tenant, true) if destroy => &["update:actions", "delete:actions"],
            (Store::Tenant, true) => &["update:actions"],
            (Store::Tenant, false) => &["create:actions", "update:actions"],
            (Store::File(_) | Store::None, _) => &[],
        }
    }

    /// Reads the ledger; `fresh` reads past what this phase has read already.
    pub async fn load(&self, owner: Owner<'_>, reader: &Reader, fresh: bool) -> Result<Found, Failed> {
        let Owner { stack, tenant, account, .. } = owner;
        match self {
            Store::None => Ok(Found::default()),
            Store::File(file) => {
                let Some(content) = file.load().map_err(Failed::Misread)? else {
                    return Ok(Found::default());
                };
                let mut found = Found::default();
                match ledger::parse(content.as_bytes(), stack, tenant, account) {
                    Ok(ledger) => found.take(ledger, &owner),
                    // A file was named on the command line, so a wrong one is a mistake to stop at.
                    Err(fault) => found.findings.push(finding(
                        Level::Blocker,
                        format!("the ledger file cannot be used: {fault}"),
                        "name the right file with --ledger file:PATH, or move it away",
                    )),
                }
                Ok(found)
            }
            Store::Tenant => {
                let list = if fresh {
                    reader.fresh(&action::list()).await?
                } else {
                    (*reader.get(&action::list()).await?).clone()
                };
                in_tenant(&list, &owner)
            }
        }
    }

    /// Adds what other stacks have on record in the tenant, also where this one keeps its record elsewhere. A token that
    /// may not list Actions shows none.
    ///
    /// # Errors
    /// The list cannot be read for another reason, so nobody knows.
    pub async fn add_others(
        &self,
        found: &mut Found,
        owner: &Owner<'_>,
        reader: &Reader,
        fresh: bool,
    ) -> Result<(), Failed> {
        if matches!(self, Store::Tenant) {
            return Ok(());
        }
        let list = action::list();
        let list = if fresh { reader.fresh(&list).await.map(Rc::new) } else { reader.get(&list).await };
        found.others = match list {
            Ok(list) => others(&list, owner),
            Err(failed) if matches!(failed.status(), Some(401 | 403)) => Vec::new(),
            Err(failed) => return Err(failed),
        };
        Ok(())
    }

    /// Re-reads the serial and nonce only: cheaper than the whole list once the Action is known.
    pub async fn reload(&self, owner: Owner<'_>, known: &Found, reader: &Reader) -> Result<Found, Failed> {
        match (self, &known.action_id) {
            (Store::Tenant, Some(id)) => match reader.fresh(&one(id)).await {
                Ok(action) => in_tenant(&json!({ "actions": [action] }), &owner),
                Err(failed) if failed.status() == Some(404) => self.load(owner, reader, true).await,
                Err(failed) => Err(failed),
            },
            _ => self.load(owner, reader, true).await,
        }
    }

    /// Writes the ledger; answers the Action's id.
    pub async fn save(
        &self,
        ledger: &Ledger,
        id: Option<String>,
        port: &Port,
    ) -> Result<Option<String>, Failed> {
        match self {
            Store::None => Ok(None),
            Store::File(file) => {
                let text = serde_json::to_string_pretty(ledger)
                    .map_err(|error| Failed::NotDone(error.to_string()))?;
                file.save(&(text + "\n")).map_err(Failed::NotDone)?;
                Ok(None)
            }
            Store::Tenant => {
                let source = ledger::write(ledger).map_err(Failed::NotDone)?;
                if let Some(id) = id {
                    let body = json!({ "code": source });
                    let path = format!("/api/v2/actions/actions/{id}");
                    // The same record twice is the same record, so a reply that does not name it is asked for again.
                    for _ in 0..WRITES_MAX {
                        let body = body.clone();
                        let kept = port
                            .writer_of(Writes::Record)
                            .json(Method::Patch, &path, body, Repeat::Safe)
                            .await?;
                        if text(&kept, "id") == id {
                            return Ok(Some(id));
                        }
                    }
                    return Err(Failed::Unknown("no reply to the ledger's write names it".into()));
                }
                let name = ledger::action_name(&ledger.stack);
                let body = json!({
                    "name": name,
                    "supported_triggers": [{ "id": TRIGGER, "version": TRIGGER_VERSION }],
                    "code": source,
                    "runtime": "node22",
                });
                let made = port
                    .writer_of(Writes::Record)
                    .json(Method::Post, "/api/v2/actions/actions", body, Repeat::NeverBlind)
                    .await;
                match made {
                    Ok(action) if !text(&action, "id").is_empty() => Ok(Some(text(&action, "id").to_owned())),
                    // Lost, or a reply that names nothing: it is looked for, since two records are none.
                    Ok(_) | Err(Failed::Unknown(_)) => {
                        for wait_ms in LOOKS_MS {
                            port.reader().sleep_ms(wait_ms).await;
                            let list = port.reader().fresh(&action::list()).await?;
                            let mut all = action::items(&list)?.iter();
                            if let Some(ours) = all.find(|action| text(action, "name") == name) {
                                return Ok(Some(text(ours, "id").to_owned()));
                            }
                        }
                        Err(Failed::Unknown(format!(
                            "the answer to the create of Action {name:?} was lost, and it is not found; it may only be \
                             slow to appear, so it is not made again: look for it among the Actions, then run again"
                        )))
                    }
                    Err(failed) => Err(failed),
                }
            }
        }
    }

    /// Whether another first run has made a ledger at the same time and this one gives way: the smaller id stays, and
    /// the other run takes its own away again.
    pub async fn yields(&self, owner: Owner<'_>, mine: Option<&str>, port: &Port) -> Result<bool, Failed> {
        let (Store::Tenant, Some(mine)) = (self, mine) else { return Ok(false) };
        let name = ledger::action_name(owner.stack);
        let list = port.reader().fresh(&action::list()).await?;
        let others = action::items(&list)?.iter().filter(|action| text(action, "name") == name);
        if others.map(|action| text(action, "id")).all(|id| id >= mine) {
            return Ok(false);
        }
        self.remove(Some(mine.to_owned()), port).await?;
        Ok(true)
    }

    /// Removes the ledger after everything else is gone.
    pub async fn remove(&self, id: Option<String>, port: &Port) -> Result<(), Failed> {
        match (self, id) {
            (Store::File(file), _) => file.remove().map_err(Failed::NotDone),
            (Store::Tenant, Some(id)) => {
                let path = format!("/api/v2/actions/actions/{id}");
                match port
                    .writer_of(Writes::Record)
                    .json(Method::Delete, path, Json::Null, Repeat::Safe)
                    .await
                {
                    Ok(_) => Ok(()),
                    Err(failed) if failed.status() == Some(404) => Ok(()),
                    Err(failed) => Err(failed),
                }
            }
            _ => Ok(()),
        }
    }
}

fn one(id: &str) -> Get {
    Get::whole(Api::Auth0, format!("/api/v2/actions/actions/{id}"))
}

/// The records of other stacks among these Actions, in order of their stacks.
fn others(list: &Json, owner: &Owner<'_>) -> Vec<Ledger> {
    let own = ledger::action_name(owner.stack);
    let read = |action: &Json| {
        let name = text(action, "name");
        (name != own).then(|| ledger::of_another(text(action, "code"), name, owner.tenant))?
    };
    let mut others: Vec<Ledger> = action::items(list).into_iter().flatten().filter_map(read).collect();
    others.sort_by(|one, other| one.stack.cmp(&other.stack));
    others
}

fn in_tenant(list: &Json, owner: &Owner<'_>) -> Result<Found, Failed> {
    let name = ledger::action_name(owner.stack);
    let named: Vec<&Json> =
        action::items(list)?.iter().filter(|action| text(action, "name") == name).collect();
    let mut found = Found { others: others(list, owner), ..Found::default() };
    match named.as_slice() {
        [] => {}
        [action] => {
            found.action_id = Some(text(action, "id").to_owned());
            if !action::has_trigger(action, TRIGGER) {
                found.findings.push(finding(
                    Level::Blocker,
                    format!(
                        "an Action is named {name:?} as the record is, and is not on {TRIGGER} (id {}): it is not written over",
                        text(action, "id")
                    ),
                    "rename or delete that Action",
                ));
            }
            match ledger::read(text(action, "code"), owner.stack, owner.tenant, owner.account) {
                Ok(ledger) => found.take(ledger, owner),
                Err(fault @ ledger::Fault::Newer(_)) => found.findings.push(finding(
                    Level::Blocker,
                    format!("the ledger in the tenant cannot be used: {fault}"),
                    "use the version of Lockstep that wrote it, or a newer one",
                )),
                Err(fault) => found.findings.push(finding(
                    Level::Warning,
                    format!("the ledger in the tenant is ignored: {fault}"),
                    "what stands there is treated as not ours until an apply records it anew",
                )),
            }
            if action.get("deployed_version").is_some_and(Json::is_object) {
                found.findings.push(finding(
                    Level::Warning,
                    "somebody deployed the ledger Action; it does nothing, but it is not meant to run".into(),
                    "unbind it if it is bound; it is safe as it is",
                ));
            }
        }
        several => {
            let ids: Vec<&str> = several.iter().map(|action| text(action, "id")).collect();
            let of_this = |action: &&Json| {
                let ledger =
                    ledger::read(text(action, "code"), owner.stack, owner.tenant, owner.account).ok()?;
                Some((ledger.serial, text(action, "id").to_owned()))
            };
            let help = match several.iter().filter_map(of_this).max() {
                Some((serial, id)) => {
                    format!(
                        "keep {id}, the latest record of this stack and tenant (serial {serial}); delete the others"
                    )
                }
                None => "none of them is of this stack, tenant and account: delete them".into(),
            };
            found.findings.push(finding(
                Level::Blocker,
                format!("{} Actions are named {name:?}: {}; neither is trusted", ids.len(), ids.join(", ")),
                &help,
            ));
        }
    }
    Ok(found)
}
