//! Texts for people in their languages: the catalogues, in the format of Fluent, and the choice of a language.
//!
//! The catalogues are the files `<language>/<subject>.ftl` in this folder. Templates say `t("key", name=value)`, code
//! says [`Text::of`]; `tests/architecture/` holds that every key is in every catalogue and is used.

mod catalogue;
mod custom;
mod language;
mod negotiation;
mod pseudo;
pub(crate) mod template;
mod text;

pub use custom::CustomError;
pub(crate) use custom::CustomTemplates;
pub use language::Languages;
pub(crate) use text::{Text, in_words, machine_readable, without_isolation};

pub use crate::types::Language;
