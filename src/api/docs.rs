//! The API explorer at `/docs`: the OpenAPI document as a page, with a form for each operation.

use actix_web::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use actix_web::{HttpResponse, web};
use serde::Serialize;
use serde_json::Value;

use super::routes::DOCUMENT;
use crate::http::Problem;
use crate::pages::{Pages, content_security_policy};

/// The methods, in the order in which they are shown.
const METHODS: [&str; 4] = ["get", "post", "patch", "delete"];

/// The operations of one tag.
#[derive(Serialize)]
struct Group {
    id: String,
    name: String,
    operations: Vec<Operation>,
}

#[derive(Serialize)]
struct Operation {
    id: String,
    method: String,
    path: String,
    summary: String,
    description: String,
    needs_token: bool,
    /// Whether it takes JSON or nothing: a form of the pages is tried on its page.
    can_be_tried: bool,
    parameters: Vec<Field>,
    body: Option<Body>,
    answers: Vec<Answer>,
}

/// A parameter, or a field of a body.
#[derive(Serialize)]
struct Field {
    name: String,
    /// `path`, `query` or `header`; empty for a field of a body.
    place: String,
    kind: String,
    is_required: bool,
    description: String,
}

#[derive(Serialize)]
struct Body {
    content_type: String,
    fields: Vec<Field>,
    /// JSON to begin with.
    example: String,
    /// The lines of the example.
    rows: usize,
}

#[derive(Serialize)]
struct Answer {
    status: String,
    description: String,
    /// An example, of an answer that is no refusal.
    example: Option<String>,
}

/// Shows the API explorer, which sends requests to this server from the page.
#[utoipa::path(get, path = "/docs", tag = "Pages", security(()), responses(
    (status = 200, description = "The API explorer", body = String, content_type = "text/html")))]
pub(super) async fn show_docs(pages: web::Data<Pages>) -> Result<HttpResponse, Problem> {
    if !pages.has_explorer() {
        return Err(Problem::not_found());
    }
    let document = serde_json::to_value(&*DOCUMENT).map_err(|error| Problem::internal(&error))?;
    let html = pages.render_explorer(|| Reader { document: &document }.groups());
    let html = html.map_err(|error| Problem::internal(&error))?;
    let response = HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, content_security_policy("'none'")))
        .body(html);
    Ok(response)
}

/// Reads an OpenAPI document.
struct Reader<'a> {
    document: &'a Value,
}

impl<'a> Reader<'a> {
    /// Returns the operations by their tags, in the order of their paths.
    fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        let paths = self.document.get("paths").and_then(Value::as_object);
        for (path, item) in paths.into_iter().flatten() {
            for method in METHODS {
                let Some(operation) = item.get(method) else { continue };
                let name = operation.pointer("/tags/0").and_then(Value::as_str).unwrap_or_default();
                let shown = self.operation(method, path, operation);
                match groups.iter_mut().find(|group| group.name == name) {
                    Some(group) => group.operations.push(shown),
                    None => groups.push(Group {
                        id: name.to_lowercase().replace(' ', "-"),
                        name: name.to_owned(),
                        operations: vec![shown],
                    }),
                }
            }
        }
        // What apps call first, which is most of it.
        groups.sort_by_key(|group| !group.operations.iter().any(|operation| operation.path.starts_with("/api/v1/")));
        groups
    }

    fn operation(&self, method: &str, path: &str, operation: &Value) -> Operation {
        let parameters = operation.get("parameters").and_then(Value::as_array);
        let body = operation.pointer("/requestBody/content").and_then(Value::as_object);
        let body = body.and_then(|content| content.iter().next());
        let body = body.map(|(content_type, content)| self.body(content_type, content));
        let answers = operation.get("responses").and_then(Value::as_object);
        Operation {
            id: text(operation, "operationId"),
            method: method.to_uppercase(),
            path: path.to_owned(),
            summary: text(operation, "summary"),
            description: text(operation, "description"),
            needs_token: operation.get("security").is_none(),
            can_be_tried: body.as_ref().is_none_or(|body| body.content_type == "application/json"),
            parameters: parameters.into_iter().flatten().map(|parameter| self.parameter(parameter)).collect(),
            body,
            answers: answers.into_iter().flatten().map(|(status, answer)| self.answer(status, answer)).collect(),
        }
    }

    fn parameter(&self, parameter: &Value) -> Field {
        Field {
            name: text(parameter, "name"),
            place: text(parameter, "in"),
            kind: parameter.get("schema").map(|schema| self.kind(schema)).unwrap_or_default(),
            is_required: parameter.get("required").and_then(Value::as_bool).unwrap_or_default(),
            description: text(parameter, "description"),
        }
    }

    fn body(&self, content_type: &str, content: &Value) -> Body {
        let schema = self.resolved(content.get("schema").unwrap_or(&Value::Null));
        let required = required(schema);
        let properties = schema.get("properties").and_then(Value::as_object);
        let field = |(name, schema): (&String, &Value)| Field {
            name: name.clone(),
            place: String::new(),
            kind: self.kind(schema),
            is_required: required.contains(&name.as_str()),
            description: self.description(schema),
        };
        let example = self.example(content).unwrap_or_default();
        Body {
            content_type: content_type.to_owned(),
            fields: properties.into_iter().flatten().map(field).collect(),
            rows: example.lines().count().saturating_add(1),
            example,
        }
    }

    fn answer(&self, status: &str, answer: &'a Value) -> Answer {
        let answer = self.referenced(answer).unwrap_or(answer);
        let contents = answer.get("content").and_then(Value::as_object).filter(|_| !status.starts_with(['4', '5']));
        Answer {
            status: status.to_owned(),
            description: text(answer, "description"),
            example: contents.and_then(|contents| contents.values().find_map(|content| self.example(content))),
        }
    }

    /// Returns the example of a request or an answer.
    fn example(&self, content: &'a Value) -> Option<String> {
        let examples = content.get("examples").and_then(Value::as_object);
        let named = examples.and_then(|examples| self.referenced(examples.values().next()?)?.get("value"));
        let example = content.get("example").or(named)?;
        let plain = example.as_str().map(str::to_owned);
        plain.or_else(|| serde_json::to_string_pretty(example).ok())
    }

    /// Returns what a reference leads to.
    fn referenced(&self, value: &Value) -> Option<&'a Value> {
        let place = value.get("$ref").and_then(Value::as_str)?.strip_prefix('#')?;
        self.document.pointer(place)
    }

    /// Returns the schema that a reference leads to, and the one that is not null of two.
    fn resolved(&self, schema: &'a Value) -> &'a Value {
        self.next(schema).map_or(schema, |next| self.resolved(next))
    }

    /// Follows a schema by one step.
    fn next(&self, schema: &'a Value) -> Option<&'a Value> {
        if let Some(target) = self.referenced(schema) {
            return Some(target);
        }
        let choices = ["oneOf", "anyOf"].into_iter().find_map(|name| schema.get(name)).and_then(Value::as_array);
        let is_null = |choice: &&Value| choice.get("type").is_some_and(|kind| kind == "null");
        match choices.map(|choices| choices.iter().filter(|choice| !is_null(choice)).collect::<Vec<_>>()).as_deref() {
            Some([choice]) => Some(*choice),
            _ => None,
        }
    }

    /// Returns the description of a field: its own, wherever it stands on the way to the type, or that of the type.
    fn description(&self, schema: &'a Value) -> String {
        let own = text(schema, "description");
        match self.next(schema).filter(|_| own.is_empty()) {
            Some(next) => self.description(next),
            None => own,
        }
    }

    /// Returns the kind of a value, in a few words.
    fn kind(&self, schema: &'a Value) -> String {
        let schema = self.resolved(schema);
        if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
            return choices.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
        }
        let kind = match schema.get("type") {
            Some(Value::Array(kinds)) => kinds.iter().find_map(|kind| kind.as_str().filter(|kind| *kind != "null")),
            kind => kind.and_then(Value::as_str),
        };
        match (kind, schema.get("format").and_then(Value::as_str)) {
            (Some("array"), _) => {
                format!("array of {}", schema.get("items").map(|items| self.kind(items)).unwrap_or_default())
            }
            (Some("string"), Some(format)) => format.to_owned(),
            (kind, _) => kind.unwrap_or("object").to_owned(),
        }
    }
}

fn required(schema: &Value) -> Vec<&str> {
    let names = schema.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}
