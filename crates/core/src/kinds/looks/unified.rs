//! Whether the tenant has the unified phone experience on.

use crate::kinds::remote::{legacy, tenant};
use crate::model::call::Failed;
use crate::port::Reader;

/// What the refusal of a legacy call says, where the flag does not.
pub async fn probed(reader: &Reader) -> Result<bool, Failed> {
    match reader.get(&legacy::SELECTED.get()).await {
        Ok(_) => Ok(false),
        Err(failed) if is_locked(&failed, reader).await? => Ok(true),
        Err(failed) => Err(failed),
    }
}

/// Whether the tenant has the unified phone experience on now.
pub async fn is_on(reader: &Reader) -> Result<bool, Failed> {
    let reply = reader.get(&tenant::SETTINGS.get()).await?;
    match tenant::unified(tenant::SETTINGS.shaped(&reply)?) {
        Some(enabled) => Ok(enabled),
        None => probed(reader).await,
    }
}

/// Whether a legacy call is refused because the unified experience is on. Which code that refusal has is not known, and
/// the code of a missing scope is used for other refusals too: the scopes of the token itself count for more. One
/// refusal can be a gateway's mood, and much hangs on it, so two calls have to be refused.
pub async fn is_locked(failed: &Failed, reader: &Reader) -> Result<bool, Failed> {
    let granted = || {
        let scopes = reader.scopes();
        scopes.is_some_and(|scopes| scopes.iter().any(|scope| scope == "read:guardian_factors"))
    };
    let refused = |failed: &Failed| {
        let status = failed.status();
        status == Some(404)
            || status == Some(403) && (failed.code() != Some("insufficient_scope") || granted())
    };
    if !refused(failed) {
        return Ok(false);
    }
    for read in [&legacy::SELECTED, &legacy::TEMPLATES] {
        match reader.get(&read.get()).await {
            Err(failed) if refused(&failed) => {}
            Ok(_) | Err(Failed::Refused(_)) => return Ok(false),
            Err(failed) => return Err(failed),
        }
    }
    Ok(true)
}
