//! The policy: when logins are asked for a second factor.

use serde_json::{Value as Json, json};

use super::row::{SETTING, Setting, switch};
use crate::diag::{Problem, codes};
use crate::kinds::looks::switches;
use crate::kinds::remote::factors::POLICY;
use crate::model::api::Method;
use crate::model::facts::Fact;
use crate::model::field::{FIELD, Field, Section, Type};
use crate::model::plan::Stage;
use crate::model::value::{Attrs, Value};

static MFA_SECTION: Section = Section {
    path: "mfa",
    doc: "Second factors and when they are asked for",
    required: false,
    fields: &[Field {
        key: "policy",
        ty: Type::OneOf(&["always", "adaptive", "never"]),
        doc: "when a second factor is asked for: always, adaptive (plan-dependent) or never",
        wire: "(array)",
        ..FIELD
    }],
};

/// The policy: when logins are asked for a second factor.
pub static MFA_POLICY: Setting = Setting {
    name: "mfa_policy",
    sections: &[&MFA_SECTION],
    declare: |manifest| {
        manifest
            .get("mfa", "policy")
            .map(|policy| switch("mfa_policy", "policy", policy.clone()))
            .into_iter()
            .collect()
    },
    check: |manifest, out| {
        let asks = matches!(manifest.text("mfa", "policy"), Some("always" | "adaptive"));
        let factors = manifest.section("mfa.factors");
        let some_on = factors.is_some_and(|f| {
            f.iter().any(|(name, value)| name != "recovery_code" && *value == Value::Known(json!(true)))
        });
        let all_named_off = factors.is_some_and(|f| !f.is_empty()) && !some_on;
        if asks && all_named_off {
            out.push(Problem::error(
                codes::UNSAFE,
                "mfa.policy",
                "the policy asks for a factor, but none is on",
                "nobody could log in",
                "switch a factor on in mfa.factors, or set policy: never",
            ));
        }
    },
    read: &POLICY,
    parse: |_, reply| {
        let policies: Vec<&str> = reply.as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        let word = match policies.as_slice() {
            [] => "never".to_owned(),
            ["all-applications"] => "always".to_owned(),
            ["confidence-score"] => "adaptive".to_owned(),
            other => format!("({})", other.join(", ")),
        };
        Attrs::from([("policy".to_owned(), Value::text(word))])
    },
    write: |_, attrs| {
        let policies = match attrs.get("policy").and_then(Value::as_str) {
            Some("always") => json!(["all-applications"]),
            Some("adaptive") => json!(["confidence-score"]),
            _ => json!([]),
        };
        (Method::Put, POLICY.path.into(), policies)
    },
    fact: Some(("policy", |_, word| Fact::Policy(word.as_str().map(Into::into)))),
    weigh: |_, from, to| {
        let rank = |attrs: &Attrs| match attrs.get("policy").and_then(Value::as_str) {
            Some("never") => 0,
            Some("adaptive") => 1,
            _ => 2,
        };
        if rank(to) > rank(from) {
            let word = to.get("policy").and_then(Value::as_str).unwrap_or_default();
            let danger = format!("every application of the tenant asks for a second factor ({word})");
            return (Stage::RaisePolicy, Some(danger));
        }
        (Stage::LowerPolicy, Some("logins ask for a second factor less often, or not at all".into()))
    },
    scopes: &["update:mfa_policies"],
    // A former policy that asks for more is put back only after the former way of sending and its factors.
    adjust_undo: |_, _, step| {
        if step.stage == Stage::RaisePolicy {
            step.stage = Stage::RaiseBack;
        }
    },
    before: switches::policy,
    ..SETTING
};
