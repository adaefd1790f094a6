//! Templates of an operator's own, which replace built-in ones of the same names.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::{Language, Languages};

/// Why a folder of templates cannot be used. The text names the setting and the file.
#[derive(Debug, thiserror::Error)]
pub enum CustomError {
    /// A file cannot be read.
    #[error("{setting}: {path} cannot be read: {error}")]
    Unreadable {
        /// The setting that names the folder.
        setting: &'static str,
        /// The path of the file.
        path: String,
        /// The error.
        error: io::Error,
    },
    /// A file does not have the name of a template.
    #[error(
        "{setting}: {path} is not one of the templates {names}, with a language of UI_LANGUAGES before the extension \
         (new_login.de.txt) or without"
    )]
    Unknown {
        /// The setting that names the folder.
        setting: &'static str,
        /// The path of the file.
        path: String,
        /// The names of all templates.
        names: String,
    },
}

/// The templates of an operator, by the names of their files.
pub(crate) struct CustomTemplates {
    sources: BTreeMap<String, String>,
}

impl CustomTemplates {
    /// Reads the templates in a folder. `names` are those of the built-in ones.
    ///
    /// # Errors
    /// A file cannot be read, or has not the name of a template, for all languages or one.
    pub(crate) fn read(
        setting: &'static str,
        folder: &Path,
        names: &[&str],
        languages: &Languages,
    ) -> Result<Self, CustomError> {
        let unreadable =
            |path: &Path, error| CustomError::Unreadable { setting, path: path.display().to_string(), error };
        let mut sources = BTreeMap::new();
        for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
            let path = entry.map_err(|error| unreadable(folder, error))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // Kubernetes adds hidden entries to a mounted folder.
            if name.starts_with('.') {
                continue;
            }
            if !is_template(&name, names, languages) {
                let path = path.display().to_string();
                return Err(CustomError::Unknown { setting, path, names: names.join(", ") });
            }
            let source = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
            sources.insert(name, source);
        }
        Ok(Self { sources })
    }

    /// Returns the name of the file of a template in a language, and its source, if the operator has one.
    pub(crate) fn file(&self, name: &str, language: Language) -> Option<(&str, &str)> {
        let (stem, extension) = name.rsplit_once('.')?;
        let own = self.sources.get_key_value(&format!("{stem}.{}.{extension}", language.tag()));
        let (file, source) = own.or_else(|| self.sources.get_key_value(name))?;
        Some((file, source))
    }
}

/// Returns whether a file has the name of a template, for all languages or one.
fn is_template(file: &str, names: &[&str], languages: &Languages) -> bool {
    let in_language = |language: Language| {
        let (stem, extension) = file.rsplit_once('.')?;
        let stem = stem.strip_suffix(language.tag())?.strip_suffix('.')?;
        Some(format!("{stem}.{extension}"))
    };
    names.contains(&file) || languages.iter().filter_map(in_language).any(|name| names.contains(&name.as_str()))
}
