//! The ledger in a file, or in any other place that replaces a content only if it is the expected one.

use super::{Found, Owner, Stands, finding};
use crate::ledger;
use crate::model::call::Failed;
use crate::model::ledger::Ledger;
use crate::model::place::{Content, Place, Tag};
use crate::model::plan::Level;
use crate::model::text;
use crate::port::{Port, Reader};

pub(super) async fn load(place: &Place, owner: &Owner<'_>, reader: &Reader) -> Result<Found, Failed> {
    let Content { text, tag } = reader.content(place).await?;
    let mut found = Found { stands: Stands { tag, ..Stands::default() }, ..Found::default() };
    let Some(text) = text else { return Ok(found) };
    match ledger::parse(text.as_bytes(), owner.stack, owner.tenant, owner.account) {
        Ok(ledger) => found.take(ledger, owner),
        // The user named the file on the command line, so a wrong one is a mistake to stop at.
        Err(fault) => found.findings.push(finding(
            fault.code(),
            Level::Blocker,
            format!("the ledger file cannot be used: {fault}"),
            "name the right file with --ledger file:PATH, or move this one away",
        )),
    }
    Ok(found)
}

/// Replaces the content with this tag by the ledger. `tag` is the ledger's afterwards.
pub(super) async fn save(place: &Place, ledger: &Ledger, tag: &mut Tag, port: &Port) -> Result<(), Failed> {
    let text = serde_json::to_string_pretty(ledger).map_err(|error| Failed::NotDone(error.to_string()))?;
    let ours = Content::from(Some(text::json(&(text + "\n"))));
    let kept = port.keep(place, ours.text, tag.clone()).await;
    let stands = match &kept {
        Ok(now) => now.tag == ours.tag,
        // The ledger may have arrived all the same; then the next try has to replace that.
        Err(Failed::NotDone(_) | Failed::Unknown(_)) => {
            port.reader().content(place).await.is_ok_and(|now| now.tag == ours.tag)
        }
        Err(_) => false,
    };
    if stands {
        *tag = ours.tag;
    }
    kept.map(drop)
}
