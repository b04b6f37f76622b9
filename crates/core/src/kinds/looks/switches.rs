//! Checks right before the write of a tenant's setting: what the setting depends on is read again.

use serde_json::json;

use super::delivery::{self, NOBODY, Sender, delivers};
use super::handed_on;
use crate::kinds::remote::factors::{self, wire_factor};
use crate::kinds::{Run, Task, set_of};
use crate::model::call::Failed;
use crate::model::plan::Stage;
use crate::port::Reader;

/// Why a former value is not put back; `None`: it is. The former value depends on something that is gone, and a new
/// plan would not change that, so this is no error.
pub type WhyNotPutBack = Option<&'static str>;

/// A check right before the write of a setting. It is given the stage of the write.
pub type Before = for<'a> fn(&'a Run<'a>, Stage, &'a Reader) -> Task<'a, Result<WhyNotPutBack, Failed>>;

/// The check of a setting that depends on nothing.
pub fn nothing<'a>(_: &'a Run<'a>, _: Stage, _: &'a Reader) -> Task<'a, Result<WhyNotPutBack, Failed>> {
    Box::pin(async { Ok(None) })
}

/// Checks that phone messages are sent. Before a former value is put back, any sender is enough: the value depends on
/// the sender from before this stack, and our own may be gone.
async fn ensure_sender(run: &Run<'_>, reader: &Reader) -> Result<WhyNotPutBack, Failed> {
    match run.step.op.restore {
        true => Ok((delivery::sender(reader).await? == Sender::Nobody).then_some(NOBODY)),
        false => delivers(run, reader).await.map(|()| None),
    }
}

/// The check for the unified experience, with which messages go through the tenant's phone provider: everything that
/// they pass through is in place.
pub fn unified<'a>(
    run: &'a Run<'a>,
    _: Stage,
    reader: &'a Reader,
) -> Task<'a, Result<WhyNotPutBack, Failed>> {
    Box::pin(ensure_sender(run, reader))
}

/// The check for a factor. If the phone factor is switched on, its messages have to be sent. A factor that is switched
/// off has to leave another one as long as the policy asks for a factor.
pub fn factor<'a>(
    run: &'a Run<'a>,
    stage: Stage,
    reader: &'a Reader,
) -> Task<'a, Result<WhyNotPutBack, Failed>> {
    Box::pin(async move {
        let own = wire_factor(run.address);
        match stage {
            Stage::SwitchOff => {
                let policies = reader.get(&factors::POLICY.get()).await?;
                let asks = factors::POLICY.shaped(&policies)?.as_array().is_some_and(|asks| !asks.is_empty());
                if asks && !run.step.op.locked {
                    let on = factors::enabled_factors(reader).await?;
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
            _ if run.step.op.restore => ensure_sender(run, reader).await,
            _ => delivery::delivers_beside(run, reader).await.map(|()| None),
        }
    })
}

/// The check for the policy. If it begins to ask for a factor, at least one factor has to be usable.
pub fn policy<'a>(
    run: &'a Run<'a>,
    stage: Stage,
    reader: &'a Reader,
) -> Task<'a, Result<WhyNotPutBack, Failed>> {
    Box::pin(async move {
        if stage != Stage::RaisePolicy {
            return Ok(None);
        }
        let restores = run.step.op.restore;
        let on = factors::enabled_factors(reader).await?;
        let locks = |why: &'static str| match restores {
            true => Ok(Some(why)),
            false => Err(Failed::NotDone(format!("{why}; plan again"))),
        };
        if on.is_empty() {
            return locks("no factor is on any more, and the policy would lock users out");
        }
        if on == ["sms"] {
            if let Some(why) = ensure_sender(run, reader).await? {
                return Ok(Some(why));
            }
            let reply = reader.get(&factors::MESSAGE_TYPES.get()).await?;
            if set_of(reply.get("message_types")) == json!([]) {
                return locks("only the phone factor is on, and it has no message type");
            }
        } else if !restores && on.iter().any(|name| name == "sms") {
            // Some users have enrolled nothing but their phone.
            handed_on::credentials_and_service_hold(run, reader).await?;
        }
        Ok(None)
    })
}

/// The check for the message types. If users are to get codes by another channel, everything that the Action needs at
/// Twilio has to be in place.
pub fn message_types<'a>(
    run: &'a Run<'a>,
    stage: Stage,
    reader: &'a Reader,
) -> Task<'a, Result<WhyNotPutBack, Failed>> {
    Box::pin(async move {
        if stage == Stage::MessageTypes && !run.step.op.restore {
            handed_on::credentials_and_service_hold(run, reader).await?;
        }
        Ok(None)
    })
}

/// The check for the selected provider: the Action that is about to be handed the codes is deployed and bound.
pub fn selected_provider<'a>(
    run: &'a Run<'a>,
    stage: Stage,
    reader: &'a Reader,
) -> Task<'a, Result<WhyNotPutBack, Failed>> {
    Box::pin(async move {
        if stage == Stage::Provider {
            delivery::action_stands(run, reader).await?;
        }
        Ok(None)
    })
}
