//! The ledger in the tenant, as the code of an Action that never runs.

use std::rc::Rc;

use serde_json::{Value as Json, json};

use super::{Found, Owner, Stands, finding};
use crate::kinds::{action, text};
use crate::ledger::{self, TRIGGER, TRIGGER_VERSION};
use crate::model::api::Method;
use crate::model::call::{Api, Failed, Get, Repeat};
use crate::model::codes;
use crate::model::ledger::Ledger;
use crate::model::plan::Level;
use crate::port::{LOOKS_MS, Port, Reader, Writes};

const ACTIONS: &str = "/api/v2/actions/actions";

/// Most writes of one record while no reply confirms that it is kept.
const WRITES_MAX: usize = 3;

pub(super) fn scopes(stands: &Stands, destroy: bool) -> &'static [&'static str] {
    match stands.action_id.is_some() {
        true if destroy => &["update:actions", "delete:actions"],
        true => &["update:actions"],
        false => &["create:actions", "update:actions"],
    }
}

pub(super) async fn load(owner: &Owner<'_>, reader: &Reader, fresh: bool) -> Result<Found, Failed> {
    let list = read_actions(reader, fresh).await?;
    record_in(&list, owner)
}

async fn read_actions(reader: &Reader, fresh: bool) -> Result<Rc<Json>, Failed> {
    let list = action::list_actions();
    if fresh { reader.fresh(&list).await.map(Rc::new) } else { reader.get(&list).await }
}

/// The records of other stacks.
pub(super) async fn load_others(
    owner: &Owner<'_>,
    reader: &Reader,
    fresh: bool,
) -> Result<Vec<Ledger>, Failed> {
    match read_actions(reader, fresh).await {
        Ok(list) => Ok(others(&list, owner)),
        Err(failed) if matches!(failed.status(), Some(401 | 403)) => Ok(Vec::new()),
        Err(failed) => Err(failed),
    }
}

pub(super) async fn reload(owner: &Owner<'_>, id: &str, reader: &Reader) -> Result<Found, Failed> {
    match reader.fresh(&Get::whole(Api::Auth0, format!("{ACTIONS}/{id}"))).await {
        Ok(action) => record_in(&json!({ "actions": [action] }), owner),
        Err(failed) if failed.status() == Some(404) => load(owner, reader, true).await,
        Err(failed) => Err(failed),
    }
}

/// Writes the ledger into the Action, or creates one; returns its id.
pub(super) async fn save(ledger: &Ledger, id: Option<String>, port: &Port) -> Result<String, Failed> {
    let source = ledger::write(ledger).map_err(Failed::NotDone)?;
    let Some(id) = id else { return make(ledger, &source, port).await };
    let path = format!("{ACTIONS}/{id}");
    // A second write leaves the same record, so a write whose reply does not name the Action is sent again.
    for _ in 0..WRITES_MAX {
        let body = json!({ "code": source });
        let kept = port.writer_of(Writes::Record).json(Method::Patch, &path, body, Repeat::Safe).await?;
        if text(&kept, "id") == id {
            return Ok(id);
        }
    }
    Err(Failed::Unknown("no reply to the write of the ledger names its Action".into()))
}

async fn make(ledger: &Ledger, source: &str, port: &Port) -> Result<String, Failed> {
    let name = ledger::action_name(&ledger.stack);
    let body = json!({
        "name": name,
        "supported_triggers": [{ "id": TRIGGER, "version": TRIGGER_VERSION }],
        "code": source,
        "runtime": "node22",
    });
    match port.writer_of(Writes::Record).json(Method::Post, ACTIONS, body, Repeat::NeverBlind).await {
        Ok(action) if !text(&action, "id").is_empty() => Ok(text(&action, "id").to_owned()),
        // The answer was lost, or names no id. Look for the Action, because of two records neither is trusted.
        Ok(_) | Err(Failed::Unknown(_)) => {
            for wait_ms in LOOKS_MS {
                port.reader().sleep_ms(wait_ms).await;
                let list = port.reader().fresh(&action::list_actions()).await?;
                let mut all = action::items(&list)?.iter();
                if let Some(ours) = all.find(|action| text(action, "name") == name) {
                    return Ok(text(ours, "id").to_owned());
                }
            }
            Err(Failed::Unknown(format!(
                "the answer to the create of Action {name:?} was lost, and the Action is not found; it may only be \
                 slow to appear, so it is not created again: look for it among the Actions, then run again"
            )))
        }
        Err(failed) => Err(failed),
    }
}

pub(super) async fn yields(owner: &Owner<'_>, mine: &str, port: &Port) -> Result<bool, Failed> {
    let name = ledger::action_name(owner.stack);
    let list = port.reader().fresh(&action::list_actions()).await?;
    let others = action::items(&list)?.iter().filter(|action| text(action, "name") == name);
    if others.map(|action| text(action, "id")).all(|id| id >= mine) {
        return Ok(false);
    }
    remove(mine, port).await?;
    Ok(true)
}

pub(super) async fn remove(id: &str, port: &Port) -> Result<(), Failed> {
    let path = format!("{ACTIONS}/{id}");
    match port.writer_of(Writes::Record).json(Method::Delete, path, Json::Null, Repeat::Safe).await {
        Ok(_) => Ok(()),
        Err(failed) if failed.status() == Some(404) => Ok(()),
        Err(failed) => Err(failed),
    }
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

/// The record among these Actions.
fn record_in(list: &Json, owner: &Owner<'_>) -> Result<Found, Failed> {
    let name = ledger::action_name(owner.stack);
    let named: Vec<&Json> =
        action::items(list)?.iter().filter(|action| text(action, "name") == name).collect();
    let mut found = Found { others: others(list, owner), ..Found::default() };
    match named.as_slice() {
        [] => {}
        [action] => {
            found.stands.action_id = Some(text(action, "id").to_owned());
            if !action::has_trigger(action, TRIGGER) {
                found.findings.push(finding(
                    codes::NOT_THE_RECORD, Level::Blocker,
                    format!(
                        "an Action has the name of the ledger, {name:?}, but is not on {TRIGGER} (id {}), so it is not overwritten",
                        text(action, "id")
                    ),
                    "rename or delete that Action",
                ));
            }
            match ledger::read(text(action, "code"), owner.stack, owner.tenant, owner.account) {
                Ok(ledger) => found.take(ledger, owner),
                Err(fault @ ledger::Fault::Newer(_)) => found.findings.push(finding(
                    fault.code(),
                    Level::Blocker,
                    format!("the ledger in the tenant cannot be used: {fault}"),
                    "use the version of Lockstep that wrote it, or a newer one",
                )),
                Err(fault) => found.findings.push(finding(
                    fault.code(),
                    Level::Warning,
                    format!("the ledger in the tenant is ignored: {fault}"),
                    "existing objects count as not this stack's until an apply records them again",
                )),
            }
            if action.get("deployed_version").is_some_and(Json::is_object) {
                found.findings.push(finding(
                    codes::RECORD_DEPLOYED,
                    Level::Warning,
                    "somebody deployed the ledger Action; it does nothing, but it is not meant to run".into(),
                    "unbind it if it is bound; otherwise leave it as it is",
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
                codes::SEVERAL_RECORDS,
                Level::Blocker,
                format!(
                    "{} Actions are named {name:?}: {}; none of them is trusted",
                    ids.len(),
                    ids.join(", ")
                ),
                &help,
            ));
        }
    }
    Ok(found)
}
