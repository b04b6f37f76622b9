//! The one place where a watch has a run taken back.

use super::observe::Session;
use super::reconcile::Report;
use crate::model::call::Failed;
use crate::port::Port;

/// Takes back what the last run on record changed.
///
/// # Errors
/// Nothing was taken back. Says what to do by hand.
pub async fn take_back(_session: &Session, _port: &Port) -> Result<Report, Failed> {
    Err(Failed::NotDone("apply the former revision of the manifest".into()))
}
