//! Where the ledger is kept: in the tenant, in a file, or nowhere.
//!
//! Each store reads what stands there, and writes over that and nothing else. A file answers for it (`model::place`); the
//! tenant has no such write, so there the lease, a re-read of the serial and the nonce of the intent see to it.

mod file;
mod tenant;

use crate::ledger::seal::{Keys, Proof};
use crate::model::call::Failed;
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

/// What stands where the ledger is kept: what a write goes over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stands {
    /// In the tenant: id of the ledger Action, also of one that is not trusted.
    pub action_id: Option<String>,
    /// In a file: its content.
    pub tag: Tag,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub ledger: Option<Ledger>,
    pub stands: Stands,
    pub findings: Vec<Finding>,
    /// Nonce of the intent on record, whether or not that is believed.
    pub nonce: Option<String>,
    /// What an unfinished run made and nobody can tell apart, and what was tried beside; no part of the record.
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

    /// Takes a record that can be read, for as much as its seals prove.
    fn take(&mut self, mut ledger: Ledger, owner: &Owner<'_>) {
        self.nonce = ledger.intent.as_ref().map(|intent| intent.nonce.clone());
        let proof = owner.keys.proof(&ledger);
        let told = match &proof {
            Proof::Sealed => None,
            Proof::OfOthers(labels) if owner.reads_only => Some((
                Level::Note,
                format!(
                    "the seal of the record cannot be checked with these credentials: it is by {}",
                    labels.join(", ")
                ),
                "nothing to do: whoever applies this checks it, and takes nothing away that is not proven",
            )),
            Proof::OfOthers(labels) => Some((
                Level::Note,
                format!("the record is sealed by other credentials than these: {}", labels.join(", ")),
                UNPROVEN,
            )),
            Proof::Broken(labels) => Some((
                Level::Warning,
                format!(
                    "the record's seal by {} does not fit: somebody else wrote it, or that credential has changed since",
                    labels.join(", ")
                ),
                UNPROVEN,
            )),
            Proof::Absent => Some((
                Level::Note,
                "the record has no seal: an older version wrote it, or somebody else did".to_owned(),
                UNPROVEN,
            )),
        };
        if let Some((level, text, help)) = told {
            self.findings.push(finding(level, text, help));
        }
        let on_trust = owner.reads_only && matches!(proof, Proof::OfOthers(_));
        if proof != Proof::Sealed && !on_trust {
            ledger.distrust();
        }
        self.ledger = Some(ledger);
    }
}

impl Found {
    /// Whether other stacks have on record what they had when `known` was read.
    pub fn has_others_as(&self, known: &Found) -> bool {
        let serials = |found: &Found| -> Vec<(String, u64)> {
            found.others.iter().map(|other| (other.stack.clone(), other.serial)).collect()
        };
        serials(self) == serials(known)
    }
}

/// What is done with a record that nothing proves.
const UNPROVEN: &str =
    "it is compared with, and nothing is taken away or put back on its word: name what may go by --delete ID";

/// Whose ledger it is, and what proves it.
pub struct Owner<'a> {
    pub stack: &'a str,
    pub tenant: &'a str,
    pub account: &'a str,
    pub keys: Keys,
    /// Nothing is written: see [`super::observe::Session::purpose`].
    pub reads_only: bool,
}

fn finding(level: Level, text: String, help: &str) -> Finding {
    Finding { address: "ledger".into(), text, help: help.into(), level }
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

    /// Whether anything is remembered at all.
    pub fn keeps(&self) -> bool {
        !matches!(self, Store::None)
    }

    /// Scopes of the Management API that writing the record needs: intent, then result (or its removal).
    pub fn scopes(&self, found: &Found, destroy: bool) -> &'static [&'static str] {
        match self {
            Store::Tenant => tenant::scopes(&found.stands, destroy),
            Store::File(_) | Store::None => &[],
        }
    }

    /// Reads the ledger; `fresh` reads past what this phase has read already.
    pub async fn load(&self, owner: Owner<'_>, reader: &Reader, fresh: bool) -> Result<Found, Failed> {
        match self {
            Store::None => Ok(Found::default()),
            Store::File(place) => file::load(place, &owner, reader).await,
            Store::Tenant => tenant::load(&owner, reader, fresh).await,
        }
    }

    /// Adds what other stacks have on record in the tenant, also where this one keeps its record elsewhere. A token that
    /// may not list Actions shows none.
    ///
    /// # Errors
    /// The list cannot be read for another reason, so nobody knows.
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

    /// Re-reads the serial and nonce only: cheaper than the whole list once the Action is known.
    pub async fn reload(&self, owner: Owner<'_>, known: &Stands, reader: &Reader) -> Result<Found, Failed> {
        match (self, &known.action_id) {
            (Store::Tenant, Some(id)) => tenant::reload(&owner, id, reader).await,
            _ => self.load(owner, reader, true).await,
        }
    }

    /// Writes the ledger over what stands there, and says in `stands` what does from now on.
    ///
    /// # Errors
    /// [`Failed::Moved`] where a file does not hold that any more; otherwise it failed, or nobody knows.
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

    /// Writes the ledger beside its place, which holds another one: see [`Failed::Moved`]. Answers where that is; `None`
    /// for a store to which that does not happen.
    ///
    /// # Errors
    /// It cannot be written there either.
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

    /// Whether another first run has made a ledger at the same time and this one gives way: the smaller id stays, and
    /// the other run takes its own away again.
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
