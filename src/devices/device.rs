//! A device as people know it, and as the columns `device` keep it.

use serde::{Deserialize, Serialize};

use crate::db::types::Json;

/// What a client runs on, as far as its user agent tells. It is for people to recognise their devices by, and no proof
/// of anything: a client sends what it likes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Device {
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Without a version: `Windows`, `macOS`, `iOS`, `Android`.
    pub os: Option<String>,
    /// The browser, or the program or app in its place, without a version: `Firefox`, `curl`.
    pub browser: Option<String>,
    /// A name for people: `Firefox on Windows`, `Safari on iPhone`, `curl`.
    pub label: String,
}

/// The kind of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Desktop,
    Mobile,
    Tablet,
    Tv,
    Console,
    /// A crawler, or a browser without a screen.
    Bot,
    /// A client of HTTP that names no system: `curl`, `okhttp`.
    Program,
    #[serde(other)]
    Unknown,
}

impl Kind {
    /// The name that it has in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Desktop => "desktop",
            Self::Mobile => "mobile",
            Self::Tablet => "tablet",
            Self::Tv => "tv",
            Self::Console => "console",
            Self::Bot => "bot",
            Self::Program => "program",
            Self::Unknown => "unknown",
        }
    }
}

impl Default for Device {
    /// A device of which nothing is known.
    fn default() -> Self {
        Self { kind: Kind::Unknown, os: None, browser: None, label: "Unknown device".to_owned() }
    }
}

impl Device {
    /// The device that a column holds; one of which nothing is known when it holds none.
    pub fn of(column: &Json) -> Self {
        serde_json::from_value(column.0.clone()).unwrap_or_default()
    }

    /// Whether both are one kind of device with the same system and browser: what is left of "the same device" when
    /// nothing but user agents is known. Versions do not count.
    pub fn resembles(&self, other: &Self) -> bool {
        self.kind == other.kind && self.os == other.os && self.browser == other.browser
    }
}

impl From<&Device> for Json {
    fn from(device: &Device) -> Self {
        Self(serde_json::json!(device))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_column_holds_what_the_interface_shows() {
        let device =
            Device { kind: Kind::Tablet, os: Some("iOS".to_owned()), browser: None, label: "App on iPad".to_owned() };
        let column = Json::from(&device);
        assert_eq!(column.0, json!({"type": "tablet", "os": "iOS", "browser": null, "label": "App on iPad"}));
        assert_eq!(Device::of(&column), device);
    }

    #[test]
    fn a_column_of_another_form_holds_an_unknown_device() {
        for other in [json!({}), json!(null), json!({"type": "desktop"}), json!("Firefox")] {
            assert_eq!(Device::of(&Json(other)), Device::default());
        }
        let later = Device::of(&Json(json!({"type": "watch", "os": null, "browser": null, "label": "A watch"})));
        assert_eq!((later.kind, &*later.label), (Kind::Unknown, "A watch"));
    }

    #[test]
    fn every_kind_has_the_name_that_json_has_for_it() {
        use Kind::{Bot, Console, Desktop, Mobile, Program, Tablet, Tv, Unknown};
        for kind in [Desktop, Mobile, Tablet, Tv, Console, Bot, Program, Unknown] {
            assert_eq!(json!(kind), kind.name());
        }
    }
}
