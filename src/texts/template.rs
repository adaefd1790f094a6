//! Texts in templates.

use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, HtmlEscape, Value};

use super::catalogue::{self, PLACES};
use super::text::{TextValue, in_words, machine_readable};
use super::{Language, Text};

/// Gives the templates of an environment the texts of a language: the function `t("key", name=value)`, and the
/// variables `lang` and `dir`. Values are escaped as everywhere; only what a template has marked as safe stays markup,
/// such as a link that stands in the middle of a sentence.
pub(crate) fn add_texts(environment: &mut Environment<'_>, language: Language) {
    environment.add_global("lang", language.tag());
    environment.add_global("dir", language.direction());
    environment.add_function("t", move |key: &str, values: Kwargs| text(language, key, &values));
}

fn text(language: Language, key: &str, values: &Kwargs) -> Result<Value, Error> {
    // A template may be an operator's, who learns of it when it is loaded.
    if !catalogue::has(language, key) {
        return Err(Error::new(ErrorKind::InvalidOperation, format!("there is no text `{key}`")));
    }
    let mut places = PLACES;
    let mut markup: Vec<(char, String)> = Vec::new();
    let mut arguments = Vec::new();
    for name in values.args() {
        let value: Value = values.get(name)?;
        let number = i64::try_from(value.clone()).ok().filter(|_| value.is_number());
        let argument = match (number, value.is_safe()) {
            (Some(number), _) => catalogue::Value::Number(number),
            (None, false) => catalogue::Value::Text(value.to_string()),
            (None, true) => {
                let Some(place) = places.next() else { continue };
                markup.push((place, value.to_string()));
                catalogue::Value::Place(place)
            }
        };
        arguments.push((name, argument));
    }
    Ok(fill(language, key, arguments, &markup))
}

/// Returns a text with markup at its places, which is safe, or a plain text if there is none.
fn fill(language: Language, key: &str, arguments: Vec<(&str, catalogue::Value)>, markup: &[(char, String)]) -> Value {
    let text = catalogue::format(language, key, arguments);
    if markup.is_empty() {
        return Value::from(text);
    }
    let mut html = String::new();
    for c in HtmlEscape(&text).to_string().chars() {
        match markup.iter().find(|(place, _)| *place == c) {
            Some((_, markup)) => html.push_str(markup),
            None => html.push(c),
        }
    }
    Value::from_safe_string(html)
}

impl Text {
    /// Returns the text in a language as a value for templates: its times are elements of a page.
    pub(crate) fn value(&self, language: Language) -> Value {
        let mut places = PLACES;
        let mut markup = Vec::new();
        let arguments = self.values.iter().map(|(name, value)| match (value, places.next()) {
            (TextValue::Time(time), Some(place)) => {
                let words = in_words(*time, language);
                let element = format!(
                    "<time datetime=\"{}\">{}</time>",
                    HtmlEscape(&machine_readable(*time)),
                    HtmlEscape(&words)
                );
                markup.push((place, element));
                (*name, catalogue::Value::Place(place))
            }
            (value, _) => (*name, value.in_language(language)),
        });
        let arguments = arguments.collect();
        fill(language, self.key, arguments, &markup)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_markup_of_the_template_is_kept() {
        let mut environment = Environment::new();
        add_texts(&mut environment, Language::English);
        let template = "{{ t('welcome-people', site=site) }} {{ t('welcome-people', site='<i>x</i>'|safe) }} \
                        {{ lang }} {{ dir }}";
        environment.add_template("page.html", template).unwrap();
        let html =
            environment.get_template("page.html").unwrap().render(minijinja::context! { site => "<s>&" }).unwrap();
        assert!(html.contains("&lt;s&gt;&amp;") && !html.contains("<s>"), "{html}");
        assert!(html.contains("\u{2068}<i>x</i>\u{2069}") && html.ends_with("en ltr"), "{html}");
    }

    #[test]
    fn a_time_in_a_text_is_an_element_of_a_page() {
        let at = crate::types::Timestamp::from_secs(1_700_000_000);
        let text = Text::of("ended-text").with("session", "<b>").with_time("at", at).with("reason", "x");
        let html = text.value(Language::English).to_string();
        assert!(html.contains("<time datetime=\"2023-11-14T22:13:20Z\">") && html.contains("&lt;b&gt;"), "{html}");
        assert!(!text.in_language(Language::English).contains("<time"));
    }
}
