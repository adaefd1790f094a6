//! The pages that links in emails lead to, the first page and the API explorer.
//!
//! The page of a link explains an operation, has a button for it, and shows the result. Mail scanners follow links, so
//! only the button has an effect. All pages are HTML without scripts, but for the explorer, which sends requests.
//!
//! Each is a template that extends `base.html` and is made of the components in `components.html`; its texts are in
//! [`crate::texts`], its style in one file for all.

pub(crate) mod account;
pub(crate) mod activity;
pub(crate) mod assets;
mod confirmation;
mod events;
pub(crate) mod handlers;
pub(crate) mod live;
pub(crate) mod login;
mod page;
mod question;
mod refusal;
pub(crate) mod registration;
pub(crate) mod reply;
pub(crate) mod security;
pub(crate) mod sessions;
mod step_up;
pub(crate) mod two_step;
mod typed;
pub(crate) mod visitor;

use std::sync::OnceLock;

use actix_web::web::Bytes;
use minijinja::{Environment, Error, ErrorKind, HtmlEscape, UndefinedBehavior, Value, context};
use serde::Serialize;

use crate::config::Config;
use crate::texts::template::add_texts;
use crate::texts::{Language, Languages};
use crate::types::Timestamp;
use page::{Detail, Form, Page};

/// The templates by their names.
const TEMPLATES: [(&str, &str); 19] = [
    ("base.html", include_str!("templates/base.html")),
    ("components.html", include_str!("templates/components.html")),
    ("icons.html", include_str!("templates/icons.html")),
    ("link.html", include_str!("templates/link.html")),
    ("welcome.html", include_str!("templates/welcome.html")),
    ("docs.html", include_str!("templates/docs.html")),
    ("login.html", include_str!("templates/login.html")),
    ("code.html", include_str!("templates/code.html")),
    ("sessions.html", include_str!("templates/sessions.html")),
    ("confirm.html", include_str!("templates/confirm.html")),
    ("account.html", include_str!("templates/account.html")),
    ("security.html", include_str!("templates/security.html")),
    ("totp.html", include_str!("templates/totp.html")),
    ("codes.html", include_str!("templates/codes.html")),
    ("question.html", include_str!("templates/question.html")),
    ("message.html", include_str!("templates/message.html")),
    ("register.html", include_str!("templates/register.html")),
    ("forgot.html", include_str!("templates/forgot.html")),
    ("activity.html", include_str!("templates/activity.html")),
];

/// Returns the content security policy of a page whose forms may be sent to `form_action`. It loads style and scripts
/// of this server, and runs nothing that stands in the page.
pub(crate) fn content_security_policy(form_action: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         form-action {form_action}; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    )
}

/// The renderer of pages.
pub(crate) struct Pages {
    /// The templates in each language that is offered.
    environments: Vec<(Language, Environment<'static>)>,
    languages: Languages,
    /// The name of the server on pages.
    site: String,
    /// The path of `PUBLIC_URL`, without a trailing slash.
    base: String,
    issuer: String,
    audience: String,
    /// Whether `PUBLIC_URL` leads to the computer that the server runs on.
    is_local: bool,
    has_explorer: bool,
    /// Whether people may register by themselves.
    has_registration: bool,
    /// The explorer, once it was rendered.
    explorer: OnceLock<Bytes>,
}

impl Pages {
    /// Creates a renderer for the server with the name `site`.
    pub(crate) fn new(site: &str, config: &Config) -> Self {
        let base = config.public_url.path().trim_end_matches('/').to_owned();
        let environment = |language| (language, environment(language, site, &base));
        Self {
            environments: config.pages.languages.iter().map(environment).collect(),
            languages: config.pages.languages.clone(),
            site: site.to_owned(),
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            is_local: config.is_local(),
            has_explorer: config.pages.api_docs,
            has_registration: config.registration,
            explorer: OnceLock::new(),
            base,
        }
    }

    /// Returns whether the API explorer is shown.
    pub(crate) fn has_explorer(&self) -> bool {
        self.has_explorer
    }

    /// Returns whether people may register by themselves.
    pub(crate) fn has_registration(&self) -> bool {
        self.has_registration
    }

    /// Returns the name of the server.
    pub(crate) fn site(&self) -> &str {
        &self.site
    }

    /// Returns the path of `PUBLIC_URL`, without a trailing slash.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Returns the languages that are offered.
    pub(crate) fn languages(&self) -> &Languages {
        &self.languages
    }

    /// Renders a page as HTML, with all its texts escaped. `form_query` is added to the URL of its form.
    ///
    /// # Errors
    /// The template fails, which is a defect.
    pub(crate) fn render(&self, page: &Page<'_>, language: Language, form_query: &str) -> Result<String, Error> {
        self.fill("link.html", language, page_values(page, language, form_query))
    }

    /// Renders a page for somebody who is logged in, whom `person` describes.
    ///
    /// # Errors
    /// The template fails, which is a defect.
    fn render_for(&self, page: &Page<'_>, language: Language, person: Value) -> Result<String, Error> {
        self.fill("link.html", language, context! { person, ..page_values(page, language, "") })
    }

    /// Renders the first page, at `/`.
    ///
    /// # Errors
    /// The template fails, which is a defect.
    pub(crate) fn render_welcome(&self, language: Language) -> Result<String, Error> {
        let Self { issuer, audience, is_local, has_explorer, has_registration, .. } = self;
        let values = context! { issuer, audience, is_local, has_docs => has_explorer, has_registration };
        self.fill("welcome.html", language, values)
    }

    /// Renders the API explorer with the groups of operations that `groups` returns. They are the same for each
    /// request, so this happens once. It is in English, as the document is that it shows.
    ///
    /// # Errors
    /// The template fails, which is a defect.
    pub(crate) fn render_explorer<G: Serialize>(&self, groups: impl FnOnce() -> G) -> Result<Bytes, Error> {
        if let Some(rendered) = self.explorer.get() {
            return Ok(rendered.clone());
        }
        let groups = Value::from(minijinja::value::Serde(groups()));
        let environment = environment(Language::English, &self.site, &self.base);
        let rendered = environment.get_template("docs.html")?.render(context! { groups })?;
        Ok(self.explorer.get_or_init(|| Bytes::from(rendered)).clone())
    }

    fn fill(&self, name: &str, language: Language, values: Value) -> Result<String, Error> {
        let offered = self.environments.iter().find(|(offered, _)| *offered == language).or(self.environments.first());
        let (_, environment) = offered.ok_or_else(|| Error::from(ErrorKind::TemplateNotFound))?;
        environment.get_template(name)?.render(values)
    }
}

fn page_values(page: &Page<'_>, language: Language, form_query: &str) -> Value {
    context! {
        title => page.title.value(language),
        text => page.text.iter().map(|text| text.value(language)).collect::<Vec<_>>(),
        details => page.details.iter().map(|(name, detail)| detail_values(name.value(language), detail, language))
            .collect::<Vec<_>>(),
        form => page.form.as_ref().map(|form| form_values(form, language, form_query)),
    }
}

fn form_values(form: &Form<'_>, language: Language, query: &str) -> Value {
    let password = form.password.as_ref().map(|field| {
        let sentences: Vec<String> = field.error.iter().map(|text| text.in_language(language)).collect();
        context! { email => field.email, error => sentences.join(" ") }
    });
    context! {
        action => format!("{}{query}", form.action),
        token => form.token,
        button => form.button.value(language),
        refusal => form.refusal.as_ref().map(|text| text.value(language)),
        password,
    }
}

fn detail_values(name: Value, detail: &Detail, language: Language) -> Value {
    match detail {
        Detail::Chosen(value) => context! { name, value },
        Detail::Time(time) => {
            context! { name, value => crate::texts::in_words(*time, language), time => machine_readable(*time) }
        }
    }
}

/// Returns a time for the attribute `datetime`.
fn machine_readable(time: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(time.as_millis()).unwrap_or_default().to_string()
}

/// Shows what stands between backticks in a text as code.
fn code(text: &str) -> Value {
    let escaped = |text| HtmlEscape(text).to_string();
    let mut html = String::new();
    let mut parts = text.split('`').map(escaped).peekable();
    let mut is_code = false;
    while let Some(part) = parts.next() {
        // The last backtick may have no partner.
        match (is_code, parts.peek().is_some()) {
            (false, _) => html.push_str(&part),
            (true, true) => html.push_str(&format!("<code>{part}</code>")),
            (true, false) => html.push_str(&format!("`{part}")),
        }
        is_code = !is_code;
    }
    Value::from_safe_string(html)
}

/// Returns the templates in a language, for the server with the name `site` at the path `base`.
fn environment(language: Language, site: &str, base: &str) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.add_filter("code", code);
    environment.add_global("site", site);
    environment.add_global("base", base);
    add_texts(&mut environment, language);
    let base = base.to_owned();
    environment.add_function("asset", move |name: &str| {
        assets::path(&base, name).ok_or_else(|| Error::new(ErrorKind::InvalidOperation, format!("no asset {name}")))
    });
    for (name, template) in TEMPLATES {
        #[expect(clippy::expect_used, reason = "the templates are part of the program, and tests render them")]
        environment.add_template(name, template).expect("a valid template");
    }
    environment
}

#[cfg(test)]
mod tests;
