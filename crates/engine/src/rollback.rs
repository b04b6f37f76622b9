//! Takes back what the last run changed: the use case of `lockstep rollback`, and of a watch that sees a run fail.

use super::apply::Wishes;
use super::observe::Session;
use super::reconcile::{Decided, Report, reconcile};
use crate::model::call::Failed;
use crate::model::plan::Plan;
use crate::port::Port;

/// Plans the way back from the last run on record, lets `decide` judge the plan, and carries it out. It goes the way of
/// every run: proof, lease, intent, steps, result. A rollback that was cut off is finished by the next one.
///
/// # Errors
/// The tenant could not be read; nothing was changed.
pub async fn rollback(
    session: Session,
    wishes: Wishes,
    decide: impl FnMut(&Plan) -> Decided,
    port: &Port,
) -> Result<Report, Failed> {
    reconcile(Session { rollback: true, destroy: false, ..session }, wishes, decide, port).await
}
