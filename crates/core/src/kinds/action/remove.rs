//! Deletes an Action.

use serde_json::Value as Json;

use super::row::{Action, KEEPS};
use super::wire::{name_of, own_state};
use crate::kinds::looks::delivery::took_over;
use crate::kinds::remote::actions::has_trigger;
use crate::kinds::said::actions::is_named;
use crate::kinds::{Done, Run, Seen, text};
use crate::model::api::Method;
use crate::model::call::{Api, Failed, Get, Repeat};
use crate::port::{Reader, Writer};

/// Deletes the Action. By force, or after another Action has taken its place, it is deleted only while it is unchanged
/// since the plan.
pub(super) async fn run(
    row: &Action,
    run: &Run<'_>,
    force: bool,
    writer: &mut Writer,
) -> Result<Done, Failed> {
    let path =
        format!("/api/v2/actions/actions/{}", run.seen.ids.get("id").map(String::as_str).unwrap_or_default());
    if run.step.op.retires {
        writer.checked(took_over(run, writer.reader())).await?;
        let stands = async { is_as_planned(row, run, &path, writer.reader()).await.map(Some) };
        match writer.checked(stands).await {
            Ok(Some(true) | None) => {}
            Ok(Some(false)) => {
                let text = "somebody else changed the Action since this was planned, so it is not deleted; plan again";
                return Err(Failed::NotDone(text.into()));
            }
            Err(failed) if failed.status() == Some(404) => return Ok(Done::seen(Seen::default())),
            Err(failed) => return Err(failed),
        }
    }
    let mut gone = writer.json(Method::Delete, &path, Json::Null, Repeat::Safe).await;
    // A 409 means that the Action is bound by an entry that the record does not know. The entry is of our own Action
    // and goes with it.
    let bound = gone.as_ref().is_err_and(|failed| failed.status() == Some(409));
    if bound && force {
        if !is_as_planned(row, run, &path, writer.reader()).await? {
            return Err(Failed::NotDone(
                "somebody else changed the Action since this was planned, and it is bound: it is not \
                 deleted by force; plan again"
                    .into(),
            ));
        }
        let path = format!("{path}?force=true");
        gone = writer.json(Method::Delete, path, Json::Null, Repeat::Safe).await;
    }
    match gone {
        Ok(_) => Ok(Done::seen(Seen::default())),
        Err(failed) if failed.status() == Some(404) => Ok(Done::seen(Seen::default())),
        // A provider may hold on to the Action even while the provider is switched off; the documents do not say.
        Err(Failed::Refused(refusal)) if refusal.status == 409 && !refusal.unsure => {
            Err(Failed::NotDone(format!(
                "{}; {KEEPS} holds on to it: switch it to another type or delete it, then go on",
                Failed::Refused(refusal)
            )))
        }
        Err(failed) => Err(failed),
    }
}

/// Whether the Action is unchanged since the plan: nobody has renamed it, moved it or given it other code.
async fn is_as_planned(row: &Action, run: &Run<'_>, path: &str, reader: &Reader) -> Result<bool, Failed> {
    let action = reader.fresh(&Get::whole(Api::Auth0, path.to_owned())).await?;
    let (name, id) = (name_of(&run.seen.attrs), run.seen.ids.get("id"));
    Ok(has_trigger(&action, row.trigger.id)
        && is_named(text(&action, "name"), name)
        && Some(text(&action, "id")) == id.map(String::as_str)
        && text(&action, "updated_at") == own_state(run.seen).updated_at)
}
