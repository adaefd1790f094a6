//! The choice of a language for a request.

use super::{Language, Languages};

/// The longest list of languages that is read, in bytes. Browsers send less than a hundred.
const MAX_LIST_LENGTH: usize = 512;

impl Languages {
    /// Returns the language for a request: of `ui_locales` (OpenID Connect Core §3.1.2.1: tags with spaces between
    /// them, the best first), else the one that the account has chosen, else of `Accept-Language` (RFC 9110 §12.5.4),
    /// else the fallback. A list that is malformed or too long asks for nothing.
    pub(crate) fn choose(
        &self,
        ui_locales: Option<&str>,
        chosen: Option<Language>,
        accepted: Option<&str>,
    ) -> Language {
        let chosen = chosen.filter(|chosen| self.offers(*chosen));
        let accepted = || accepted.and_then(|list| self.accepted(list, Some(self.fallback())));
        self.of_locales(ui_locales).or(chosen).or_else(accepted).unwrap_or(self.fallback())
    }

    /// Returns the language that a request names, of `ui_locales`, else of `Accept-Language`; `None` if it names none
    /// that is offered. `*` names none.
    pub(crate) fn named(&self, ui_locales: Option<&str>, accepted: Option<&str>) -> Option<Language> {
        self.of_locales(ui_locales).or_else(|| accepted.and_then(|list| self.accepted(list, None)))
    }

    fn of_locales(&self, list: Option<&str>) -> Option<Language> {
        list.filter(|list| is_short(list))?.split_ascii_whitespace().find_map(|tag| self.find(tag))
    }

    /// Returns the language of `Accept-Language` with the highest weight, of equal ones the first. `any` is that of
    /// `*`.
    fn accepted(&self, list: &str, any: Option<Language>) -> Option<Language> {
        let mut best: Option<(u16, Language)> = None;
        for range in list.split(',').filter(|_| is_short(list)) {
            let mut parts = range.split(';').map(str::trim);
            let tag = parts.next().unwrap_or_default();
            let Some(weight) = parts.next().map_or(Some(1000), weight).filter(|weight| *weight > 0) else { continue };
            let found = if tag == "*" { any } else { self.find(tag) };
            let Some(language) = found.filter(|_| parts.next().is_none()) else { continue };
            if best.is_none_or(|(highest, _)| weight > highest) {
                best = Some((weight, language));
            }
        }
        best.map(|(_, language)| language)
    }

    /// Finds the language of a tag, or of the tag without its last parts (RFC 4647 §3.4).
    fn find(&self, tag: &str) -> Option<Language> {
        let mut tag = tag;
        loop {
            if let Some(language) = self.iter().find(|language| language.tag().eq_ignore_ascii_case(tag)) {
                return Some(language);
            }
            (tag, _) = tag.rsplit_once('-')?;
        }
    }
}

/// Returns whether a list is as long as a browser's can be.
fn is_short(list: &str) -> bool {
    list.len() <= MAX_LIST_LENGTH
}

/// Returns a weight (`q=0.5`) in thousandths.
fn weight(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    let is_well_formed = name.trim().eq_ignore_ascii_case("q")
        && decimals.len() <= 3
        && decimals.bytes().all(|digit| digit.is_ascii_digit());
    match whole {
        "0" if is_well_formed => format!("{decimals:0<3}").parse().ok(),
        "1" if is_well_formed => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Language::{Accented, English, German, RightToLeft};

    #[test]
    fn the_best_language_that_is_offered_is_chosen() {
        let all = Languages::parse("en,de,en-XA,ar-XB").unwrap();
        let long = format!("de,{}", "fr,".repeat(200));
        for (accepted, language) in [
            ("de", German),
            ("de-CH, en;q=0.5", German),
            ("DE-latn-ch", German),
            ("en;q=0.5, de;q=0.6", German),
            ("fr, de;q=0.1", German),
            ("en;q=0, de;q=0.001", German),
            ("en-XA", Accented),
            ("ar-XB", RightToLeft),
            ("en-GB, de", English),
            ("de;q=0", English),
            ("ar, *", English),
            ("*;q=0.1, de;q=0.2", German),
            ("de;q=2", English),
            ("de;q=0.1234", English),
            ("de;level=1", English),
            ("de;q=1;q=1", English),
            ("d\u{e9}", English),
            ("-,;,=,x-", English),
            ("", English),
            (&long, English),
        ] {
            assert_eq!(all.choose(None, None, Some(accepted)), language, "{accepted}");
        }
    }

    #[test]
    fn a_request_may_name_no_language() {
        let offered = Languages::parse("en,de").unwrap();
        for (ui_locales, accepted, language) in [
            (None, None, None),
            (None, Some("*"), None),
            (None, Some("fr, *;q=0.5"), None),
            (None, Some("fr, *;q=0.5, de;q=0.1"), Some(German)),
            (Some("fr de-AT"), Some("en"), Some(German)),
            (Some("fr"), Some("en-GB"), Some(English)),
        ] {
            assert_eq!(offered.named(ui_locales, accepted), language, "{ui_locales:?} {accepted:?}");
        }
    }

    #[test]
    fn a_request_goes_before_the_account_and_that_before_the_browser() {
        let offered = Languages::parse("en,de").unwrap();
        for (ui_locales, chosen, accepted, language) in [
            (Some("de"), Some(English), Some("en"), German),
            (Some("fr-CA de-AT en"), None, None, German),
            (Some("fr"), Some(German), Some("en"), German),
            (Some("<script>"), None, Some("de"), German),
            (None, Some(Accented), Some("de"), German),
            (None, Some(German), None, German),
            (None, None, None, English),
        ] {
            assert_eq!(
                offered.choose(ui_locales, chosen, accepted),
                language,
                "{ui_locales:?} {chosen:?} {accepted:?}"
            );
        }
        assert_eq!(Languages::parse("de").unwrap().choose(Some("en"), None, Some("en")), German);
    }
}
