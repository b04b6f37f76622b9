//! Many stacks in one process: one engine, one transport, and a session for each tenant.

use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;

use super::clock;
use super::driver::{Driver, Transport};
use super::secrets;
use super::signals::Signals;
use super::stack::{Settings, session};
use crate::engine::observe::{Observation, Session, observe};
use crate::engine::{Connection, TenantId};
use crate::model::call::Failed;
use crate::model::event::Told;
use crate::model::manifest::Manifest;

/// Time that every tenant adds to the deadline of a command over a fleet.
const EACH: Duration = Duration::from_secs(10);

/// A tenant that is ready to be read.
pub struct Member {
    pub tenant: TenantId,
    pub session: Session,
}

/// The tenants of a fleet over one engine. `'a` is the lifetime of the event callback.
pub struct Crowd<'a> {
    pub driver: Driver<'a>,
    pub members: Vec<Member>,
}

impl<'a> Crowd<'a> {
    /// Connects all tenants. Sends nothing yet.
    ///
    /// # Errors
    /// The system gives no random bytes, or the runtime cannot be started.
    pub fn new(
        stacks: Vec<(Connection, Rc<Manifest>)>,
        transport: Transport,
        settings: &Settings,
        signals: Signals,
        show: impl FnMut(Told) + 'a,
    ) -> Result<Crowd<'a>> {
        let mut driver = Driver::new(transport, secrets::seed()?, signals, show)?;
        let mut members = Vec::with_capacity(stacks.len());
        for (connection, manifest) in stacks {
            let session = session(&connection, manifest, settings)?;
            members.push(Member { tenant: driver.connect(connection), session });
        }
        let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
        let deadline = settings.deadline.saturating_add(EACH.saturating_mul(count));
        driver.set_deadline(driver.now_ms().saturating_add(clock::millis(deadline)));
        Ok(Crowd { driver, members })
    }

    /// Reads and plans each of these members, side by side; nothing is written. The results have their order; `keep` takes
    /// of each what is needed, as soon as it is there.
    ///
    /// # Errors
    /// The outer error is a bug of this program; the inner ones are failed requests.
    pub fn observe<T: 'static>(
        &mut self,
        members: &[usize],
        keep: impl Fn(Observation) -> T + Clone + 'static,
    ) -> Result<Vec<Result<T, Failed>>> {
        let started: Vec<_> = members
            .iter()
            .map(|at| {
                let Member { tenant, session } = &self.members[*at];
                let (session, keep) = (session.clone(), keep.clone());
                self.driver.spawn(*tenant, move |port| async move {
                    observe(&session, &port.reader()).await.map(keep)
                })
            })
            .collect();
        let tasks: Vec<_> = started.iter().map(|(task, _)| *task).collect();
        self.driver.drive(&tasks)?;
        Ok(started.into_iter().map(|(_, slot)| slot.take().unwrap_or(Err(Failed::Stopped))).collect())
    }
}
