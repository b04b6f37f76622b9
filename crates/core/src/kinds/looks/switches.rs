//! What a setting of the tenant depends on, read again right before its write.

use serde_json::json;

use super::delivery::{self, NOBODY, Sender, delivers};
use super::handed_on;
use crate::kinds::remote::factors::{self, wire_factor};
use crate::kinds::{Run, Task, set_of};
use crate::model::call::Failed;
use crate::model::plan::Stage;
use crate::port::Reader;

/// `Some`: a former value stays away, and why. What was there before us stood on something that is gone, and no other
/// plan would bring it back.
pub type Kept = Option<&'static str>;

/// Such a look, for the stage at which the write stands.
pub type Before = for<'a> fn(&'a Run<'a>, Stage, &'a Reader) -> Task<'a, Result<Kept, Failed>>;

/// It depends on nothing.
pub fn nothing<'a>(_: &'a Run<'a>, _: Stage, _: &'a Reader) -> Task<'a, Result<Kept, Failed>> {
    Box::pin(async { Ok(None) })
}

/// Somebody sends phone messages. What is put back stands on what was there before us, and ours may be gone.
async fn sent(run: &Run<'_>, reader: &Reader) -> Result<Kept, Failed> {
    match run.step.op.restore {
        true => Ok((delivery::sender(reader).await? == Sender::Nobody).then_some(NOBODY)),
        false => delivers(run, reader).await.map(|()| None),
    }
}

/// The unified experience lets messages through the tenant's provider: everything that they pass through stands.
pub fn unified<'a>(run: &'a Run<'a>, _: Stage, reader: &'a Reader) -> Task<'a, Result<Kept, Failed>> {
    Box::pin(sent(run, reader))
}

/// A factor that goes on can be used, and one that goes off leaves another one where logins are asked.
pub fn factor<'a>(run: &'a Run<'a>, stage: Stage, reader: &'a Reader) -> Task<'a, Result<Kept, Failed>> {
    Box::pin(async move {
        let own = wire_factor(run.address);
        match stage {
            Stage::SwitchOff => {
                let policies = reader.get(&factors::POLICY.get()).await?;
                let asks = factors::POLICY.shaped(&policies)?.as_array().is_some_and(|asks| !asks.is_empty());
                if asks && !run.step.op.locked {
                    let on = factors::on(reader).await?;
                    let left: Vec<&str> = on.iter().map(String::as_str).filter(|name| *name != own).collect();
                    if left.is_empty() && on.iter().any(|name| name == own) {
                        let text = "the policy asks for a second factor by now, and this is the last one that is on; plan again";
                        return Err(Failed::NotDone(text.into()));
                    }
                    if left == ["sms"] {
                        delivery::carries_alone(run, reader).await?;
                    }
                }
                Ok(None)
            }
            _ if own != "sms" => Ok(None),
            _ if run.step.op.restore => sent(run, reader).await,
            _ => delivery::delivers_beside(run, reader).await.map(|()| None),
        }
    })
}

/// At least one factor can be used where the policy begins to ask for one.
pub fn policy<'a>(run: &'a Run<'a>, stage: Stage, reader: &'a Reader) -> Task<'a, Result<Kept, Failed>> {
    Box::pin(async move {
        if stage != Stage::RaisePolicy {
            return Ok(None);
        }
        let restores = run.step.op.restore;
        let on = factors::on(reader).await?;
        let locks = |why: &'static str| match restores {
            true => Ok(Some(why)),
            false => Err(Failed::NotDone(format!("{why}; plan again"))),
        };
        if on.is_empty() {
            return locks("no factor is on any more, and the policy would lock users out");
        }
        if on == ["sms"] {
            if let Some(why) = sent(run, reader).await? {
                return Ok(Some(why));
            }
            let reply = reader.get(&factors::MESSAGE_TYPES.get()).await?;
            if set_of(reply.get("message_types")) == json!([]) {
                return locks("the phone factor is the only one that is on, and no message type is");
            }
        } else if !restores && on.iter().any(|name| name == "sms") {
            // Some users have enrolled nothing but their phone.
            handed_on::live(run, reader).await?;
        }
        Ok(None)
    })
}

/// What the Action needs at Twilio is there, for another channel by which users get codes.
pub fn message_types<'a>(
    run: &'a Run<'a>,
    stage: Stage,
    reader: &'a Reader,
) -> Task<'a, Result<Kept, Failed>> {
    Box::pin(async move {
        if stage == Stage::MessageTypes && !run.step.op.restore {
            handed_on::live(run, reader).await?;
        }
        Ok(None)
    })
}

/// The Action that codes are about to be handed to is deployed and bound.
pub fn selected_provider<'a>(
    run: &'a Run<'a>,
    stage: Stage,
    reader: &'a Reader,
) -> Task<'a, Result<Kept, Failed>> {
    Box::pin(async move {
        if stage == Stage::Provider {
            delivery::action_stands(run, reader).await?;
        }
        Ok(None)
    })
}
