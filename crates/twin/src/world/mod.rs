//! The state that both vendors hold, as plain data. A test may read and change every field; that is how it plays
//! another operator. Times are Unix milliseconds where the twin computes with them, and text where a vendor shows them.
//!
//! A world holds secrets in clear text (Action secrets, webhook authorization, Function variables, key secrets). It is
//! a sandbox: never put real credentials into one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

mod auth0;
mod twilio;

pub use self::auth0::*;
pub use self::twilio::*;

use super::ids::Ids;
use super::options::Flag;

/// Everything that exists at both vendors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    pub ids: Ids,
    /// Keyed by canonical domain.
    #[serde(default)]
    pub tenants: BTreeMap<String, Tenant>,
    /// Custom domains: from host to canonical domain of the tenant.
    #[serde(default)]
    pub custom_domains: BTreeMap<String, String>,
    /// Keyed by account SID.
    #[serde(default)]
    pub accounts: BTreeMap<String, Account>,
    /// The API keys that the world knows, keyed by key SID.
    #[serde(default)]
    pub keys: BTreeMap<String, ApiKey>,
}

impl World {
    pub fn new(seed: u64) -> World {
        World {
            ids: Ids::new(seed),
            tenants: BTreeMap::new(),
            custom_domains: BTreeMap::new(),
            accounts: BTreeMap::new(),
            keys: BTreeMap::new(),
        }
    }

    /// The tenant of that domain. A missing tenant is created with the unified phone experience on.
    pub fn tenant_mut(&mut self, domain: &str) -> &mut Tenant {
        self.tenants.entry(domain.to_owned()).or_insert_with(|| Tenant::fresh(domain, Flag::On))
    }

    /// The account of that SID. A missing account is created.
    pub fn account_mut(&mut self, sid: &str) -> &mut Account {
        self.accounts.entry(sid.to_owned()).or_insert_with(|| Account::fresh(sid))
    }

    /// Adds a built and deployed Action to a tenant, as if another operator had made it. The Action can be bound at
    /// once. Returns its id.
    pub fn add_deployed_action(
        &mut self,
        domain: &str,
        name: &str,
        trigger: &TriggerRef,
        now_ms: u64,
    ) -> String {
        let stamp = self.ids.stamp(now_ms);
        let (id, version_id) = (self.ids.uuid(), self.ids.uuid());
        let code = "exports.placeholder = async (event, api) => {};\n".to_owned();
        let version = ActionVersion {
            id: version_id.clone(),
            number: 1,
            code: code.clone(),
            dependencies: Vec::new(),
            runtime: "node22".into(),
            secrets: Vec::new(),
            modules: Vec::new(),
            supported_triggers: vec![trigger.clone()],
            created_at: stamp.clone(),
            updated_at: stamp.clone(),
            built_at: stamp.clone(),
        };
        let action = Action {
            id: id.clone(),
            name: name.to_owned(),
            supported_triggers: vec![trigger.clone()],
            code,
            dependencies: Vec::new(),
            runtime: "node22".into(),
            secrets: Vec::new(),
            modules: Vec::new(),
            created_at: stamp.clone(),
            updated_at: stamp,
            build: Build {
                started_at_ms: now_ms,
                ends_at_ms: now_ms,
                fails: false,
                with_dependencies: false,
            },
            draft_version: Some(version_id.clone()),
            versions: vec![version],
            deployment: Some(Deployment {
                version_id,
                former_version_id: None,
                visible_at_ms: now_ms,
                bindable_at_ms: now_ms,
            }),
        };
        self.tenant_mut(domain).actions.push(action);
        id
    }

    /// Revokes what the Actions of a tenant send with, API keys and auth tokens, or makes it work again.
    pub fn revoke_senders(&mut self, domain: &str, is_revoked: bool) {
        const ROLLED: &str = " (rolled)";
        let Some(tenant) = self.tenants.get(domain) else { return };
        let versions = tenant.actions.iter().filter_map(Action::live_version);
        let secrets: Vec<&Secret> = versions.flat_map(|version| &version.secrets).collect();
        let values: Vec<String> = secrets.iter().map(|secret| secret.value.clone()).collect();
        // A token is of the account that is named beside it.
        for account in self.accounts.values_mut().filter(|account| values.contains(&account.sid)) {
            let token = account.auth_token.take().unwrap_or_default();
            let token = token.trim_end_matches(ROLLED).to_owned();
            account.auth_token = match is_revoked {
                true => Some(format!("{token}{ROLLED}")),
                false => Some(token).filter(|token| !token.is_empty()),
            };
        }
        let accounts: Vec<String> = self.accounts.keys().cloned().collect();
        for sid in values.into_iter().filter(|value| value.starts_with("SK") && value.len() == 34) {
            let account = accounts.iter().find(|account| account[2..] == sid[2..]).or(accounts.first());
            let key = self.keys.entry(sid).or_insert_with(|| ApiKey {
                friendly_name: "Twin key".into(),
                ..ApiKey::new(account.map_or("", String::as_str), KeyKind::Standard)
            });
            key.deleted = is_revoked;
        }
    }

    /// Appends a binding to a trigger without any check of the API.
    pub fn bind(&mut self, domain: &str, trigger_id: &str, action_id: &str, display_name: &str, now_ms: u64) {
        let stamp = self.ids.stamp(now_ms);
        let binding = Binding {
            id: self.ids.uuid(),
            action_id: action_id.to_owned(),
            display_name: display_name.to_owned(),
            created_at: stamp.clone(),
            updated_at: stamp,
        };
        self.tenant_mut(domain).bindings.entry(trigger_id.to_owned()).or_default().push(binding);
    }
}

/// An npm package that an Action or a Function needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    pub name: String,
    pub version: String,
}
