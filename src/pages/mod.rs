//! The pages for people and administrators, those that links in emails lead to, the first page and the API explorer.
//!
//! A page shows, and only a form has an effect: it calls the operation that the API calls. The page of a link explains
//! an operation and has a button for it, as mail scanners follow links. All pages work without a script, but for the
//! explorer, which sends requests.
//!
//! Each is a template that extends `base.html` and is made of the components in `components.html`; its texts are in
//! [`crate::texts`], its style in one file for all.

pub(crate) mod account;
pub(crate) mod activity;
pub(crate) mod admin;
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
pub(crate) mod response;
pub(crate) mod security;
pub(crate) mod sessions;
pub(crate) mod setup;
mod step_up;
mod templates;
pub(crate) mod two_step;
mod typed;
pub(crate) mod visitor;

use std::sync::{Arc, PoisonError, RwLock};

use actix_web::web::Bytes;
use minijinja::{Error, Value, context};
use serde::Serialize;

use crate::config::{self, Config};
use crate::texts::{Language, Languages, in_words, machine_readable};
use crate::types::Timestamp;
use assets::Assets;
use page::{Detail, Form, Page};
use templates::{Look, Templates};

pub(crate) use templates::TemplateError;

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
    /// The templates, which can be loaded again.
    templates: RwLock<Arc<Templates>>,
    languages: Languages,
    look: Arc<Look>,
    issuer: String,
    audience: String,
    /// Whether `PUBLIC_URL` leads to the computer that the server runs on.
    is_local: bool,
    has_explorer: bool,
    /// Whether people may register by themselves.
    has_registration: bool,
}

impl Pages {
    /// Creates the renderer.
    ///
    /// # Errors
    /// A template of the operator's cannot be used.
    pub(crate) fn new(config: &Config) -> Result<Self, TemplateError> {
        let base = config.public_url.path().trim_end_matches('/').to_owned();
        let config::Pages { languages, brand, api_docs, .. } = &config.pages;
        let look = Arc::new(Look { site: brand.name.clone(), assets: Assets::new(brand), base });
        Ok(Self {
            templates: RwLock::new(Arc::new(Templates::load(config, &look)?)),
            languages: languages.clone(),
            look,
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            is_local: config.is_local(),
            has_explorer: *api_docs,
            has_registration: config.registration,
        })
    }

    /// Loads the templates again. The former ones stay until [`Self::replace`]. Blocks.
    ///
    /// # Errors
    /// A template of the operator's cannot be used.
    pub(crate) fn load(&self, config: &Config) -> Result<Templates, TemplateError> {
        Templates::load(config, &self.look)
    }

    /// Replaces the templates, for all pages from now on.
    pub(crate) fn replace(&self, templates: Templates) {
        *self.templates.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(templates);
    }

    fn templates(&self) -> Arc<Templates> {
        Arc::clone(&self.templates.read().unwrap_or_else(PoisonError::into_inner))
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
        &self.look.site
    }

    /// Returns the path of `PUBLIC_URL`, without a trailing slash.
    pub(crate) fn base(&self) -> &str {
        &self.look.base
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

    /// Returns what the first page tells of the server.
    fn welcome_values(&self) -> Value {
        let Self { issuer, audience, is_local, has_explorer, has_registration, .. } = self;
        context! { issuer, audience, is_local, has_docs => has_explorer, has_registration }
    }

    /// Renders the API explorer with the groups of operations that `groups` returns. They are the same for each
    /// request, so this happens once. It is in English, as the document is that it shows.
    ///
    /// # Errors
    /// The template fails, which is a defect.
    pub(crate) fn render_explorer<G: Serialize>(&self, groups: impl FnOnce() -> G) -> Result<Bytes, Error> {
        let templates = self.templates();
        if let Some(rendered) = templates.explorer.get() {
            return Ok(rendered.clone());
        }
        let groups = Value::from(minijinja::value::Serde(groups()));
        let rendered = templates.render_english("docs.html", context! { groups })?;
        Ok(templates.explorer.get_or_init(|| Bytes::from(rendered)).clone())
    }

    fn fill(&self, name: &str, language: Language, values: Value) -> Result<String, Error> {
        self.templates().render(name, language, values)
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
            context! { name, value => in_words(*time, language), time => machine_readable(*time) }
        }
    }
}

/// Returns a time as all pages show it: in words, and for the attribute `datetime`.
fn time_value(time: Timestamp, language: Language) -> Value {
    context! { text => in_words(time, language), machine => machine_readable(time) }
}

#[cfg(test)]
mod tests;
