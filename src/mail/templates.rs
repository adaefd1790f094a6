//! From a letter to what is read: templates that are built in, and those that an operator puts in their place.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, Value};
use serde::{Deserialize, Serialize};

use super::letter::Letter;

/// The longest subject, in characters.
const LONGEST_SUBJECT: usize = 150;

macro_rules! built_in {
    ($($name:literal),+ $(,)?) => { [$(($name, include_str!(concat!("templates/", $name)))),+] };
}

/// The templates that keyturn comes with; others by the same names take their places.
pub const BUILT_IN: [(&str, &str); 21] = built_in![
    "layout.html",
    "verify_email.txt",
    "verify_email.html",
    "reset_password.txt",
    "reset_password.html",
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
    "session_limit.txt",
    "session_limit.html",
];

/// What a text template begins with; the rest of its first line is the subject.
const SUBJECT: &str = "Subject:";

/// A letter as it is read.
#[derive(Serialize, Deserialize)]
pub struct Rendered {
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// Templates that have rendered a letter of each kind.
pub struct Templates {
    environment: Environment<'static>,
    /// To fall back on, should a letter be more than another's template can take.
    built_in: Option<Environment<'static>>,
    site: String,
}

/// Why templates are of no use; names the file.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error("MAIL_TEMPLATES: {path} cannot be read: {error}")]
    Unreadable { path: String, error: io::Error },
    #[error("MAIL_TEMPLATES: {0} is no template of keyturn's; those are {names}", names = names())]
    Unknown(String),
    #[error("the mail template {name}: {wrong}")]
    Wrong { name: String, wrong: String },
}

fn names() -> String {
    BUILT_IN.map(|(name, _)| name).join(", ")
}

impl Templates {
    /// Takes those of `folder`, and the built-in ones for the rest. `site` is what letters call the place that they come
    /// from.
    pub fn load(folder: Option<&Path>, site: &str) -> Result<Self, TemplateError> {
        let mut sources: BTreeMap<&'static str, String> =
            BUILT_IN.iter().map(|(name, source)| (*name, (*source).to_owned())).collect();
        let built_in = folder.map(|_| environment(&sources)).transpose()?;
        if let Some(folder) = folder {
            replace(&mut sources, folder)?;
        }
        let templates = Self { environment: environment(&sources)?, built_in, site: site.to_owned() };
        for letter in Letter::samples() {
            templates.rendered(&templates.environment, &letter)?;
        }
        Ok(templates)
    }

    /// The letter in words.
    ///
    /// # Errors
    /// None but by a defect: all templates have rendered such a letter before.
    pub fn render(&self, letter: &Letter) -> Result<Rendered, TemplateError> {
        let rendered = self.rendered(&self.environment, letter);
        match (rendered, &self.built_in) {
            (Err(error), Some(built_in)) => {
                tracing::error!(%error, "a mail is written with the built-in template");
                self.rendered(built_in, letter)
            }
            (rendered, _) => rendered,
        }
    }

    fn rendered(&self, environment: &Environment<'_>, letter: &Letter) -> Result<Rendered, TemplateError> {
        let mut variables = letter.variables();
        variables.insert("site", Value::from(self.site.as_str()));
        let name = format!("{}.txt", letter.name());
        let (subject, text) = with_subject(&name, &filled(environment, &name, &variables)?)?;
        variables.insert("subject", Value::from(subject.as_str()));
        let html = filled(environment, &format!("{}.html", letter.name()), &variables)?;
        Ok(Rendered { subject, text, html })
    }
}

/// Puts the files of `folder` in the places of those of their names.
fn replace(sources: &mut BTreeMap<&'static str, String>, folder: &Path) -> Result<(), TemplateError> {
    let unreadable = |path: &Path, error| TemplateError::Unreadable { path: path.display().to_string(), error };
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let path = entry.map_err(|error| unreadable(folder, error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Kubernetes mounts a folder with hidden entries of its own.
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

/// HTML escapes what it is given, by the ending of its name; a variable that is not there is an error.
fn environment(sources: &BTreeMap<&'static str, String>) -> Result<Environment<'static>, TemplateError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let mut syntax = SyntaxConfig::builder();
    let syntax = syntax.trim_blocks(true).lstrip_blocks(true).build().map_err(|error| wrong("syntax", &error))?;
    environment.set_syntax(syntax);
    for (name, source) in sources {
        environment.add_template_owned(*name, source.clone()).map_err(|error| wrong(name, &error))?;
    }
    Ok(environment)
}

fn filled(
    environment: &Environment<'_>,
    name: &str,
    variables: &BTreeMap<&'static str, Value>,
) -> Result<String, TemplateError> {
    let values = Value::from_pairs(variables.iter().map(|(name, value)| (*name, value.clone())));
    environment.get_template(name).and_then(|template| template.render(values)).map_err(|error| wrong(name, &error))
}

fn wrong(name: &str, error: &minijinja::Error) -> TemplateError {
    TemplateError::Wrong { name: error.name().unwrap_or(name).to_owned(), wrong: error.to_string() }
}

/// The subject on the first line, and the text after it. Neither can begin another header: the subject ends with its
/// line.
fn with_subject(name: &str, rendered: &str) -> Result<(String, String), TemplateError> {
    let (first, rest) = rendered.trim_start().split_once('\n').unwrap_or_default();
    let subject = first.strip_prefix(SUBJECT).map(|subject| subject.split_whitespace().collect::<Vec<_>>().join(" "));
    let text = rest.trim();
    match subject {
        Some(subject) if !subject.is_empty() && !text.is_empty() => {
            let subject = subject.chars().filter(|c| !c.is_control()).take(LONGEST_SUBJECT).collect();
            Ok((subject, format!("{text}\n")))
        }
        _ => Err(TemplateError::Wrong {
            name: name.to_owned(),
            wrong: format!("must begin with a line `{SUBJECT} …`, and a text after it"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::mail::letter::{Link, Occasion};

    fn built_in() -> Templates {
        Templates::load(None, "auth.example").unwrap()
    }

    #[test]
    fn every_letter_is_written_as_text_and_html_with_its_link_in_both() {
        let templates = built_in();
        for letter in Letter::samples() {
            let rendered = templates.render(&letter).unwrap();
            let name = letter.name();
            assert!(rendered.subject.contains("auth.example"), "{name}: {}", rendered.subject);
            assert!(
                rendered.text.starts_with("Hello,\n\n") && !rendered.text.contains("\n\n\n"),
                "{name}: {}",
                rendered.text
            );
            assert!(rendered.html.contains("</html>") && rendered.html.contains(&rendered.subject), "{name}");
            if let Some(link) = letter.variables().get("link") {
                let link = link.to_string();
                assert!(rendered.text.lines().any(|line| line == link), "{name}: {}", rendered.text);
                assert!(rendered.html.contains("account&#x2f;page?token=sample\""), "{name}: {}", rendered.html);
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
        for letter in Letter::samples() {
            let row = page.lines().find(|line| line.starts_with(&format!("| `{}` | ", letter.name()))).unwrap();
            let named: Vec<&str> = row.rsplit(" | ").next().unwrap().trim_end_matches(" |").split(", ").collect();
            let mut named: Vec<&str> = named.iter().map(|name| name.trim_matches('`')).collect();
            named.sort_unstable();
            assert_eq!(named, letter.variables().into_keys().collect::<Vec<_>>(), "{}", letter.name());
        }
    }

    #[test]
    fn what_a_stranger_chose_is_no_markup_and_no_header() {
        let occasion = Occasion {
            device: "<b>x</b>\r\nBcc: all".to_owned(),
            place: Some("<i>".to_owned()),
            ip: None,
            at: Timestamp::from_millis(0),
        };
        let link = Link { url: "https://auth.example/?a=1&b=2".to_owned(), expires_at: Timestamp::from_millis(0) };
        let rendered = built_in().render(&Letter::PasswordChanged { occasion, link }).unwrap();
        assert!(!rendered.html.contains("<b>") && !rendered.html.contains("<i>"), "{}", rendered.html);
        assert!(rendered.html.contains("&lt;b&gt;"), "{}", rendered.html);
        assert!(!rendered.text.contains("\nBcc"), "{}", rendered.text);
        let (subject, _) = with_subject("x", "Subject: one\r\nBcc: all\n\nText").unwrap();
        assert_eq!(subject, "one");
    }
}
