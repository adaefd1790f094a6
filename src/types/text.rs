//! Texts that people type or paste: what of them can be seen.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// The characters without a mark or a width of their own: those that Unicode calls ignorable
/// (`Default_Ignorable_Code_Point`), separators of lines, annotations, and two characters that are drawn as nothing.
const INVISIBLE: [(char, char); 19] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d159}', '\u{1d159}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Joins the characters around it, or keeps them apart, in emoji and in scripts such as Persian and Devanagari.
const JOINERS: [char; 2] = ['\u{200c}', '\u{200d}'];

/// Returns whether a character cannot be seen. White space and control characters are not among them.
pub fn is_invisible(c: char) -> bool {
    INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// Removes white space and invisible characters around a text, which come along when it is pasted.
pub fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || is_invisible(c))
}

/// Removes white space around a text, and all invisible characters but those that belong to the visible ones around
/// them: joiners, selectors of emoji, and the letters of flags. Composes the text (NFC).
pub fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    // The last character that is no letter of a flag.
    let mut base = ' ';
    let mut characters = text.trim().chars().peekable();
    while let Some(c) = characters.next() {
        let next = characters.peek().copied().unwrap_or(' ');
        let is_tag = ('\u{e0020}'..='\u{e007f}').contains(&c);
        let belongs = match c {
            _ if JOINERS.contains(&c) => is_joined(base) && is_joined(next),
            '\u{fe0e}' | '\u{fe0f}' => is_joined(base) || next == '\u{20e3}',
            _ => is_tag && base == '\u{1f3f4}',
        };
        if belongs || !is_invisible(c) {
            visible.push(c);
            base = if is_tag { base } else { c };
        }
    }
    visible.trim().nfc().collect()
}

/// Returns a text as searches compare it: composed (NFC) and in lower case, in all scripts.
pub fn folded(text: &str) -> String {
    // Lower case can decompose a character again, such as "İ".
    text.nfc().collect::<String>().to_lowercase().nfc().collect()
}

/// Returns whether joiners and selectors can belong to a character: it is outside ASCII and can be seen, or is a
/// selector that was kept.
fn is_joined(c: char) -> bool {
    !c.is_ascii() && !c.is_whitespace() && (!is_invisible(c) || c == '\u{fe0f}')
}

/// Returns the beginning of a text with up to `limit` characters. What is drawn as one character is not cut apart.
pub fn cut(text: &str, limit: usize) -> &str {
    let characters: Vec<(usize, char)> = text.char_indices().collect();
    if characters.len() <= limit {
        return text;
    }
    let at = |index: usize| characters.get(index).copied().unwrap_or((text.len(), ' '));
    let mut end = limit;
    while end > 0 && continues(text.get(..at(end).0).unwrap_or_default(), at(end).1) {
        end -= 1;
    }
    // A letter with marks beyond the limit is cut nevertheless.
    let end = if end == 0 { limit } else { end };
    text.get(..at(end).0).unwrap_or_default().trim_end()
}

/// Returns whether `next` is drawn as one with the end of `before`.
fn continues(before: &str, next: char) -> bool {
    let is_regional = |c: &char| ('\u{1f1e6}'..='\u{1f1ff}').contains(c);
    let is_second_of_flag = is_regional(&next) && before.chars().rev().take_while(is_regional).count() % 2 == 1;
    is_second_of_flag
        || is_combining_mark(next)
        || is_invisible(next)
        || ('\u{1f3fb}'..='\u{1f3ff}').contains(&next)
        || before.ends_with('\u{200d}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_removed_wherever_it_stands() {
        for c in "\u{ad}\u{34f}\u{61c}\u{115f}\u{180e}\u{200b}\u{200e}\u{202e}\u{2060}\u{2066}\u{2800}\u{3164}\u{feff}\
                  \u{ffa0}\u{fffa}\u{e0041}\u{e0101}\u{2028}\u{17b4}"
            .chars()
        {
            assert!(is_invisible(c), "{}", c.escape_unicode());
            assert_eq!(visible(&format!("{c}A{c}da{c} ")), "Ada", "{}", c.escape_unicode());
            assert_eq!(trim(&format!("{c} {c}a b{c}\n")), "a b");
        }
        for c in "aé日한ä\u{301}\u{20e3}😀\u{1f3fb}_-'· \u{a0}\t\0".chars() {
            assert!(!is_invisible(c), "{}", c.escape_unicode());
        }
    }

    #[test]
    fn what_belongs_to_visible_characters_is_kept() {
        for text in [
            "👩\u{200d}💻 Ada",
            "❤\u{fe0f}",
            "❤\u{fe0f}\u{200d}🔥",
            "1\u{fe0f}\u{20e3}",
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
        ] {
            assert_eq!(visible(text), text);
        }
        for (text, left) in [("a\u{200d}b", "ab"), ("é\u{200d}", "é"), ("a\u{fe0f}", "a"), ("a\u{e0067}", "a")] {
            assert_eq!(visible(text), left);
        }
    }

    #[test]
    fn a_text_is_cut_between_what_is_drawn_as_one() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "abc");
        assert_eq!(cut("ab cd", 3), "ab");
        assert_eq!(cut("abe\u{301}", 3), "ab");
        assert_eq!(cut("ab👩\u{200d}💻c", 4), "ab");
        assert_eq!(cut("a🇳🇴🇸🇪", 4), "a🇳🇴");
        assert_eq!(cut("a👍🏽b", 2), "a");
        assert_eq!(cut(&format!("e{}", "\u{301}".repeat(9)), 3), "e\u{301}\u{301}");
        assert_eq!(cut("日本語", 2), "日本");
    }
}
