//! Languages for tests, made of English: accented letters in brackets, and right to left.

use std::borrow::Cow;

/// The brackets around an accented text.
pub(super) const BRACKETS: (char, char) = ('⟦', '⟧');

/// The letters from `A` to `Z` and `a` to `z` with accents.
const CAPITALS: &str = "ȦƁƇḒḖƑƓĦĪĴĶĿḾȠǾƤɊŘŞŦŬṼẆẊẎẐ";
const SMALL: &str = "ȧƀƈḓḗƒɠħīĵķŀḿƞǿƥɋřşŧŭṽẇẋẏẑ";

/// The marks around what is shown from right to left, whatever its letters are.
const OVERRIDE: (char, char) = ('\u{202e}', '\u{202c}');

/// Gives letters accents, and writes vowels twice: other languages need more room than English.
pub(super) fn accented(text: &str) -> Cow<'_, str> {
    let mut accented = String::with_capacity(text.len().saturating_mul(3));
    for c in text.chars() {
        let (alphabet, first) = if c.is_ascii_uppercase() { (CAPITALS, 'A') } else { (SMALL, 'a') };
        let index = u32::from(c).checked_sub(u32::from(first)).and_then(|index| usize::try_from(index).ok());
        let letter = index.filter(|_| c.is_ascii_alphabetic()).and_then(|index| alphabet.chars().nth(index));
        accented.push(letter.unwrap_or(c));
        if matches!(c, 'a' | 'e' | 'i' | 'o' | 'u') {
            accented.extend(letter);
        }
    }
    accented.into()
}

/// Shows text from right to left. White space around it stays where it is.
pub(super) fn right_to_left(text: &str) -> Cow<'_, str> {
    let trimmed = text.trim();
    match text.split_once(trimmed) {
        Some((before, after)) if !trimmed.is_empty() => {
            format!("{before}{}{trimmed}{}{after}", OVERRIDE.0, OVERRIDE.1).into()
        }
        _ => text.into(),
    }
}
