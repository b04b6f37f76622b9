//! Checks, right before the post-login rules take effect, that they can be met. The rules say which logins are asked
//! for a factor.

use std::rc::Rc;

use serde_json::{Value as Json, json};

use super::delivery::delivers;
use super::handed_on;
use crate::kinds::remote::read::Read;
use crate::kinds::remote::{factors, tenant};
use crate::kinds::said::rules::{SECTION, code_with_rules, demanded, rules_in_code};
use crate::kinds::{Run, Task, array, object, text};
use crate::model::call::Failed;
use crate::model::event::Event;
use crate::model::facts::Factor;
use crate::port::{Reader, join_all};

/// The check right before a deployment. The code of an Action that is not bound has no effect, so it needs no check.
pub fn ready_when_bound<'a>(run: &'a Run<'a>, reader: &'a Reader) -> Task<'a, Result<(), Failed>> {
    let binding = run.ids.get("mfa_post_login_binding").and_then(|ids| ids.get("action_id"));
    match binding {
        Some(id) if !id.is_empty() => ready(run, reader),
        _ => Box::pin(async { Ok(()) }),
    }
}

/// The check right before the rules take effect. Each rule can be met by a factor that is on. The tenant lets Actions
/// ask for factors. The login can show the challenge of an Action. If a rule accepts the phone, its delivery is checked
/// too.
pub fn ready<'a>(run: &'a Run<'a>, reader: &'a Reader) -> Task<'a, Result<(), Failed>> {
    Box::pin(async move {
        let gets = [&factors::FACTOR_LIST, &tenant::SETTINGS, &tenant::PROMPTS].map(Read::get);
        let tasks: Vec<Task<'_, Result<Rc<Json>, Failed>>> =
            gets.iter().map(|get| Box::pin(async move { reader.get(get).await }) as Task<'_, _>).collect();
        let mut replies = join_all(tasks).await.into_iter();
        let (Some(factors), Some(settings), Some(prompts)) = (replies.next(), replies.next(), replies.next())
        else {
            return Ok(());
        };
        let (factors, settings) = (factors?, settings?);
        let on: Vec<&str> = array(&factors, "GET /api/v2/guardian/factors")?
            .iter()
            .filter(|factor| factor["enabled"] == json!(true))
            .map(|factor| text(factor, "name"))
            .collect();
        let code =
            code_with_rules(run.manifest, run.manifest.text(SECTION, "code").unwrap_or_default().into());
        let demands = rules_in_code(code.as_str().unwrap_or_default()).map(|rules| demanded(&rules));
        let (mut by_phone, mut also_by_phone) = (false, false);
        for (name, accepted) in demands.unwrap_or_default().0 {
            let usable: Vec<&str> =
                accepted.iter().map(Factor::word).filter(|wire| on.contains(wire)).collect();
            if usable.is_empty() {
                return Err(Failed::NotDone(format!(
                    "every factor that meets the rule {name} is off by now, so the rule would lock users out; plan again"
                )));
            }
            by_phone |= usable == ["sms"];
            also_by_phone |= usable.contains(&"sms");
        }
        if object(&settings, "GET /api/v2/tenants/settings")?["customize_mfa_in_postlogin_action"]
            != json!(true)
        {
            return Err(Failed::NotDone(
                "the tenant does not let Actions ask for factors any more, and the logins would fail; plan again"
                    .into(),
            ));
        }
        match prompts {
            Ok(reply) if text(&reply, "universal_login_experience") == "classic" => {
                return Err(Failed::NotDone(
                    "the tenant has the classic login, which cannot show the challenge of an Action; set \
                     universal_login.experience: new"
                        .into(),
                ));
            }
            Ok(_) => {}
            Err(failed) if failed.status() == Some(403) => reader.tell(Event::notice(format!(
                "whether the tenant has the New Universal Login could not be read ({failed}); the rules need it"
            ))),
            Err(failed) => return Err(failed),
        }
        match (by_phone, also_by_phone) {
            (true, _) => delivers(run, reader).await,
            (false, true) => handed_on::credentials_and_service_hold(run, reader).await,
            (false, false) => Ok(()),
        }
    })
}
