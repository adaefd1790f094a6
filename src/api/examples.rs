//! The examples in the description as OpenAPI, and the codes with which each operation refuses: read from
//! `examples.json`, where each stands once.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::openapi::example::{Example, ExampleBuilder};
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::{Components, Content, ContentBuilder, Ref, RefOr, Response, ResponseBuilder, Schema};

/// The form of a refusal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Problem details (RFC 9457).
    Problem,
    /// The error of a standard endpoint (RFC 6749 §5.2).
    OAuth,
}

/// The content of `examples.json`. A refusal is named by its status and code: `409 email_taken`.
#[derive(Default, Deserialize)]
pub(super) struct Examples {
    /// By refusal: its detail, or members beside those that follow from status and code.
    problems: BTreeMap<String, Value>,
    /// By refusal of a standard endpoint: its description.
    oauth_errors: BTreeMap<String, String>,
    /// By the name of a schema.
    schemas: BTreeMap<String, Value>,
    /// By the id of an operation.
    operations: BTreeMap<String, OperationExamples>,
}

/// What an operation has for itself.
#[derive(Default, Deserialize)]
#[serde(default)]
struct OperationExamples {
    /// Its refusals, besides those that follow from what it takes.
    refusals: BTreeSet<String>,
    /// Its answers that are not that of their schema, by content type.
    answers: BTreeMap<String, Value>,
}

impl Examples {
    /// Reads the examples.
    pub(super) fn read() -> Self {
        serde_json::from_str(include_str!("examples.json")).unwrap_or_default()
    }

    /// Returns the refusals of an operation, besides those that follow from what it takes.
    pub(super) fn refusals(&self, operation: &Operation) -> BTreeSet<String> {
        self.own(operation).map(|own| own.refusals.clone()).unwrap_or_default()
    }

    fn own(&self, operation: &Operation) -> Option<&OperationExamples> {
        self.operations.get(operation.operation_id.as_deref()?)
    }

    /// Returns an example with what its references stand for: `"@User"` for the example of that schema, and
    /// `{"@": "User", …}` for one with further members.
    fn resolved(&self, value: &Value) -> Value {
        let of_schema = |name: &str| self.schemas.get(name).map(|value| self.resolved(value)).unwrap_or_default();
        match value {
            Value::String(text) => text.strip_prefix('@').map_or_else(|| value.clone(), of_schema),
            Value::Array(values) => values.iter().map(|value| self.resolved(value)).collect(),
            Value::Object(members) => {
                let base = members.get("@").and_then(Value::as_str).map(of_schema).unwrap_or_default();
                let mut all = base.as_object().cloned().unwrap_or_default();
                let own = members.iter().filter(|(name, _)| *name != "@");
                all.extend(own.map(|(name, value)| (name.clone(), self.resolved(value))));
                Value::Object(all)
            }
            other => other.clone(),
        }
    }

    /// Adds examples to the request and the answers of an operation. Those of schemas stand among the components.
    pub(super) fn illustrate(&self, operation: &mut Operation, components: &mut Components) {
        let own = self.own(operation);
        if let Some(RefOr::T(body)) = &mut operation.request_body {
            for (content_type, content) in &mut body.content {
                self.illustrate_content(own, content_type, content, components);
            }
        }
        for response in operation.responses.responses.values_mut() {
            let RefOr::T(response) = response else { continue };
            for (content_type, content) in &mut response.content {
                self.illustrate_content(own, content_type, content, components);
            }
        }
    }

    fn illustrate_content(
        &self,
        own: Option<&OperationExamples>,
        content_type: &str,
        content: &mut RefOr<Content>,
        components: &mut Components,
    ) {
        let RefOr::T(content) = content else { return };
        match own.and_then(|own| own.answers.get(content_type)) {
            Some(answer) => content.example = Some(answer.clone()),
            None => self.illustrate_schema(content, components),
        }
    }

    fn illustrate_schema(&self, content: &mut Content, components: &mut Components) {
        let Some(RefOr::Ref(schema)) = &content.schema else { return };
        let name = schema.ref_location.rsplit('/').next().unwrap_or_default();
        let Some(value) = self.schemas.get(name) else { return };
        components.examples.entry(name.to_owned()).or_insert_with(|| example(self.resolved(value)));
        content.examples.insert("example".to_owned(), referring_to(name));
    }

    /// Returns a reference to the response for refusals of one status, which stands among the components.
    pub(super) fn response(
        &self,
        form: Form,
        status: &str,
        refusals: &[String],
        components: &mut Components,
    ) -> RefOr<Response> {
        let codes: Vec<&str> = refusals.iter().map(|refusal| code(refusal)).collect();
        let prefix = if form == Form::OAuth { "oauth-" } else { "" };
        let name = format!("{prefix}{status}-{}", codes.join("-"));
        if !components.responses.contains_key(&name) {
            let (content_type, schema) = match form {
                Form::Problem => ("application/problem+json", "ProblemDetails"),
                Form::OAuth => ("application/json", "OAuthErrorBody"),
            };
            let mut content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
            let mut said = Vec::new();
            for refusal in refusals {
                let (value, detail) = self.refusal(form, refusal);
                let own = format!("{prefix}{}", refusal.replace(' ', "-"));
                components.examples.entry(own.clone()).or_insert_with(|| example(value));
                content.examples.insert(code(refusal).to_owned(), referring_to(&own));
                said.push(format!("`{}`: {detail}", code(refusal)));
            }
            let response = ResponseBuilder::new().description(said.join(" ")).content(content_type, content).build();
            components.responses.insert(name.clone(), response.into());
        }
        RefOr::Ref(Ref::from_response_name(name))
    }

    /// Returns the body of a refusal, and its text for people.
    fn refusal(&self, form: Form, refusal: &str) -> (Value, String) {
        if form == Form::OAuth {
            let description = self.oauth_errors.get(refusal).cloned().unwrap_or_default();
            return (json!({"error": code(refusal), "error_description": description}), description);
        }
        let (status, code) = refusal.split_once(' ').unwrap_or_default();
        let status = StatusCode::from_bytes(status.as_bytes()).unwrap_or_default();
        let own = self.problems.get(refusal).unwrap_or(&Value::Null);
        let detail = own.as_str().or_else(|| own.get("detail")?.as_str()).unwrap_or_default().to_owned();
        let members: Map<String, Value> = own.as_object().cloned().unwrap_or_default();
        let mut body = json!({
            "type": format!("urn:keyturn:problem:{code}"),
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": detail,
            "code": code,
            "request_id": "01a2003f-6b11-74a5-a7f2-2bb5e33579f0",
            "retryable": matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE),
        });
        if let Value::Object(body) = &mut body {
            body.extend(members);
        }
        (body, detail)
    }

    /// Names the known codes where a problem has its code. It may have another one: codes are added.
    pub(super) fn name_codes(&self, components: &mut Components) {
        let Some(RefOr::T(Schema::Object(problem))) = components.schemas.get_mut("ProblemDetails") else { return };
        let known: BTreeSet<&str> = self.problems.keys().map(|refusal| code(refusal)).collect();
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let codes = AnyOfBuilder::new()
            .description(Some("The stable code for programs. Others may be added."))
            .item(text().enum_values(Some(known)))
            .item(text());
        problem.properties.insert("code".to_owned(), Ref::from_schema_name("ProblemCode").into());
        components.schemas.insert("ProblemCode".to_owned(), RefOr::T(Schema::AnyOf(codes.build())));
    }
}

fn code(refusal: &str) -> &str {
    refusal.split_once(' ').map_or(refusal, |(_, code)| code)
}

fn example(value: Value) -> RefOr<Example> {
    ExampleBuilder::new().value(Some(value)).into()
}

fn referring_to(name: &str) -> RefOr<Example> {
    RefOr::Ref(Ref::new(format!("#/components/examples/{name}")))
}
