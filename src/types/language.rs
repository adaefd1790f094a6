//! The languages that there are texts in.

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

    /// Returns its name in the language itself.
    pub const fn own_name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::German => "Deutsch",
            Self::Accented => "[Ȧȧ]",
            Self::RightToLeft => "\u{202e}[Aa]\u{202c}",
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
    pub fn with_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(tag))
    }

    /// Finds the language of a tag, or of the tag without its last parts (RFC 4647 §3.4): `de` for `de-AT`.
    pub fn find(tag: &str) -> Option<Self> {
        let mut tag = tag;
        loop {
            if let Some(language) = Self::with_tag(tag) {
                return Some(language);
            }
            (tag, _) = tag.rsplit_once('-')?;
        }
    }
}
