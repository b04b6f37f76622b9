//! What an exposing step re-reads right before it writes: everything that a phone message passes through.

use serde_json::{Value as Json, json};

use crate::kinds::{Run, Task, feedback_function, phone_provider, text, trigger_binding};
use crate::model::call::{Api, Failed, Get};
use crate::port::{Reader, join_all};

/// Everything that a phone message passes through still stands. Read side by side, right before what exposes it.
pub(super) async fn delivers(run: &Run<'_>, reader: &Reader) -> Result<(), Failed> {
    let id = |address: &str, name: &str| {
        run.ids.get(address).and_then(|ids| ids.get(name)).map(String::as_str).filter(|id| !id.is_empty())
    };
    type Stands = fn(&Json, &str) -> bool;
    let mut reads: Vec<(&str, Get, String, Stands)> = Vec::new();
    if let Some(id) = id("action", "id") {
        let get = Get::whole(Api::Auth0, format!("/api/v2/actions/actions/{id}"));
        reads.push(("the deployed Action", get, id.to_owned(), |reply, _| {
            reply["deployed_version"].is_object()
        }));
    }
    if let Some(id) = id("trigger_binding", "action_id") {
        let get = trigger_binding::PHONE_BINDING.list();
        reads.push(("the Action's binding", get, id.to_owned(), |reply, id| {
            trigger_binding::parse(reply).iter().any(|bound| bound.action_id == id)
        }));
    }
    if let Some(sid) = id("verify_service", "sid") {
        let get = Get::whole(Api::Verify, format!("/v2/Services/{sid}"));
        reads.push(("the Verify service", get, sid.to_owned(), |reply, sid| text(reply, "sid") == sid));
    }
    if let (Some(service), Some(sid)) =
        (id(feedback_function::NAME, "service"), id(feedback_function::NAME, "environment"))
        && run.manifest.section(feedback_function::SECTION_PATH).is_some()
    {
        let get = feedback_function::serving(service, sid);
        reads.push(("the deployed feedback Function", get, String::new(), |reply, _| {
            feedback_function::serves(reply)
        }));
    }
    if let Some(id) = id("log_stream", "id") {
        let get = Get::whole(Api::Auth0, format!("/api/v2/log-streams/{id}"));
        reads.push(("the feedback stream", get, id.to_owned(), |reply, id| text(reply, "id") == id));
    }
    // Last, because it is what others change most easily, and one trip is the window that remains.
    reads.push(("the phone provider", phone_provider::list(), String::new(), |reply, _| {
        let provider = reply.get("providers").and_then(Json::as_array).and_then(|list| list.first());
        provider
            .is_some_and(|provider| text(provider, "name") == "custom" && provider["disabled"] != json!(true))
    }));
    let tasks: Vec<Task<'_, Result<bool, Failed>>> = reads
        .iter()
        .map(|(_, get, id, stands)| {
            Box::pin(async move {
                match reader.get(get).await {
                    Ok(reply) => Ok(stands(&reply, id)),
                    Err(failed) if failed.status() == Some(404) => Ok(false),
                    Err(failed) => Err(failed),
                }
            }) as Task<'_, _>
        })
        .collect();
    for (stands, (what, ..)) in join_all(tasks).await.into_iter().zip(&reads) {
        if !stands? {
            let text = format!(
                "{what} is not there any more since the plan was made, and codes would not arrive; plan again"
            );
            return Err(Failed::NotDone(text));
        }
    }
    Ok(())
}
