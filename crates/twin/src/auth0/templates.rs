//! Phone message templates. A built-in template is listed without an id until an operator creates one of its type.

use lockstep_wire::Method;
use serde_json::{Map, Value, json};

use super::super::clock;
use super::super::wire::{Outcome, Reply};
use super::super::world::{PhoneTemplate, Tenant};
use super::body::{Fields, invalid};
use super::{Call, Route, invalid_uri, is_named, refusal};

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        pattern: "/branding/phone/templates",
        operation: "list_phone_templates",
        scopes: &["read:phone_templates"],
        query: &["disabled"],
        run: list,
    },
    Route {
        method: Method::Post,
        pattern: "/branding/phone/templates",
        operation: "create_phone_template",
        scopes: &["create:phone_templates"],
        query: &[],
        run: create,
    },
    Route {
        method: Method::Get,
        pattern: "/branding/phone/templates/{id}",
        operation: "get_phone_template",
        scopes: &["read:phone_templates"],
        query: &[],
        run: get,
    },
    Route {
        method: Method::Patch,
        pattern: "/branding/phone/templates/{id}",
        operation: "update_phone_template",
        scopes: &["update:phone_templates"],
        query: &[],
        run: update,
    },
    Route {
        method: Method::Delete,
        pattern: "/branding/phone/templates/{id}",
        operation: "delete_phone_template",
        scopes: &["delete:phone_templates"],
        query: &[],
        run: delete,
    },
    Route {
        method: Method::Patch,
        pattern: "/branding/phone/templates/{id}/reset",
        operation: "reset_phone_template",
        scopes: &["update:phone_templates"],
        query: &[],
        run: reset,
    },
];

const TYPES: &[&str] = &["otp_verify", "otp_enroll", "change_password", "blocked_account", "password_breach"];

fn list(call: &mut Call) -> Outcome {
    let disabled = call.flag("disabled")?;
    let mut templates = Vec::new();
    for kind in TYPES {
        match call.tenant.phone_templates.iter().find(|template| template.r#type == *kind) {
            Some(template) => {
                if disabled.is_none_or(|wanted| template.disabled == wanted) {
                    templates.push(template_json(call.tenant, template));
                }
            }
            None if disabled == Some(true) || !call.options.built_in_phone_templates_listed => {}
            None => templates.push(json!({
                "channel": "phone",
                "tenant": call.tenant.name,
                "type": kind,
                "disabled": false,
                "customizable": true,
                "content": listed(),
            })),
        }
    }
    Ok(Reply::json(200, &json!({ "templates": templates })))
}

fn create(call: &mut Call) -> Outcome {
    let body = call.json()?;
    let fields = Fields::strict(&body, "", &["type", "disabled", "content"])?;
    let kind = fields.choice("type", TYPES)?;
    let kind = fields.need("type", kind)?;
    let disabled = fields.boolean("disabled")?.unwrap_or(false);
    let content = match fields.value("content") {
        Some(content) => read_content(content, &["syntax", "from", "body"], &built_in())?,
        None => built_in(),
    };
    if call.tenant.phone_templates.iter().any(|template| template.r#type == kind) {
        return Err(refusal(409, None, "A template of this type already exists."));
    }
    let at = clock::iso_millis(call.now_ms);
    let template = PhoneTemplate {
        id: format!("tem_{}", call.ids.word(22)),
        r#type: kind.to_owned(),
        disabled,
        content,
        created_at: at.clone(),
        updated_at: at,
    };
    let reply = Reply::json(201, &template_json(call.tenant, &template));
    call.tenant.phone_templates.push(template);
    Ok(reply)
}

fn get(call: &mut Call) -> Outcome {
    let at = find(call)?;
    Ok(Reply::json(200, &template_json(call.tenant, &call.tenant.phone_templates[at])))
}

fn update(call: &mut Call) -> Outcome {
    let at = find(call)?;
    let body = call.json()?;
    let fields = Fields::strict(&body, "", &["disabled", "content"])?;
    let mut template = call.tenant.phone_templates[at].clone();
    if let Some(disabled) = fields.boolean("disabled")? {
        template.disabled = disabled;
    }
    if let Some(content) = fields.value("content") {
        template.content = read_content(content, &["from", "body"], &template.content)?;
    }
    store(call, at, template)
}

fn reset(call: &mut Call) -> Outcome {
    let at = find(call)?;
    let mut template = call.tenant.phone_templates[at].clone();
    template.content = built_in();
    store(call, at, template)
}

fn delete(call: &mut Call) -> Outcome {
    let at = find(call)?;
    call.tenant.phone_templates.remove(at);
    Ok(Reply::empty())
}

fn store(call: &mut Call, at: usize, mut template: PhoneTemplate) -> Outcome {
    template.updated_at = clock::iso_millis(call.now_ms);
    let reply = Reply::json(200, &template_json(call.tenant, &template));
    call.tenant.phone_templates[at] = template;
    Ok(reply)
}

fn find(call: &Call) -> Result<usize, Reply> {
    let id = call.param(0);
    if !is_named(id, "tem_", 22) {
        return Err(invalid_uri("phone-template-id", id));
    }
    let at = call.tenant.phone_templates.iter().position(|template| template.id == id);
    at.ok_or_else(|| refusal(404, None, "The phone template does not exist."))
}

fn built_in() -> Map<String, Value> {
    let mut content = Map::new();
    content.insert("syntax".into(), json!("liquid"));
    content.insert("body".into(), json!({"text": "Your code is @{code}", "voice": "Your code is @{code}"}));
    content
}

/// The built-in content as the list shows it: with an empty sender, which a write may not send.
fn listed() -> Map<String, Value> {
    let mut content = built_in();
    content.insert("from".into(), json!(""));
    content
}

/// The old content with the sent keys put in. `from` may not be empty, although exports of fresh tenants show it empty.
fn read_content(
    value: &Value,
    allowed: &[&str],
    old: &Map<String, Value>,
) -> Result<Map<String, Value>, Reply> {
    let fields = Fields::strict(value, "content", allowed)?;
    let mut content = old.clone();
    if let Some(syntax) = fields.choice("syntax", &["liquid"])? {
        content.insert("syntax".into(), json!(syntax));
    }
    if let Some(body) = fields.value("body") {
        let body = Fields::strict(body, "content.body", &["text", "voice"])?;
        if body.is_empty() {
            return Err(invalid("Too few properties defined (0), minimum 1' on property 'content.body"));
        }
        body.string("text", 1, 20_000)?;
        body.string("voice", 1, 20_000)?;
        content.insert("body".into(), Value::Object(body.map().clone()));
    }
    if let Some(from) = fields.string("from", 1, 16)? {
        content.insert("from".into(), json!(from));
    }
    Ok(content)
}

fn template_json(tenant: &Tenant, template: &PhoneTemplate) -> Value {
    json!({
        "id": template.id,
        "tenant": tenant.name,
        "channel": "phone",
        "type": template.r#type,
        "disabled": template.disabled,
        "created_at": template.created_at,
        "updated_at": template.updated_at,
        "content": template.content,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::bench::{Bench, keys};
    use crate::{Options, Rate};

    #[test]
    fn built_in_ones_may_be_left_out_of_the_list() {
        let rate = Rate::Unlimited;
        let mut bench =
            Bench::with(Options { rate, built_in_phone_templates_listed: false, ..Options::default() });
        assert_eq!(bench.get("/branding/phone/templates").1, json!({"templates": []}));
        bench.post("/branding/phone/templates", &json!({"type": "otp_verify"}));
        let (_, list) = bench.get("/branding/phone/templates");
        assert_eq!(list["templates"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn built_in_templates_have_no_id_until_they_are_made() {
        let mut bench = Bench::new();
        let path = "/branding/phone/templates";
        let (_, list) = bench.get(path);
        assert_eq!(list["templates"].as_array().map(Vec::len), Some(5));
        assert_eq!(list["templates"][1].get("id"), None);
        assert_eq!(list["templates"][1]["content"]["from"], "", "as exports of fresh tenants show it");
        let body = json!({"type": "otp_enroll", "disabled": false,
            "content": {"from": "+1234567890", "body": {"text": "t @{code}", "voice": "v @{code}"}}});
        let (status, made) = bench.post(path, &body);
        assert_eq!(status, 201);
        let expected = ["id", "tenant", "channel", "type", "disabled", "created_at", "updated_at", "content"];
        assert_eq!(keys(&made), expected);
        assert_eq!(made["content"]["syntax"], "liquid");
        assert_eq!(bench.post(path, &body).0, 409);
        let one = format!("{path}/{}", made["id"].as_str().unwrap_or_default());
        assert_eq!(bench.patch(&one, &json!({"type": "otp_verify"})).0, 400);
        assert_eq!(bench.patch(&one, &json!({"content": {"syntax": "liquid"}})).0, 400);
        assert_eq!(bench.patch(&one, &json!({"content": {"from": ""}})).0, 400);
        assert_eq!(bench.patch(&one, &json!({"disabled": true})).1["disabled"], true);
        assert_eq!(bench.patch(&format!("{one}/reset"), &json!({})).1["content"].get("from"), None);
        assert_eq!(bench.delete(&one).0, 204);
        assert_eq!(bench.get(path).1["templates"][1].get("id"), None);
    }
}
