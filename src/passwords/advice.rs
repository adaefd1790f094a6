//! Advice on a password that is easy to guess.

use std::fmt;

use zxcvbn::feedback::{Feedback, Suggestion, Warning};

use crate::texts::Text;

/// Why a password is easy to guess, and how to do better.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Advice {
    /// The text of the API, in English.
    english: String,
    /// The same for pages, sentence by sentence.
    texts: Vec<Text>,
}

impl Advice {
    /// Creates the advice of an estimate.
    pub(super) fn new(feedback: Option<&Feedback>) -> Self {
        let warning = feedback.and_then(Feedback::warning);
        let personal = "Guessers try common words and personal details first.";
        let first = warning.map_or_else(|| personal.to_owned(), |warning| warning.to_string());
        let suggestions = || feedback.into_iter().flat_map(Feedback::suggestions);
        let english = [first].into_iter().chain(suggestions().map(ToString::to_string)).collect::<Vec<_>>().join(" ");
        let first = warning.map_or(Text::of("password-personal"), of_warning);
        let texts = [first].into_iter().chain(suggestions().map(|suggestion| of_suggestion(*suggestion))).collect();
        Self { english, texts }
    }

    /// Returns the sentences for pages.
    pub(crate) fn texts(&self) -> &[Text] {
        &self.texts
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.english)
    }
}

fn of_warning(warning: Warning) -> Text {
    match warning {
        Warning::StraightRowsOfKeysAreEasyToGuess => Text::of("password-rows-of-keys"),
        Warning::ShortKeyboardPatternsAreEasyToGuess => Text::of("password-keyboard-pattern"),
        Warning::RepeatsLikeAaaAreEasyToGuess => Text::of("password-repeated-letter"),
        Warning::RepeatsLikeAbcAbcAreOnlySlightlyHarderToGuess => Text::of("password-repeated-part"),
        Warning::ThisIsATop10Password => Text::of("password-top-10"),
        Warning::ThisIsATop100Password => Text::of("password-top-100"),
        Warning::ThisIsACommonPassword => Text::of("password-common"),
        Warning::ThisIsSimilarToACommonlyUsedPassword => Text::of("password-similar"),
        Warning::SequencesLikeAbcAreEasyToGuess => Text::of("password-sequence"),
        Warning::RecentYearsAreEasyToGuess => Text::of("password-recent-year"),
        Warning::AWordByItselfIsEasyToGuess => Text::of("password-single-word"),
        Warning::DatesAreOftenEasyToGuess => Text::of("password-date"),
        Warning::NamesAndSurnamesByThemselvesAreEasyToGuess => Text::of("password-name"),
        Warning::CommonNamesAndSurnamesAreEasyToGuess => Text::of("password-common-name"),
    }
}

fn of_suggestion(suggestion: Suggestion) -> Text {
    match suggestion {
        Suggestion::UseAFewWordsAvoidCommonPhrases => Text::of("password-use-words"),
        Suggestion::NoNeedForSymbolsDigitsOrUppercaseLetters => Text::of("password-no-symbols"),
        Suggestion::AddAnotherWordOrTwo => Text::of("password-add-words"),
        Suggestion::CapitalizationDoesntHelpVeryMuch => Text::of("password-capitals"),
        Suggestion::AllUppercaseIsAlmostAsEasyToGuessAsAllLowercase => Text::of("password-all-capitals"),
        Suggestion::ReversedWordsArentMuchHarderToGuess => Text::of("password-reversed"),
        Suggestion::PredictableSubstitutionsDontHelpVeryMuch => Text::of("password-substitutions"),
        Suggestion::UseALongerKeyboardPatternWithMoreTurns => Text::of("password-more-turns"),
        Suggestion::AvoidRepeatedWordsAndCharacters => Text::of("password-avoid-repeats"),
        Suggestion::AvoidSequences => Text::of("password-avoid-sequences"),
        Suggestion::AvoidRecentYears => Text::of("password-avoid-recent-years"),
        Suggestion::AvoidYearsThatAreAssociatedWithYou => Text::of("password-avoid-own-years"),
        Suggestion::AvoidDatesAndYearsThatAreAssociatedWithYou => Text::of("password-avoid-own-dates"),
    }
}
