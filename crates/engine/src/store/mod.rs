//! Where the ledger is kept: in the tenant, in a file, or nowhere.
//!
//! A store replaces only the record that it has read. A file has a conditional write for that (`model::place`). The
//! tenant has none, so there the lease, a re-read of the serial and the nonce of the intent guard the record.

mod file;
mod tenant;

use crate::ledger::seal::{Keys, Proof};
use crate::model::call::Failed;
use crate::model::codes::{self, Code};
use crate::model::ledger::Ledger;
use crate::model::place::{Place, Tag};
use crate::model::plan::{Finding, Level};
use crate::port::{Port, Reader};

/// Where the ledger is kept.
#[derive(Clone)]
pub enum Store {
    Tenant,
    File(Place),
    None,
}

/// The present content of the ledger's place, which the next write replaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stands {
    /// In the tenant: id of the ledger Action, also of one that is not trusted.
    pub action_id: Option<String>,
    /// In a file: its content.
    pub tag: Tag,
}

/// The ledger as it was read, and what there is to say about it.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub ledger: Option<Ledger>,
    pub stands: Stands,
    pub findings: Vec<Finding>,
    /// Nonce of the intent on record, also if the record is not trusted.
    pub nonce: Option<String>,
    /// Findings that do not come from the record: objects of an unfinished run that nobody can tell from others, and
    /// credentials that `drift` tried.
    pub unclear: Vec<Finding>,
    /// The records of other stacks in the tenant, where the whole list of Actions was read.
    pub others: Vec<Ledger>,
}

impl Found {
    /// Whether the record is as it was when `known` was read.
    pub fn is_as(&self, known: &Found) -> bool {
        let serial = |found: &Found| found.ledger.as_ref().map(|ledger| ledger.serial);
        serial(self) == serial(known) && self.stands == known.stands && self.findings == known.findings
    }

    /// Takes a record that can be read, and trusts it as far as its seals prove it.
    fn take(&mut self, mut ledger: Ledger, owner: &Owner<'_>) {
        self.nonce = ledger.intent.as_ref().map(|intent| intent.nonce.clone());
        let proof = owner.keys.proof(&ledger);
        let told = match &proof {
            Proof::Sealed => None,
            Proof::OfOthers(labels) if owner.reads_only => Some((
                codes::OTHER_SEAL,
                Level::Note,
                format!(
                    "the seal of the record cannot be checked with these credentials: it was made with {}",
                    labels.join(", ")
                ),
                "nothing to do: the apply checks the seal, and takes away nothing that no seal proves",
            )),
            Proof::OfOthers(labels) => Some((
                codes::OTHER_SEAL,
                Level::Note,
                format!("the record is sealed by other credentials than these: {}", labels.join(", ")),
                UNPROVEN,
            )),
            Proof::Broken(labels) => Some((
                codes::BROKEN_SEAL,
                Level::Warning,
                format!(
                    "the seal that was made with {} does not match the record: somebody else wrote it, or that credential has changed since",
                    labels.join(", ")
                ),
                UNPROVEN,
            )),
            Proof::Absent => Some((
                codes::NO_SEAL,
                Level::Note,
                "the record has no seal: an older version or somebody else wrote it".to_owned(),
                UNPROVEN,
            )),
        };
        if let Some((code, level, text, help)) = told {
            self.findings.push(finding(code, level, text, help));
        }
        let on_trust = owner.reads_only && matches!(proof, Proof::OfOthers(_));
        if proof != Proof::Sealed && !on_trust {
            ledger.distrust();
        }
        self.ledger = Some(ledger);
    }
}

impl Found {
    /// Whether the records of other stacks are as they were when `known` was read.
    pub fn has_others_as(&self, known: &Found) -> bool {
        let serials = |found: &Found| -> Vec<(String, u64)> {
            found.others.iter().map(|other| (other.stack.clone(), other.serial)).collect()
        };
        serials(self) == serials(known)
    }
}

/// Help for a record that no seal of these credentials proves.
const UNPROVEN: &str = "the record is still used to compare, but it alone is no reason to take away or put back anything: name what may go with --delete ID";

/// The owner of a ledger, and the keys that prove it.
pub struct Owner<'a> {
    pub stack: &'a str,
    pub tenant: &'a str,
    pub account: &'a str,
    pub keys: Keys,
    /// Whether the run writes nothing: see [`super::observe::Session::purpose`].
    pub reads_only: bool,
}

fn finding(code: Code, level: Level, text: String, help: &str) -> Finding {
    Finding { code, address: "ledger".into(), text, help: help.into(), level }
}

impl Store {
    /// The kind of place, as the command line names it.
    pub fn name(&self) -> &'static str {
        match self {
            Store::Tenant => "tenant",
            Store::File(_) => "file",
            Store::None => "none",
        }
    }

    /// Whether a ledger is kept at all.
    pub fn keeps(&self) -> bool {
        !matches!(self, Store::None)
    }

    /// Scopes of the Management API that the writes of the record need: the intent, then the result or the removal.
    pub fn scopes(&self, found: &Found, destroy: bool) -> &'static [&'static str] {
        match self {
            Store::Tenant => tenant::scopes(&found.stands, destroy),
            Store::File(_) | Store::None => &[],
        }
    }

    /// Reads the ledger. `fresh`: also reads again what this phase has read already.
    pub async fn load(&self, owner: Owner<'_>, reader: &Reader, fresh: bool) -> Result<Found, Failed> {
        match self {
            Store::None => Ok(Found::default()),
            Store::File(place) => file::load(place, &owner, reader).await,
            Store::Tenant => tenant::load(&owner, reader, fresh).await,
        }
    }

    /// Adds what other stacks have on record in the tenant, also where this one keeps its record elsewhere. A token
    /// that may not list Actions shows none.
    ///
    /// # Errors
    /// The list cannot be read for another reason, so the records of other stacks are not known.
    pub async fn add_others(
        &self,
        found: &mut Found,
        owner: &Owner<'_>,
        reader: &Reader,
        fresh: bool,
    ) -> Result<(), Failed> {
        if !matches!(self, Store::Tenant) {
            found.others = tenant::load_others(owner, reader, fresh).await?;
        }
        Ok(())
    }

    /// Reads the record again. Once the Action is known, this reads the Action alone, not the whole list.
    pub async fn reload(&self, owner: Owner<'_>, known: &Stands, reader: &Reader) -> Result<Found, Failed> {
        match (self, &known.action_id) {
            (Store::Tenant, Some(id)) => tenant::reload(&owner, id, reader).await,
            _ => self.load(owner, reader, true).await,
        }
    }

    /// Replaces the content that `stands` names by the ledger, and updates `stands`.
    ///
    /// # Errors
    /// [`Failed::Moved`]: a file holds another content by now. Otherwise the write failed, or its outcome is unknown.
    pub async fn save(&self, ledger: &Ledger, stands: &mut Stands, port: &Port) -> Result<(), Failed> {
        match self {
            Store::None => Ok(()),
            Store::File(place) => file::save(place, ledger, &mut stands.tag, port).await,
            Store::Tenant => {
                let id = tenant::save(ledger, stands.action_id.clone(), port).await?;
                stands.action_id = Some(id);
                Ok(())
            }
        }
    }

    /// Writes the ledger beside its place, for the case that the place holds another record ([`Failed::Moved`]).
    /// Returns the new place; `None` for a store without such a case.
    ///
    /// # Errors
    /// The ledger cannot be written there either.
    pub async fn put_beside(
        &self,
        ledger: &Ledger,
        mark: &str,
        port: &Port,
    ) -> Result<Option<Place>, Failed> {
        let Store::File(place) = self else { return Ok(None) };
        let beside = Place(format!("{}.{mark}", place.0));
        file::save(&beside, ledger, &mut Tag::Absent, port).await?;
        Ok(Some(beside))
    }

    /// Whether another first run created a ledger at the same time and this run gives way. The ledger with the smaller
    /// id stays; the run that gives way has deleted its own.
    pub async fn yields(&self, owner: Owner<'_>, stands: &Stands, port: &Port) -> Result<bool, Failed> {
        match (self, &stands.action_id) {
            (Store::Tenant, Some(mine)) => tenant::yields(&owner, mine, port).await,
            _ => Ok(false),
        }
    }

    /// Removes the ledger after everything else is gone.
    pub async fn remove(&self, stands: Stands, port: &Port) -> Result<(), Failed> {
        match (self, stands) {
            (Store::File(place), Stands { tag, .. }) => port.keep(place, None, tag).await.map(drop),
            (Store::Tenant, Stands { action_id: Some(id), .. }) => tenant::remove(&id, port).await,
            _ => Ok(()),
        }
    }
}
