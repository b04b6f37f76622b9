//! The reads of the tenant's phone provider.

use serde_json::{Value as Json, json};

use crate::kinds::{set_of, text};
use crate::model::call::{Api, Get};
use crate::model::facts::{Delivery, Fact, Facts, Provider};

/// The path at which phone providers are listed and created.
pub const PATH: &str = "/api/v2/branding/phone/providers";

/// The list of phone providers. A tenant has at most one.
pub fn list_providers() -> Get {
    Get::whole(Api::Auth0, PATH)
}

/// The facts about who sends, and by which methods.
pub fn sends(provider: Provider, methods: &Json) -> Facts {
    let methods = set_of(Some(methods));
    let methods =
        methods.as_array().into_iter().flatten().filter_map(Json::as_str).map(Delivery::from).collect();
    Facts::from([Fact::Provider(provider), Fact::Methods(methods)])
}

/// The facts about a provider of the list. `provider` is `None` if the tenant has none.
pub fn facts(provider: Option<&Json>) -> Facts {
    let Some(provider) = provider else { return sends("absent".into(), &Json::Null) };
    let name =
        if provider["disabled"] == json!(true) { Provider::Disabled } else { text(provider, "name").into() };
    sends(name, &provider["configuration"]["delivery_methods"])
}
