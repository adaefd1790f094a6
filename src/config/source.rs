//! Where values come from: the environment, then a file, then the table.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use toml::{Table, Value};
use zeroize::Zeroizing;

use super::parse::Parsed;
use super::settings::{Setting, Shows, setting, settings};

/// Looks a name up in the environment, or in what a test has in its place.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Why a configuration was refused, a line for each problem: `NAME: what is wrong; example: …`. Holds no secret.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub(super) Vec<String>);

pub(super) fn problem(name: &str, wrong: &str, example: &str) -> String {
    format!("{name}: {wrong}; example: {example}")
}

/// A setting in effect, for people. Holds no secret.
#[derive(Debug)]
pub struct Shown {
    pub name: &'static str,
    pub value: String,
    /// `environment`, the path of a file, or `default`.
    pub origin: String,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} ({})", self.name, self.value, self.origin)
    }
}

/// A text and where it came from.
type Given = (Zeroizing<String>, String);

/// All that was given, and all that turns out to be wrong with it.
pub struct Reader {
    given: BTreeMap<&'static str, Zeroizing<String>>,
    shown: Vec<Shown>,
    problems: Vec<String>,
}

impl Reader {
    pub fn new(file: Option<&Path>, environment: Environment) -> Self {
        let mut problems = Vec::new();
        let table = file.map_or_else(Table::new, |path| read_table(path, &mut problems));
        let file_name = file.map_or_else(String::new, |path| path.display().to_string());
        let from_environment = |name: &str| environment(name).map(from_os).transpose();
        let from_file = |name: &str| table.get(&name.to_ascii_lowercase()).map(from_toml).transpose();
        let mut read = Self { given: BTreeMap::new(), shown: Vec::new(), problems };
        for setting in settings() {
            let found = match look_up(setting.name, "environment", &from_environment) {
                Ok(None) => look_up(setting.name, &file_name, &from_file),
                found => found,
            };
            read.add(setting, found);
        }
        read
    }

    fn add(&mut self, setting: &'static Setting, found: Parsed<Option<Given>>) {
        let (mut value, mut origin) = (setting.default.words().to_owned(), "default".to_owned());
        match found {
            Ok(None) => {}
            Ok(Some((text, from))) => {
                (value, origin) = (setting.shown(&text), from);
                self.given.insert(setting.name, text);
            }
            Err(wrong) => self.report(setting.name, &wrong),
        }
        self.shown.push(Shown { name: setting.name, value, origin });
    }

    /// The value given; `None` when it is unset, or wrong and so reported.
    pub fn given<T>(&mut self, name: &str, parse: impl Fn(&str) -> Parsed<T>) -> Option<T> {
        let text = self.given.get(name)?;
        let wrong = match parse(text) {
            Ok(value) => return Some(value),
            Err(wrong) if setting(name).shows == Shows::All => format!("{wrong}, is {:?}", text.as_str()),
            Err(wrong) => wrong,
        };
        self.report(name, &wrong);
        None
    }

    /// The value given, else the default in the table.
    pub fn get<T>(&mut self, name: &str, parse: impl Fn(&str) -> Parsed<T>) -> T {
        #[expect(clippy::expect_used, reason = "the defaults are constants, and a test reads them all")]
        self.given(name, &parse).unwrap_or_else(|| parse(setting(name).default.words()).expect("is right"))
    }

    /// Shows what is in effect in the place of an unset value.
    pub fn show_default(&mut self, name: &str, value: impl fmt::Display) {
        let unset = self.shown.iter_mut().filter(|shown| shown.name == name && shown.origin == "default");
        unset.for_each(|shown| shown.value = value.to_string());
    }

    pub fn report(&mut self, name: &str, wrong: &str) {
        self.problems.push(problem(name, wrong, setting(name).example));
    }

    /// Reports `name` unless `holds`, or unless it or `other` is wrong by itself: then the rule says nothing.
    pub fn require(&mut self, name: &str, other: &str, holds: bool, wrong: &str) {
        let is_about = |line: &String, name| line.split_once(':').is_some_and(|(about, _)| about == name);
        if !holds && !self.problems.iter().any(|line| is_about(line, name) || is_about(line, other)) {
            self.report(name, wrong);
        }
    }

    /// Every setting in effect, if none is wrong.
    pub fn finish(self) -> Result<Vec<Shown>, ConfigError> {
        if self.problems.is_empty() { Ok(self.shown) } else { Err(ConfigError(self.problems)) }
    }
}

/// `NAME` in `source`, or the content of the file that `NAME_FILE` names. White space around it is dropped, and what is
/// empty counts as unset.
fn look_up(name: &str, origin: &str, source: &dyn Fn(&str) -> Parsed<Option<String>>) -> Parsed<Option<Given>> {
    let find = |name: &str| Ok::<_, String>(source(name)?.map(trimmed).filter(|text| !text.is_empty()));
    match (find(name)?, find(&format!("{name}_FILE"))?) {
        (Some(_), Some(_)) => Err(format!("is given twice, as {name} and as {name}_FILE")),
        (text, None) => Ok(text.map(|text| (text, origin.to_owned()))),
        (None, Some(path)) => match std::fs::read_to_string(path.as_str()).map(trimmed) {
            Ok(text) if text.is_empty() => Err(format!("is empty in the file {}", *path)),
            Ok(text) => Ok(Some((text, path.to_string()))),
            Err(error) => Err(format!("cannot be read from the file {}: {error}", *path)),
        },
    }
}

fn trimmed(text: String) -> Zeroizing<String> {
    Zeroizing::new(Zeroizing::new(text).trim().to_owned())
}

fn from_os(value: OsString) -> Parsed<String> {
    value.into_string().map_err(|_| "is not UTF-8".to_owned())
}

fn from_toml(value: &Value) -> Parsed<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Boolean(truth) => Ok(truth.to_string()),
        Value::Array(elements) => Ok(elements.iter().map(from_toml).collect::<Parsed<Vec<_>>>()?.join(",")),
        _ => Err("must be a string, an integer, a boolean or an array of these".to_owned()),
    }
}

fn read_table(path: &Path, problems: &mut Vec<String>) -> Table {
    let path_name = path.display().to_string();
    let text = std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| error.to_string());
    let table = text.and_then(|text| text.parse::<Table>().map_err(|error| syntax_error(&text, &error)));
    let table = table.unwrap_or_else(|wrong| {
        problems.push(problem(&path_name, &format!("cannot be read: {wrong}"), "bind = \"127.0.0.1:8080\""));
        Table::new()
    });
    problems.extend(table.keys().filter_map(|key| unknown(key)));
    table
}

/// What the parser says, without the line that it would show: that may hold a secret.
fn syntax_error(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("{} in line {}", error.message(), before.matches('\n').count() + 1)
}

/// What to say of a key that no setting has. Overlooked, it would leave a default in force.
pub(super) fn unknown(key: &str) -> Option<String> {
    let plain = key.strip_suffix("_file").unwrap_or(key);
    let far = |setting: &&Setting| {
        let name = setting.name.to_ascii_lowercase();
        distance(&name, plain).min(distance(&name, key))
    };
    let nearest = settings().iter().min_by_key(far).filter(|nearest| far(nearest) > 0)?;
    let wrong = format!("is no setting, the nearest is {}", nearest.name.to_ascii_lowercase());
    Some(problem(key, &wrong, nearest.example))
}

/// How many characters to put in, leave out or change to get from `a` to `b` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (index, x) in a.chars().enumerate() {
        let mut left = index + 1;
        let mut next = vec![left];
        for (y, (diagonal, above)) in b.chars().zip(row.iter().zip(row.iter().skip(1))) {
            left = (diagonal + usize::from(x != y)).min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
