//! The templates of emails: the built-in ones, or custom ones of the operator.

use std::collections::BTreeMap;
use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, Value};
use serde::{Deserialize, Serialize};

use super::email::Email;
use super::samples;
use crate::config::{Brand, Shades};
use crate::texts::template::add_texts;
use crate::texts::{CustomError, CustomTemplates, Language, Languages, without_isolation};

/// The maximum length of a subject, in characters.
const MAX_SUBJECT_LENGTH: usize = 150;

macro_rules! built_in {
    ($($name:literal),+ $(,)?) => { [$(($name, include_str!(concat!("templates/", $name)))),+] };
}

/// The built-in templates by their file names.
pub(super) const BUILT_IN: [(&str, &str); 35] = built_in![
    "layout.html",
    "components.txt",
    "components.html",
    "verify_email.txt",
    "verify_email.html",
    "reset_password.txt",
    "reset_password.html",
    "invitation.txt",
    "invitation.html",
    "change_email_old.txt",
    "change_email_old.html",
    "change_email_new.txt",
    "change_email_new.html",
    "email_changed.txt",
    "email_changed.html",
    "new_login.txt",
    "new_login.html",
    "refresh_reused.txt",
    "refresh_reused.html",
    "password_changed.txt",
    "password_changed.html",
    "mfa_changed.txt",
    "mfa_changed.html",
    "wrong_codes.txt",
    "wrong_codes.html",
    "alerts_disabled.txt",
    "alerts_disabled.html",
    "session_limit.txt",
    "session_limit.html",
    "account_deletion.txt",
    "account_deletion.html",
    "deletion_cancelled.txt",
    "deletion_cancelled.html",
    "account_deleted.txt",
    "account_deleted.html",
];

/// The beginning of a text template. The rest of the first line is the subject.
const SUBJECT: &str = "Subject:";

/// A rendered email.
#[derive(Serialize, Deserialize)]
pub(super) struct Rendered {
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// The templates of all emails in each language that is offered, tested with an email of each kind.
pub(super) struct Templates {
    by_language: Vec<InLanguage>,
    fallback: Language,
    site: String,
}

/// The templates in one language.
struct InLanguage {
    language: Language,
    environment: Environment<'static>,
    /// The fallback for custom templates that fail.
    built_in: Option<Environment<'static>>,
}

/// Why the templates cannot be used. The text names the file.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The folder of templates cannot be used.
    #[error(transparent)]
    Custom(#[from] CustomError),
    /// There are no templates, which is a defect.
    #[error("there are no mail templates")]
    None,
    /// A template does not render an email of its kind.
    #[error("the mail template {name}: {reason}")]
    Invalid {
        /// The name of the template.
        name: String,
        /// Why the template is invalid.
        reason: String,
    },
}

impl Templates {
    /// Loads the templates of `folder`, and the built-in ones for those that it does not contain.
    ///
    /// # Errors
    /// A template cannot be read, is unknown, or does not render an email of its kind.
    pub(super) fn load(folder: Option<&Path>, brand: &Brand, languages: &Languages) -> Result<Self, TemplateError> {
        let names = BUILT_IN.map(|(name, _)| name);
        let read = |folder| CustomTemplates::read("MAIL_TEMPLATES", folder, &names, languages);
        let custom = folder.map(read).transpose()?;
        let mut by_language = Vec::new();
        for language in languages.iter() {
            let built_in = environment(&BUILT_IN.map(|(name, source)| (name, name, source)), language, brand)?;
            let Some(custom) = &custom else {
                by_language.push(InLanguage { language, environment: built_in, built_in: None });
                continue;
            };
            let environment =
                environment(&BUILT_IN.map(|(name, source)| of(custom, name, source, language)), language, brand)?;
            by_language.push(InLanguage { language, environment, built_in: Some(built_in) });
        }
        let templates = Self { by_language, fallback: languages.fallback(), site: brand.name.clone() };
        for of_language in &templates.by_language {
            let named = |error| custom.iter().fold(error, |error, custom| named(custom, error, of_language.language));
            templates.check(of_language).map_err(named)?;
        }
        Ok(templates)
    }

    /// Renders an email of each kind.
    fn check(&self, templates: &InLanguage) -> Result<(), TemplateError> {
        for email in Email::samples() {
            let rendered = self.rendered(&templates.environment, &email, templates.language)?;
            require_link(&email, "txt", &rendered.text)?;
            require_link(&email, "html", &rendered.html)?;
        }
        Ok(())
    }

    /// Renders an email in a language that is offered, or else in the first one.
    ///
    /// # Errors
    /// A built-in template fails, which is a defect, because it was tested when it was loaded.
    pub(super) fn render(&self, email: &Email, language: Option<Language>) -> Result<Rendered, TemplateError> {
        let asked = language.unwrap_or(self.fallback);
        let found = self.by_language.iter().find(|templates| templates.language == asked);
        let Some(templates) = found.or(self.by_language.first()) else {
            return Err(TemplateError::None);
        };
        let rendered = self.rendered(&templates.environment, email, templates.language);
        match (rendered, &templates.built_in) {
            (Err(error), Some(built_in)) => {
                tracing::error!(%error, "an email template failed; the built-in one is used");
                self.rendered(built_in, email, templates.language)
            }
            (rendered, _) => rendered,
        }
    }

    fn rendered(
        &self,
        environment: &Environment<'_>,
        email: &Email,
        language: Language,
    ) -> Result<Rendered, TemplateError> {
        let mut variables = email.variables(language);
        variables.insert("site", Value::from(self.site.as_str()));
        variables.insert("language", Value::from(language.tag()));
        let name = format!("{}.txt", email.name());
        let text = without_isolation(&fill(environment, &name, &variables)?);
        let (subject, text) = split_subject(&name, &text)?;
        variables.insert("subject", Value::from(subject.as_str()));
        let html = fill(environment, &format!("{}.html", email.name()), &variables)?;
        Ok(Rendered { subject, text, html: without_isolation(&html) })
    }
}

/// Checks that what was rendered of a sample contains its link, if it has one: without it, nobody could do what the
/// email asks for.
fn require_link(email: &Email, extension: &str, rendered: &str) -> Result<(), TemplateError> {
    if !email.has_link() || rendered.contains(samples::TOKEN) {
        return Ok(());
    }
    let name = format!("{}.{extension}", email.name());
    Err(TemplateError::Invalid { name, reason: "does not contain `{{ link }}`".to_owned() })
}

/// Returns a template in a language, by its name and that of its file: the operator's or the built-in one.
fn of<'a>(
    custom: &'a CustomTemplates,
    name: &'a str,
    built_in: &'a str,
    language: Language,
) -> (&'a str, &'a str, &'a str) {
    custom.file(name, language).map_or((name, name, built_in), |(file, source)| (name, file, source))
}

/// Returns the error with the name of the file that the template is in.
fn named(custom: &CustomTemplates, error: TemplateError, language: Language) -> TemplateError {
    match error {
        TemplateError::Invalid { name, reason } => {
            let name = custom.file(&name, language).map_or(name.clone(), |(file, _)| file.to_owned());
            TemplateError::Invalid { name, reason }
        }
        other => other,
    }
}

/// Creates an environment with the texts of a language, in which `.html` templates escape their variables and an
/// unknown variable is an error. Each template has a name, that of its file and a source.
fn environment(
    sources: &[(&str, &str, &str)],
    language: Language,
    brand: &Brand,
) -> Result<Environment<'static>, TemplateError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let mut syntax = SyntaxConfig::builder();
    let syntax = syntax.trim_blocks(true).lstrip_blocks(true).build().map_err(|error| invalid("syntax", &error))?;
    environment.set_syntax(syntax);
    add_texts(&mut environment, language);
    let Shades { accent, on, .. } = brand.accent.unwrap_or_default().light;
    environment.add_global("accent", accent.to_string());
    environment.add_global("on_accent", on.to_string());
    for (name, file, source) in sources {
        let added = environment.add_template_owned((*name).to_owned(), (*source).to_owned());
        added.map_err(|error| TemplateError::Invalid { name: (*file).to_owned(), reason: error.to_string() })?;
    }
    Ok(environment)
}

fn fill(
    environment: &Environment<'_>,
    name: &str,
    variables: &BTreeMap<&'static str, Value>,
) -> Result<String, TemplateError> {
    let values = Value::from_pairs(variables.iter().map(|(name, value)| (*name, value.clone())));
    environment.get_template(name).and_then(|template| template.render(values)).map_err(|error| invalid(name, &error))
}

fn invalid(name: &str, error: &minijinja::Error) -> TemplateError {
    TemplateError::Invalid { name: error.name().unwrap_or(name).to_owned(), reason: error.to_string() }
}

/// Splits a rendered text into the subject on its first line and the text after it. The subject is always one line, so
/// it cannot start another header.
fn split_subject(name: &str, rendered: &str) -> Result<(String, String), TemplateError> {
    let (first, rest) = rendered.trim_start().split_once('\n').unwrap_or_default();
    let subject = first.strip_prefix(SUBJECT).map(|subject| subject.split_whitespace().collect::<Vec<_>>().join(" "));
    let text = joined(rest.trim());
    match subject {
        Some(subject) if !subject.is_empty() && !text.is_empty() => {
            let subject = subject.chars().filter(|c| !c.is_control()).take(MAX_SUBJECT_LENGTH).collect();
            Ok((subject, text))
        }
        _ => Err(TemplateError::Invalid {
            name: name.to_owned(),
            reason: format!("must begin with a line `{SUBJECT} …`, followed by a text"),
        }),
    }
}

/// Leaves one empty line where there are several: those that parts of a template leave behind.
fn joined(text: &str) -> String {
    let mut joined = String::new();
    let mut is_after_empty = false;
    for line in text.lines() {
        let is_empty = line.trim().is_empty();
        if !(is_empty && is_after_empty) {
            joined.push_str(line);
            joined.push('\n');
        }
        is_after_empty = is_empty;
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::activity::{Activity, DeviceName};
    use crate::mail::email::Link;
    use crate::types::Timestamp;

    fn built_in() -> Templates {
        let brand = Brand { name: "auth.example".to_owned(), logo: None, accent: None };
        Templates::load(None, &brand, &Languages::parse("en,de,en-XA,ar-XB").unwrap()).unwrap()
    }

    #[test]
    fn every_email_is_written_as_text_and_html_with_its_link_in_both() {
        let templates = built_in();
        for email in Email::samples() {
            let rendered = templates.render(&email, None).unwrap();
            let name = email.name();
            assert!(rendered.subject.contains("auth.example"), "{name}: {}", rendered.subject);
            assert!(
                rendered.text.starts_with("Hello,\n\n") && !rendered.text.contains("\n\n\n"),
                "{name}: {}",
                rendered.text
            );
            assert!(rendered.html.contains("</html>") && rendered.html.contains(&rendered.subject), "{name}");
            if let Some(link) = email.variables(Language::English).get("link").filter(|link| !link.is_none()) {
                let link = link.to_string();
                assert!(rendered.text.lines().any(|line| line == link), "{name}: {}", rendered.text);
                assert!(
                    rendered.html.contains("account&#x2f;page?token=kto_0000sample0000\""),
                    "{name}: {}",
                    rendered.html
                );
            }
            for part in [&rendered.text, &rendered.html] {
                assert!(
                    !part.contains(" none") && !part.contains(">none") && !part.contains("{%") && !part.contains("{{"),
                    "{name}: {part}"
                );
            }
        }
    }

    /// Returns what a reader sees of HTML.
    fn shown(html: &str) -> String {
        let (_, body) = html.split_once("</head>").unwrap();
        let parts = body.split('<').map(|part| part.rsplit_once('>').map_or(part, |(_, text)| text));
        parts.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn no_text_stands_in_a_template() {
        let templates = built_in();
        for email in Email::samples() {
            let rendered = templates.render(&email, Some(Language::Accented)).unwrap();
            for part in [rendered.subject.as_str(), &rendered.text, &shown(&rendered.html)] {
                let mut depth = 0_usize;
                // The name of the site and links are the same in every language.
                let is_name = |line: &&str| *line == "auth.example" || line.starts_with("https://auth.example/");
                for line in part.lines().filter(|line| !is_name(line)) {
                    for c in line.chars() {
                        match c {
                            '⟦' => depth += 1,
                            '⟧' => depth -= 1,
                            _ => assert!(depth > 0 || !c.is_alphabetic(), "{}: {line}", email.name()),
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn an_email_says_which_language_it_is_in_and_where_reading_begins() {
        let templates = built_in();
        for email in Email::samples() {
            for (language, beginning, hello) in [
                (Language::English, "<!doctype html>\n<html lang=\"en\" dir=\"ltr\">", "Hello,"),
                (Language::German, "<!doctype html>\n<html lang=\"de\" dir=\"ltr\">", "Guten Tag,"),
                (Language::RightToLeft, "<!doctype html>\n<html lang=\"ar-XB\" dir=\"rtl\">", "\u{202e}Hello,\u{202c}"),
            ] {
                let Rendered { subject, text, html } = templates.render(&email, Some(language)).unwrap();
                assert!(html.starts_with(beginning), "{html}");
                assert!(text.starts_with(hello) && html.contains(&format!("<p>{hello}</p>")), "{text}");
                let is_isolated = language == Language::RightToLeft;
                assert_eq!(subject.contains('\u{2068}'), is_isolated, "{subject}");
                assert_eq!(text.contains('\u{2068}'), is_isolated, "{text}");
            }
        }
    }

    #[test]
    fn the_documentation_names_the_variables_of_each_template() {
        let page = include_str!("../../docs/operations.md");
        for email in Email::samples() {
            let row = page.lines().find(|line| line.starts_with(&format!("| `{}` | ", email.name()))).unwrap();
            let named: Vec<&str> = row.rsplit(" | ").next().unwrap().trim_end_matches(" |").split(", ").collect();
            let mut named: Vec<&str> = named.iter().map(|name| name.trim_matches('`')).collect();
            named.retain(|name| *name != "–");
            named.sort_unstable();
            assert_eq!(named, email.variables(Language::English).into_keys().collect::<Vec<_>>(), "{}", email.name());
        }
    }

    #[test]
    fn a_text_that_a_client_chose_is_no_markup_and_no_header() {
        let activity = Activity {
            device: DeviceName::chosen("<b>x</b>\r\nBcc: all"),
            place: Some("<i>".to_owned()),
            ip: None,
            at: Timestamp::from_millis(0),
            by_operator: false,
        };
        let link = Link { url: "https://auth.example/?a=1&b=2".to_owned(), expires_at: Timestamp::from_millis(0) };
        let rendered = built_in().render(&Email::PasswordChanged { activity, link }, None).unwrap();
        assert!(!rendered.html.contains("<b>") && !rendered.html.contains("<i>"), "{}", rendered.html);
        assert!(rendered.html.contains("&lt;b&gt;"), "{}", rendered.html);
        assert!(!rendered.text.contains("\nBcc"), "{}", rendered.text);
        let (subject, _) = split_subject("x", "Subject: one\r\nBcc: all\n\nText").unwrap();
        assert_eq!(subject, "one");
    }
}
