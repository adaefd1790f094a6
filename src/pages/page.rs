//! The parts that a page is made of, before its language is known.

use crate::texts::Text;
use crate::types::Timestamp;

/// A page.
pub(crate) struct Page<'a> {
    /// The title.
    pub title: Text,
    /// The paragraphs.
    pub text: Vec<Text>,
    /// What the page is about, as names with values.
    pub details: Vec<(Text, Detail)>,
    /// The form, if the page has a button.
    pub form: Option<Form<'a>>,
}

impl<'a> Page<'a> {
    /// Creates a page of paragraphs.
    pub(crate) fn new(title: Text, text: Vec<Text>) -> Self {
        Self { title, text, details: Vec::new(), form: None }
    }

    /// Adds a form.
    #[must_use]
    pub(crate) fn with_form(self, form: Form<'a>) -> Self {
        Self { form: Some(form), ..self }
    }
}

/// A value beside its name.
pub(crate) enum Detail {
    /// A text that a person or a device has chosen.
    Chosen(String),
    /// A time.
    Time(Timestamp),
}

/// A form, which the button sends to the page's own URL.
pub(crate) struct Form<'a> {
    /// The last part of the page's path.
    pub action: &'a str,
    /// The token of the link.
    pub token: &'a str,
    /// The text of the button.
    pub button: Text,
    /// The text of a second button, which sends the field `refused`.
    pub refusal: Option<Text>,
    /// The field for a new password, if one is needed.
    pub password: Option<PasswordField<'a>>,
}

/// A field for a new password.
pub(crate) struct PasswordField<'a> {
    /// The account's email address, for password managers.
    pub email: &'a str,
    /// Why the password that was sent is refused, sentence by sentence.
    pub error: Vec<Text>,
}
