//! The question before something that cannot be undone, or takes one more step.

use actix_web::http::StatusCode;
use minijinja::context;

use super::reply::Reply;
use super::visitor::Visitor;
use crate::texts::Text;

/// A question, whose button sends a form.
pub(super) struct Confirmation {
    /// The part of the pages that it belongs to.
    pub section: &'static str,
    /// The question in short.
    pub title: Text,
    /// What will be done.
    pub question: Text,
    /// The text of the button.
    pub button: Text,
    /// The kind of the button: `danger`, unless nothing is lost.
    pub kind: &'static str,
    /// The path to which the form is sent.
    pub action: &'static str,
    /// The path of the page to which one can go back.
    pub back: &'static str,
    /// The fields of the form.
    pub fields: Vec<(&'static str, String)>,
    /// Why the form was refused.
    pub error: Option<Text>,
}

impl Confirmation {
    /// Returns the page whose button downloads a file, for an owner who has authenticated again.
    pub(super) fn of_file(
        section: &'static str,
        title: Text,
        action: &'static str,
        back: &'static str,
        fields: Vec<(&'static str, String)>,
    ) -> Self {
        let question = Text::of("data-ready");
        Self { section, question, button: title.clone(), title, kind: "primary", action, back, fields, error: None }
    }

    /// Returns the page.
    pub(super) fn reply(self, visitor: &Visitor, status: StatusCode) -> Reply {
        let language = visitor.language();
        let values = context! {
            section => self.section,
            title => self.title.value(language),
            question => self.question.value(language),
            button => self.button.value(language),
            kind => self.kind,
            action => self.action,
            back => self.back,
            fields => self.fields.iter().map(|(name, value)| context! { name => *name, value }).collect::<Vec<_>>(),
            error => self.error.map(|text| text.value(language)),
        };
        Reply::refused(status, "question.html", values)
    }
}
