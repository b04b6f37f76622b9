//! Many stacks in one process: one engine, one transport, and a session for each tenant.

use std::future::Future;
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
use crate::port::Reader;

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
    deadline: Duration,
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
        Ok(Crowd::of(driver, members, settings.deadline))
    }

    /// Tenants that are connected already. `deadline`: the time that the work on one may take.
    pub fn of(driver: Driver<'a>, members: Vec<Member>, deadline: Duration) -> Crowd<'a> {
        let mut crowd = Crowd { driver, members, deadline };
        let at_ms = crowd.driver.now_ms().saturating_add(crowd.time_of(crowd.members.len()));
        crowd.driver.set_deadline(at_ms);
        crowd
    }

    /// The time that work on so many tenants may take, in ms.
    pub fn time_of(&self, tenants: usize) -> u64 {
        let count = u32::try_from(tenants).unwrap_or(u32::MAX);
        clock::millis(self.deadline.saturating_add(EACH.saturating_mul(count)))
    }

    /// Reads and plans each of these members, side by side; nothing is written. The results have their order.
    ///
    /// # Errors
    /// The outer error is a bug of this program; the inner ones are failed requests.
    pub fn observe(&mut self, members: &[usize]) -> Result<Vec<Result<Observation, Failed>>> {
        self.each(members.iter().copied(), |session, reader| async move { observe(&session, &reader).await })
    }

    /// Runs a reading for each of these members, side by side. The results have their order.
    ///
    /// # Errors
    /// As [`Crowd::observe`].
    pub fn each<T, F>(
        &mut self,
        members: impl IntoIterator<Item = usize>,
        make: impl Fn(Session, Reader) -> F,
    ) -> Result<Vec<Result<T, Failed>>>
    where
        T: 'static,
        F: Future<Output = Result<T, Failed>> + 'static,
    {
        let Crowd { driver, members: all, .. } = self;
        let each = members.into_iter().map(|at| (all[at].tenant, all[at].session.clone()));
        driver.run_each(each, |session, port| make(session, port.reader()))
    }
}
