//! The languages that there are texts in, and those of them that a server offers.

/// A language of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// German.
    German,
    /// English with accents and in brackets, for tests: a text without them is in no catalogue.
    Accented,
    /// English from right to left, for tests.
    RightToLeft,
}

impl Language {
    /// The languages, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::English, Self::German, Self::Accented, Self::RightToLeft];

    /// Returns the tag of BCP 47.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::Accented => "en-XA",
            Self::RightToLeft => "ar-XB",
        }
    }

    /// Returns the direction of its script, as the attribute `dir` of HTML has it.
    pub const fn direction(self) -> &'static str {
        match self {
            Self::English | Self::German | Self::Accented => "ltr",
            Self::RightToLeft => "rtl",
        }
    }

    /// Returns the language with this tag, in upper or lower case.
    pub(super) fn with_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(tag))
    }
}

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
