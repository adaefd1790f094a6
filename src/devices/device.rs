//! Devices, and how the columns `device` store them.

use serde::{Deserialize, Serialize};

use crate::db::types::Json;
use crate::texts::{Language, Text, without_isolation};

/// A device, as a user agent describes it. Users recognize their devices by it. It proves nothing, because a client can
/// send any user agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The type of the device.
    #[serde(rename = "type")]
    pub device_type: DeviceType,
    /// The operating system without its version: `Windows`, `macOS`, `iOS`, `Android`.
    pub os: Option<String>,
    /// The browser, app or program without its version: `Firefox`, `curl`.
    pub browser: Option<String>,
    /// The name that users see: `Firefox on Windows`, `Safari on iPhone`, `curl`.
    pub label: String,
}

/// The type of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceType {
    /// A desktop or laptop computer.
    Desktop,
    /// A phone.
    Mobile,
    /// A tablet or an e-reader.
    Tablet,
    /// A television.
    Tv,
    /// A game console.
    Console,
    /// A crawler or a headless browser.
    Bot,
    /// An HTTP client that does not name an operating system: `curl`, `okhttp`.
    Program,
    /// A device that the user agent does not describe.
    #[serde(other)]
    Unknown,
}

impl DeviceType {
    /// Every type.
    pub const ALL: [Self; 8] =
        [Self::Desktop, Self::Mobile, Self::Tablet, Self::Tv, Self::Console, Self::Bot, Self::Program, Self::Unknown];

    /// Returns the name in JSON.
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
    /// Returns the device of an unknown user agent.
    fn default() -> Self {
        Self { device_type: DeviceType::Unknown, os: None, browser: None, label: "Unknown device".to_owned() }
    }
}

impl Device {
    /// Reads a device from a column. Returns an unknown device if the column has another form.
    pub fn from_column(column: &Json) -> Self {
        serde_json::from_value(column.0.clone()).unwrap_or_default()
    }

    /// Returns the label in a language. The words between its parts are English ones everywhere else.
    pub(crate) fn in_language(&self, language: Language) -> String {
        let label = self.label.as_str();
        let after = |program: &str| label.strip_prefix(program)?.strip_prefix(" on ");
        let text = match self.browser.as_deref() {
            Some(program) => after(program).map(|on| Text::of("device-on").with("program", program).with("on", on)),
            None if *self == Self { device_type: self.device_type, ..Self::default() } => {
                Some(Text::of("device-unknown"))
            }
            None => after("Browser")
                .map(|on| Text::of("device-browser-on").with("on", on))
                .or_else(|| after("App").map(|on| Text::of("device-app-on").with("on", on))),
        };
        text.map_or_else(|| label.to_owned(), |text| without_isolation(&text.in_language(language)))
    }

    /// Returns whether both devices have the same type, operating system and browser. User agents cannot identify a
    /// device more precisely. Versions are ignored.
    pub fn resembles(&self, other: &Self) -> bool {
        self.device_type == other.device_type && self.os == other.os && self.browser == other.browser
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
        let device = Device {
            device_type: DeviceType::Tablet,
            os: Some("iOS".to_owned()),
            browser: None,
            label: "App on iPad".to_owned(),
        };
        let column = Json::from(&device);
        assert_eq!(column.0, json!({"type": "tablet", "os": "iOS", "browser": null, "label": "App on iPad"}));
        assert_eq!(Device::from_column(&column), device);
    }

    #[test]
    fn a_label_is_told_in_each_language() {
        for (agent, english, german) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; rv:141.0) Gecko/20100101 Firefox/141.0",
                "Firefox on Windows",
                "Firefox unter Windows",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)",
                "Browser on Linux",
                "Browser unter Linux",
            ),
            ("Dalvik/2.1.0 (Linux; U; Android 14)", "App on Android", "App unter Android"),
            ("curl/8.9", "curl", "curl"),
            ("", "Unknown device", "Unbekanntes Gerät"),
        ] {
            let device = crate::devices::user_agent::device(agent);
            assert_eq!(device.label, english);
            assert_eq!(device.in_language(Language::English), english);
            assert_eq!(device.in_language(Language::German), german);
        }
        let later = Device { label: "A watch".to_owned(), ..Device::default() };
        assert_eq!(later.in_language(Language::German), "A watch");
    }

    #[test]
    fn a_column_of_another_form_holds_an_unknown_device() {
        for other in [json!({}), json!(null), json!({"type": "desktop"}), json!("Firefox")] {
            assert_eq!(Device::from_column(&Json(other)), Device::default());
        }
        let later =
            Device::from_column(&Json(json!({"type": "watch", "os": null, "browser": null, "label": "A watch"})));
        assert_eq!((later.device_type, &*later.label), (DeviceType::Unknown, "A watch"));
    }

    #[test]
    fn every_type_has_its_name_in_json() {
        for device_type in DeviceType::ALL {
            assert_eq!(json!(device_type), device_type.name());
        }
    }
}
