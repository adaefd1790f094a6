//! The templates of pages: the built-in ones, or custom ones of the operator.

use std::sync::{Arc, OnceLock};

use actix_web::web::Bytes;
use minijinja::{Environment, Error, ErrorKind, HtmlEscape, UndefinedBehavior, Value, context};

use super::admin;
use super::assets::Assets;
use crate::config::Config;
use crate::texts::template::add_texts;
use crate::texts::{CustomError, CustomTemplates, Language};

/// The built-in templates by their names.
pub(super) const TEMPLATES: [(&str, &str); 20] = [
    ("base.html", include_str!("templates/base.html")),
    ("components.html", include_str!("templates/components.html")),
    ("icons.html", include_str!("templates/icons.html")),
    ("link.html", include_str!("templates/link.html")),
    ("welcome.html", include_str!("templates/welcome.html")),
    ("docs.html", include_str!("templates/docs.html")),
    ("login.html", include_str!("templates/login.html")),
    ("later.html", include_str!("templates/later.html")),
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

/// The parts that all pages of a server have in common.
pub(crate) struct Look {
    /// The name of the server.
    pub(super) site: String,
    /// The path of `PUBLIC_URL`, without a trailing slash.
    pub(super) base: String,
    /// The style sheets, scripts and the logo.
    pub(super) assets: Assets,
}

/// Why the templates cannot be used. The text names the file.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The folder of templates cannot be used.
    #[error(transparent)]
    Custom(#[from] CustomError),
    /// A template is wrong.
    #[error("PAGE_TEMPLATES: {file}: {reason}")]
    Invalid {
        /// The name of the file.
        file: String,
        /// Why the template is invalid.
        reason: String,
    },
}

/// The templates of all pages in each language that is offered.
pub(crate) struct Templates {
    by_language: Vec<InLanguage>,
    /// Those of the API explorer, which is in English.
    english: InLanguage,
    /// The explorer, once it was rendered.
    pub(super) explorer: OnceLock<Bytes>,
}

/// The templates in one language.
struct InLanguage {
    language: Language,
    environment: Environment<'static>,
    /// The fallback for custom templates that fail.
    built_in: Option<Environment<'static>>,
}

impl Templates {
    /// Loads the templates of `PAGE_TEMPLATES`, and the built-in ones for those that it does not contain.
    ///
    /// # Errors
    /// A template cannot be read, is unknown or wrong.
    pub(super) fn load(config: &Config, look: &Arc<Look>) -> Result<Self, TemplateError> {
        let languages = &config.pages.languages;
        let names = TEMPLATES.map(|(name, _)| name);
        let read = |folder: &_| CustomTemplates::read("PAGE_TEMPLATES", folder, &names, languages);
        let custom = config.pages.templates.as_deref().map(read).transpose()?;
        let load = |language| InLanguage::load(language, look, custom.as_ref());
        Ok(Self {
            by_language: languages.iter().map(load).collect::<Result<_, _>>()?,
            english: load(Language::English)?,
            explorer: OnceLock::new(),
        })
    }

    /// Renders a page.
    ///
    /// # Errors
    /// A built-in template fails, which is a defect.
    pub(super) fn render(&self, name: &str, language: Language, values: Value) -> Result<String, Error> {
        let found = self.by_language.iter().find(|templates| templates.language == language);
        found.or(self.by_language.first()).unwrap_or(&self.english).render(name, values)
    }

    /// Renders a page in English, whatever is offered.
    ///
    /// # Errors
    /// A built-in template fails, which is a defect.
    pub(super) fn render_english(&self, name: &str, values: Value) -> Result<String, Error> {
        self.english.render(name, values)
    }
}

impl InLanguage {
    fn load(language: Language, look: &Arc<Look>, custom: Option<&CustomTemplates>) -> Result<Self, TemplateError> {
        let built_in = environment(language, look);
        let Some(custom) = custom else { return Ok(Self { language, environment: built_in, built_in: None }) };
        let mut own = built_in.clone();
        let files = TEMPLATES.iter().filter_map(|(name, _)| Some((*name, custom.file(name, language)?)));
        let files: Vec<_> = files.collect();
        let invalid =
            |file: &str, error: &Error| TemplateError::Invalid { file: file.to_owned(), reason: error.to_string() };
        for (name, (file, source)) in &files {
            own.add_template_owned(*name, (*source).to_owned()).map_err(|error| invalid(file, &error))?;
        }
        for (name, (file, _)) in &files {
            check(&own, name).map_err(|error| invalid(file, &error))?;
        }
        Ok(Self { language, environment: own, built_in: Some(built_in) })
    }

    fn render(&self, name: &str, values: Value) -> Result<String, Error> {
        let rendered = self.environment.get_template(name).and_then(|template| template.render(values.clone()));
        match (rendered, &self.built_in) {
            (Err(error), Some(built_in)) => {
                tracing::error!(%error, "a template of a page failed; the built-in one is used");
                built_in.get_template(name)?.render(values)
            }
            (rendered, _) => rendered,
        }
    }
}

/// Renders a template without any values, which finds what is missing whatever they are: other templates, texts,
/// filters and functions.
fn check(environment: &Environment<'static>, name: &str) -> Result<(), Error> {
    let mut lenient = environment.clone();
    lenient.set_undefined_behavior(UndefinedBehavior::Chainable);
    lenient.get_template(name)?.render(context! {}).map(drop)
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

/// Returns the built-in templates in a language.
pub(super) fn environment(language: Language, look: &Arc<Look>) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.add_filter("code", code);
    environment.add_global("site", look.site.as_str());
    environment.add_global("base", look.base.as_str());
    environment.add_global("logo", look.assets.logo(&look.base));
    environment.add_global("language", language.tag());
    add_texts(&mut environment, language);
    let look = Arc::clone(look);
    environment.add_function("asset", move |name: &str| {
        let path = look.assets.path(&look.base, name);
        path.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, format!("no asset {name}")))
    });
    // The console is built-in alone: whoever runs the server has no need to look like it.
    for (name, template) in TEMPLATES.into_iter().chain(admin::TEMPLATES) {
        #[expect(clippy::expect_used, reason = "the templates are part of the program, and tests render them")]
        environment.add_template(name, template).expect("a valid template");
    }
    environment
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Brand;

    #[test]
    fn every_built_in_template_passes_the_check_of_custom_ones() {
        let brand = Brand { name: "auth.example".to_owned(), logo: None, accent: None };
        let (site, base) = (brand.name.clone(), String::new());
        let environment = environment(Language::English, &Arc::new(Look { site, base, assets: Assets::new(&brand) }));
        for (name, _) in TEMPLATES {
            check(&environment, name).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}
