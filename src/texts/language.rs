//! The languages that a server offers.

use crate::types::Language;

/// The languages that a server offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Languages {
    fallback: Language,
    others: Vec<Language>,
}

impl Languages {
    /// Parses a list of tags. The first is the language of those who ask for none of the list.
    ///
    /// # Errors
    /// The list is empty, or has a tag twice or one without texts. The error completes a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let known = || Language::ALL.map(Language::tag).join(", ");
        let mut offered = Vec::new();
        for tag in text.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
            let Some(language) = Language::with_tag(tag) else { return Err(format!("must be of {}", known())) };
            if offered.contains(&language) {
                return Err(format!("must not name {} twice", language.tag()));
            }
            offered.push(language);
        }
        let mut offered = offered.into_iter();
        let fallback = offered.next().ok_or_else(|| format!("must name at least one of {}", known()))?;
        Ok(Self { fallback, others: offered.collect() })
    }

    /// Returns the language of those who ask for none that is offered.
    pub fn fallback(&self) -> Language {
        self.fallback
    }

    /// Returns whether this language is offered.
    pub fn offers(&self, language: Language) -> bool {
        self.iter().any(|offered| offered == language)
    }

    /// Parses the tag of a language that is offered, in upper or lower case.
    ///
    /// # Errors
    /// It is not offered. The error completes a sentence.
    pub fn parse_offered(&self, tag: &str) -> Result<Language, String> {
        let found = Language::with_tag(tag).filter(|language| self.offers(*language));
        found.ok_or_else(|| {
            let offered: Vec<&str> = self.iter().map(Language::tag).collect();
            format!("is not a language of this server, which has {}", offered.join(", "))
        })
    }

    /// Returns the languages, the fallback first.
    pub fn iter(&self) -> impl Iterator<Item = Language> {
        std::iter::once(self.fallback).chain(self.others.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_each_language_once() {
        let offered = Languages::parse("de, EN,en-xa").unwrap();
        assert_eq!(offered.iter().collect::<Vec<_>>(), [Language::German, Language::English, Language::Accented]);
        assert_eq!(offered.fallback(), Language::German);
        for wrong in ["", ",", "fr", "en,de,en", "en-US", "\u{7}"] {
            assert!(Languages::parse(wrong).unwrap_err().starts_with("must "), "{wrong}");
        }
    }
}
