//! The templates of emails: the built-in ones, or custom ones of the operator.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, Value};
use serde::{Deserialize, Serialize};

use super::email::Email;
use super::samples;

/// The maximum length of a subject, in characters.
const MAX_SUBJECT_LENGTH: usize = 150;

macro_rules! built_in {
    ($($name:literal),+ $(,)?) => { [$(($name, include_str!(concat!("templates/", $name)))),+] };
}

/// The built-in templates by their file names.
pub(super) const BUILT_IN: [(&str, &str); 33] = built_in![
    "layout.html",
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

/// The templates of all emails, tested with an email of each kind.
pub(super) struct Templates {
    environment: Environment<'static>,
    /// The fallback for custom templates that fail.
    built_in: Option<Environment<'static>>,
    site: String,
}

/// Why the templates cannot be used. The text names the file.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// A file cannot be read.
    #[error("MAIL_TEMPLATES: {path} cannot be read: {error}")]
    Unreadable {
        /// The path of the file.
        path: String,
        /// The error.
        error: io::Error,
    },
    /// A file does not have the name of a template.
    #[error("MAIL_TEMPLATES: {0} is not one of the templates {names}", names = names())]
    Unknown(String),
    /// A template does not render an email of its kind.
    #[error("the mail template {name}: {reason}")]
    Invalid {
        /// The name of the template.
        name: String,
        /// Why the template is invalid.
        reason: String,
    },
}

fn names() -> String {
    BUILT_IN.map(|(name, _)| name).join(", ")
}

impl Templates {
    /// Loads the templates of `folder`, and the built-in ones for those that it does not contain. `site` is the name of
    /// this server in emails.
    ///
    /// # Errors
    /// A template cannot be read, is unknown, or does not render an email of its kind.
    pub(super) fn load(folder: Option<&Path>, site: &str) -> Result<Self, TemplateError> {
        let mut sources: BTreeMap<&'static str, String> =
            BUILT_IN.iter().map(|(name, source)| (*name, (*source).to_owned())).collect();
        let built_in = folder.map(|_| environment(&sources)).transpose()?;
        if let Some(folder) = folder {
            replace(&mut sources, folder)?;
        }
        let templates = Self { environment: environment(&sources)?, built_in, site: site.to_owned() };
        for email in Email::samples() {
            let rendered = templates.rendered(&templates.environment, &email)?;
            require_link(&email, "txt", &rendered.text)?;
            require_link(&email, "html", &rendered.html)?;
        }
        Ok(templates)
    }

    /// Renders an email.
    ///
    /// # Errors
    /// A built-in template fails, which is a defect, because it was tested when it was loaded.
    pub(super) fn render(&self, email: &Email) -> Result<Rendered, TemplateError> {
        let rendered = self.rendered(&self.environment, email);
        match (rendered, &self.built_in) {
            (Err(error), Some(built_in)) => {
                tracing::error!(%error, "an email template failed; the built-in one is used");
                self.rendered(built_in, email)
            }
            (rendered, _) => rendered,
        }
    }

    fn rendered(&self, environment: &Environment<'_>, email: &Email) -> Result<Rendered, TemplateError> {
        let mut variables = email.variables();
        variables.insert("site", Value::from(self.site.as_str()));
        let name = format!("{}.txt", email.name());
        let (subject, text) = split_subject(&name, &fill(environment, &name, &variables)?)?;
        variables.insert("subject", Value::from(subject.as_str()));
        let html = fill(environment, &format!("{}.html", email.name()), &variables)?;
        Ok(Rendered { subject, text, html })
    }
}

/// Checks that what was rendered of a sample contains its link, if it has one: without it, nobody could do what the
/// email asks for.
fn require_link(email: &Email, extension: &str, rendered: &str) -> Result<(), TemplateError> {
    let variables = email.variables();
    let has_link = variables.get("link").is_some_and(|link| !link.is_none());
    if !has_link || rendered.contains(samples::TOKEN) {
        return Ok(());
    }
    let name = format!("{}.{extension}", email.name());
    Err(TemplateError::Invalid { name, reason: "does not contain `{{ link }}`".to_owned() })
}

/// Replaces built-in templates by the files with the same names in `folder`.
fn replace(sources: &mut BTreeMap<&'static str, String>, folder: &Path) -> Result<(), TemplateError> {
    let unreadable = |path: &Path, error| TemplateError::Unreadable { path: path.display().to_string(), error };
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let path = entry.map_err(|error| unreadable(folder, error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Kubernetes adds hidden entries to a mounted folder.
        if name.starts_with('.') {
            continue;
        }
        let (_, source) = sources
            .iter_mut()
            .find(|(known, _)| **known == name)
            .ok_or_else(|| TemplateError::Unknown(path.display().to_string()))?;
        *source = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
    }
    Ok(())
}

/// Creates an environment in which `.html` templates escape their variables and an unknown variable is an error.
fn environment(sources: &BTreeMap<&'static str, String>) -> Result<Environment<'static>, TemplateError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let mut syntax = SyntaxConfig::builder();
    let syntax = syntax.trim_blocks(true).lstrip_blocks(true).build().map_err(|error| invalid("syntax", &error))?;
    environment.set_syntax(syntax);
    for (name, source) in sources {
        environment.add_template_owned(*name, source.clone()).map_err(|error| invalid(name, &error))?;
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
    let text = rest.trim();
    match subject {
        Some(subject) if !subject.is_empty() && !text.is_empty() => {
            let subject = subject.chars().filter(|c| !c.is_control()).take(MAX_SUBJECT_LENGTH).collect();
            Ok((subject, format!("{text}\n")))
        }
        _ => Err(TemplateError::Invalid {
            name: name.to_owned(),
            reason: format!("must begin with a line `{SUBJECT} …`, followed by a text"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::activity::Activity;
    use crate::mail::email::Link;
    use crate::types::Timestamp;

    fn built_in() -> Templates {
        Templates::load(None, "auth.example").unwrap()
    }

    #[test]
    fn every_email_is_written_as_text_and_html_with_its_link_in_both() {
        let templates = built_in();
        for email in Email::samples() {
            let rendered = templates.render(&email).unwrap();
            let name = email.name();
            assert!(rendered.subject.contains("auth.example"), "{name}: {}", rendered.subject);
            assert!(
                rendered.text.starts_with("Hello,\n\n") && !rendered.text.contains("\n\n\n"),
                "{name}: {}",
                rendered.text
            );
            assert!(rendered.html.contains("</html>") && rendered.html.contains(&rendered.subject), "{name}");
            if let Some(link) = email.variables().get("link").filter(|link| !link.is_none()) {
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

    #[test]
    fn the_documentation_names_the_variables_of_each_template() {
        let page = include_str!("../../docs/operations.md");
        for email in Email::samples() {
            let row = page.lines().find(|line| line.starts_with(&format!("| `{}` | ", email.name()))).unwrap();
            let named: Vec<&str> = row.rsplit(" | ").next().unwrap().trim_end_matches(" |").split(", ").collect();
            let mut named: Vec<&str> = named.iter().map(|name| name.trim_matches('`')).collect();
            named.retain(|name| *name != "–");
            named.sort_unstable();
            assert_eq!(named, email.variables().into_keys().collect::<Vec<_>>(), "{}", email.name());
        }
    }

    #[test]
    fn a_text_that_a_client_chose_is_no_markup_and_no_header() {
        let activity = Activity {
            device: "<b>x</b>\r\nBcc: all".to_owned(),
            place: Some("<i>".to_owned()),
            ip: None,
            at: Timestamp::from_millis(0),
            by_operator: false,
        };
        let link = Link { url: "https://auth.example/?a=1&b=2".to_owned(), expires_at: Timestamp::from_millis(0) };
        let rendered = built_in().render(&Email::PasswordChanged { activity, link }).unwrap();
        assert!(!rendered.html.contains("<b>") && !rendered.html.contains("<i>"), "{}", rendered.html);
        assert!(rendered.html.contains("&lt;b&gt;"), "{}", rendered.html);
        assert!(!rendered.text.contains("\nBcc"), "{}", rendered.text);
        let (subject, _) = split_subject("x", "Subject: one\r\nBcc: all\n\nText").unwrap();
        assert_eq!(subject, "one");
    }
}
