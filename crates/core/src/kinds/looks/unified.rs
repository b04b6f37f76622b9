//! Whether the tenant has the unified phone experience on.

use crate::kinds::remote::{legacy, tenant};
use crate::model::call::Failed;
use crate::port::Reader;

/// Finds out from a legacy call whether the experience is on, for tenants whose settings do not have the flag. Auth0
/// refuses legacy calls while the experience is on.
pub async fn probed(reader: &Reader) -> Result<bool, Failed> {
    match reader.get(&legacy::SELECTED.get()).await {
        Ok(_) => Ok(false),
        Err(failed) if is_locked(&failed, reader).await? => Ok(true),
        Err(failed) => Err(failed),
    }
}

/// Whether the tenant has the unified phone experience on now, by its flag or else by [`probed`].
pub async fn is_on(reader: &Reader) -> Result<bool, Failed> {
    let reply = reader.get(&tenant::SETTINGS.get()).await?;
    match tenant::unified(tenant::SETTINGS.shaped(&reply)?) {
        Some(enabled) => Ok(enabled),
        None => probed(reader).await,
    }
}

/// Whether a legacy call was refused because the unified experience is on.
///
/// The documents name 403 as the status of that refusal, but no recording shows it, so 404 counts too. Its code is not
/// known. Auth0 uses the code of a missing scope for other refusals too, so this code counts as a missing scope only if
/// the token is not known to have the scope. A gateway may refuse one call by chance, and much depends on the answer, so
/// two different calls have to be refused.
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
