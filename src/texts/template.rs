//! Texts in templates.

use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, HtmlEscape, Value};

use super::catalogue::{self, PLACES};
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
    let text = catalogue::format(language, key, arguments);
    if markup.is_empty() {
        return Ok(Value::from(text));
    }
    let mut html = String::new();
    for c in HtmlEscape(&text).to_string().chars() {
        match markup.iter().find(|(place, _)| *place == c) {
            Some((_, markup)) => html.push_str(markup),
            None => html.push(c),
        }
    }
    Ok(Value::from_safe_string(html))
}

impl Text {
    /// Returns the text in a language as a value for templates.
    pub(crate) fn value(&self, language: Language) -> Value {
        Value::from(self.in_language(language))
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
}
