//! Waits for what Auth0 does by itself: a build or a deployment.

use serde_json::{Value as Json, json};

use super::row::Action;
use super::wire::{name_of, own_state};
use crate::kinds::remote::actions::read_action;
use crate::kinds::{Run, Seen, text};
use crate::model::call::Failed;
use crate::model::event::Event;
use crate::port::Reader;

/// Pauses before each look at a build, in ms; the last one repeats. A build without dependencies takes half a second,
/// one with dependencies about nine seconds (recorded 2026-05), so these pauses find either early with few requests.
const BUILD_PAUSES_MS: &[u64] = &[1_000, 4_000, 5_000];
/// Most looks at a build or a deployment. At a build they last about six minutes, after which the field's most used
/// tool gives up ("terraform-provider-auth0 changelog", 2026-08).
const BUILD_LOOKS_MAX: usize = 75;
/// Pause before each look at a deployment, in ms. An Action cannot be bound in the first second after its deployment
/// ("auth0-deploy-cli, actions handler", 2026-08), so an earlier look would only lead to a refused request.
pub(super) const DEPLOY_PAUSE_MS: u64 = 1_000;
/// Most looks for a deployment whose answer was lost.
pub(super) const SETTLE_LOOKS: usize = 5;

/// What runs after a failed build, in words.
pub(super) fn live_words(is_live: bool) -> &'static str {
    match is_live {
        true => "the version before it is still live",
        false => "no version of it is live",
    }
}

/// Waits until the draft is built, and returns the Action as it is then.
pub(super) async fn wait_until_built(run: &Run<'_>, id: &str, reader: &Reader) -> Result<Json, Failed> {
    let mut status = own_state(run.seen).status.clone();
    for look in 0..BUILD_LOOKS_MAX {
        // A draft that is already built is looked at once more without a pause, because it is about to go live.
        if look > 0 || status != "built" {
            reader.sleep_ms(BUILD_PAUSES_MS[look.min(BUILD_PAUSES_MS.len() - 1)]).await;
        }
        if reader.interrupted() {
            return Err(Failed::Stopped);
        }
        let action = reader.fresh(&read_action(id)).await?;
        status = text(&action, "status").to_owned();
        match status.as_str() {
            "built" => return Ok(action),
            "failed" => {
                let live = live_words(action["deployed_version"].is_object());
                return Err(Failed::NotBuilt(format!(
                    "the build of the Action failed; {live}: check names and versions of action.dependencies; the \
                     Auth0 dashboard shows the build log"
                )));
            }
            _ => {}
        }
        reader.tell(Event::Polling { address: run.address.to_owned(), state: status.clone() });
    }
    Err(Failed::NotDone(format!(
        "the build of the Action is still {status:?} after several minutes; apply again later"
    )))
}

/// Waits until the new version is the one that runs.
pub(super) async fn wait_until_deployed(
    row: &Action,
    run: &Run<'_>,
    id: &str,
    version: &str,
    reader: &Reader,
) -> Result<Seen, Failed> {
    for _ in 0..BUILD_LOOKS_MAX {
        reader.sleep_ms(DEPLOY_PAUSE_MS).await;
        if reader.interrupted() {
            return Err(Failed::Stopped);
        }
        let action = reader.fresh(&read_action(id)).await?;
        let live = &action["deployed_version"];
        if text(live, "id") == version && live["deployed"] == json!(true) {
            return Ok(row.read(&action, name_of(run.desired)));
        }
        reader.tell(Event::Polling { address: run.address.to_owned(), state: "deploying".into() });
    }
    Err(Failed::Unknown("the new version of the Action does not become the deployed one".into()))
}

#[cfg(test)]
mod tests {
    use super::live_words;

    #[test]
    fn a_failed_build_says_what_is_live_only_where_something_is() {
        assert_eq!(live_words(true), "the version before it is still live");
        assert_eq!(live_words(false), "no version of it is live");
    }
}
