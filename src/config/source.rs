//! Reads settings from the environment, a file and the table of defaults, in this order.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::path::Path;

use toml::{Table, Value};
use zeroize::Zeroizing;

use super::names::{self, Environment, PREFIX};
use super::parse::Parsed;
use super::settings::{Setting, setting, settings};

/// The problems of a configuration, each on a line: `NAME: what is wrong; example: …`. It contains no secret.
#[derive(Debug, thiserror::Error)]
#[error("{}", .problems.join("\n"))]
pub struct ConfigError {
    pub(super) problems: Vec<String>,
}

/// Formats a problem of a setting.
pub(super) fn problem(name: &str, error: &str, example: &str) -> String {
    format!("{name}: {error}; example: {example}")
}

/// A setting in effect, to be displayed. It contains no secret.
#[derive(Clone, Debug)]
pub struct EffectiveSetting {
    /// The name in the environment.
    pub name: &'static str,
    /// The value, without secrets.
    pub value: String,
    /// The source of the value: `environment`, the path of a file, or `default`.
    pub origin: String,
}

impl fmt::Display for EffectiveSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} ({})", self.name, self.value, self.origin)
    }
}

/// A text and its source.
type SourcedText = (Zeroizing<String>, String);

/// Reads settings and collects their problems.
pub(super) struct Reader {
    values: BTreeMap<&'static str, Zeroizing<String>>,
    effective: Vec<EffectiveSetting>,
    problems: Vec<String>,
}

impl Reader {
    /// Reads the texts of all settings.
    pub(super) fn new(file: Option<&Path>, environment: &Environment) -> Self {
        let mut problems = environment.mistaken();
        let table = file.map_or_else(Table::new, |path| read_table(path, &mut problems));
        let file_name = file.map_or_else(String::new, |path| path.display().to_string());
        let from_environment = |name: &str| from_environment(environment, name);
        let from_file = |name: &str| table.get(&name.to_ascii_lowercase()).map(from_toml).transpose();
        let mut reader = Self { values: BTreeMap::new(), effective: Vec::new(), problems };
        for setting in settings() {
            let found = match look_up(setting, "environment", &from_environment) {
                Ok(None) => look_up(setting, &file_name, &from_file),
                found => found,
            };
            reader.add(setting, found);
        }
        reader
    }

    fn add(&mut self, setting: &'static Setting, found: Parsed<Option<SourcedText>>) {
        let mut value = setting.default.text().to_owned();
        let mut origin = "default".to_owned();
        match found {
            Ok(None) => {}
            Ok(Some((text, from))) => {
                value = setting.redact(&text);
                origin = from;
                self.values.insert(setting.name, text);
            }
            Err(error) => self.report(setting.name, &error),
        }
        self.effective.push(EffectiveSetting { name: setting.name, value, origin });
    }

    /// Returns the value of a setting. Returns `None` if it is unset, or if it is wrong, which is then reported.
    pub(super) fn get<T>(&mut self, name: &str, parse: impl Fn(&str) -> Parsed<T>) -> Option<T> {
        let text = self.values.get(name)?;
        let error = match parse(text) {
            Ok(value) => return Some(value),
            Err(error) if setting(name).shows(text) => format!("{error}, is {:?}", text.as_str()),
            Err(error) => error,
        };
        self.report(name, &error);
        None
    }

    /// Returns the value of a setting, or its default in the table.
    pub(super) fn get_or_default<T>(&mut self, name: &str, parse: impl Fn(&str) -> Parsed<T>) -> T {
        #[expect(clippy::expect_used, reason = "the defaults are constants, and a test reads them all")]
        self.get(name, &parse).unwrap_or_else(|| parse(setting(name).default.text()).expect("the default is valid"))
    }

    /// Sets the displayed value of a setting that is unset.
    pub(super) fn show_default(&mut self, name: &str, value: impl fmt::Display) {
        let unset = self.effective.iter_mut().filter(|setting| setting.name == name && setting.origin == "default");
        unset.for_each(|setting| setting.value = value.to_string());
    }

    /// Reports a problem of a setting.
    pub(super) fn report(&mut self, name: &str, error: &str) {
        self.problems.push(problem(name, error, setting(name).example));
    }

    /// Reports `error` about the setting `name` unless `holds`. Does nothing if a problem of `name` or `other` was
    /// reported before, because then their values are not known.
    pub(super) fn require(&mut self, name: &str, other: &str, holds: bool, error: &str) {
        let is_about = |line: &String, name| line.split_once(':').is_some_and(|(about, _)| about == name);
        if !holds && !self.problems.iter().any(|line| is_about(line, name) || is_about(line, other)) {
            self.report(name, error);
        }
    }

    /// Returns every setting in effect.
    ///
    /// # Errors
    /// A problem was reported.
    pub(super) fn finish(self) -> Result<Vec<EffectiveSetting>, ConfigError> {
        if self.problems.is_empty() { Ok(self.effective) } else { Err(ConfigError { problems: self.problems }) }
    }
}

/// Looks up `NAME` in `source`, or reads the file that `NAME_FILE` names. Removes the white space around the value. An
/// empty value counts as unset.
fn look_up(
    setting: &Setting,
    origin: &str,
    source: &dyn Fn(&str) -> Parsed<Option<String>>,
) -> Parsed<Option<SourcedText>> {
    let name = setting.name;
    let find = |name: &str| Ok::<_, String>(source(name)?.map(trimmed).filter(|text| !text.is_empty()));
    match (find(name)?, find(&format!("{name}_FILE"))?) {
        (Some(_), Some(_)) => Err(format!("is set twice, as {name} and as {name}_FILE")),
        (text, None) => Ok(text.map(|text| (text, origin.to_owned()))),
        (None, Some(path)) => match std::fs::read_to_string(path.as_str()).map(without_mark).map(trimmed) {
            Ok(text) if text.is_empty() => Err(format!("is empty in the file {}", *path)),
            Ok(text) => Ok(Some((text, path.to_string()))),
            // What is no file may be the secret itself, set by the wrong name.
            Err(error) if !setting.shows(&path) && !Path::new(path.as_str()).exists() => {
                Err(format!("cannot be read from the file that {name}_FILE names: {error}"))
            }
            Err(error) => Err(format!("cannot be read from the file {}: {error}", *path)),
        },
    }
}

/// Removes the byte order mark that some editors put before a text.
fn without_mark(mut text: String) -> String {
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    text
}

fn trimmed(text: String) -> Zeroizing<String> {
    Zeroizing::new(Zeroizing::new(text).trim().to_owned())
}

/// Looks up `NAME` and `KEYTURN_NAME`, which must not differ.
fn from_environment(environment: &Environment, name: &str) -> Parsed<Option<String>> {
    let prefixed = format!("{PREFIX}{name}");
    let is_link = |value: &&OsStr| names::is_service_link(name, value);
    let find = |name: &str| environment.get(name).map(from_os).transpose();
    if environment.get(&prefixed).filter(is_link).is_some() {
        return find(name);
    }
    let is_set = |text: &String| !text.trim().is_empty();
    match (find(name)?.filter(is_set), find(&prefixed)?.filter(is_set)) {
        (Some(plain), Some(other)) if plain.trim() != other.trim() => {
            Err(format!("is set twice, as {name} and as {prefixed}, with different values"))
        }
        (plain, other) => Ok(plain.or(other)),
    }
}

fn from_os(value: &OsStr) -> Parsed<String> {
    value.to_str().map(str::to_owned).ok_or_else(|| "is not UTF-8".to_owned())
}

fn from_toml(value: &Value) -> Parsed<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Boolean(boolean) => Ok(boolean.to_string()),
        Value::Array(elements) => Ok(elements.iter().map(from_toml).collect::<Parsed<Vec<_>>>()?.join(",")),
        _ => Err("must be a string, an integer, a boolean or an array of these".to_owned()),
    }
}

fn read_table(path: &Path, problems: &mut Vec<String>) -> Table {
    let path_name = path.display().to_string();
    let text = std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| error.to_string());
    let table = text.and_then(|text| text.parse::<Table>().map_err(|error| syntax_error(&text, &error)));
    let table = table.unwrap_or_else(|error| {
        problems.push(problem(&path_name, &format!("cannot be read: {error}"), "bind = \"127.0.0.1:8080\""));
        Table::new()
    });
    problems.extend(table.keys().filter_map(|key| names::unknown(key)));
    table
}

/// Describes a syntax error without the line that the parser would show, which can contain a secret.
fn syntax_error(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("{} in line {}", error.message(), before.matches('\n').count() + 1)
}
