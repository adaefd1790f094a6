//! Recognizes devices by their user agents. The patterns of uap-core find the browser and the operating system; this
//! module adds the type of the device and the name that users see.

use std::sync::LazyLock;

use serde::Deserialize;
use ua_parser::{os, user_agent};

use super::{Device, DeviceType};
use crate::types::{MAX_USER_AGENT, text};

/// The longest name of a program, in characters.
const MAX_NAME: usize = 40;

/// The patterns for browsers and operating systems, which the build script extracts from the crate `ua-parser`.
const PATTERNS: &str = include_str!(concat!(env!("OUT_DIR"), "/user_agents.json"));

#[derive(Deserialize)]
struct Patterns {
    user_agent_parsers: Vec<user_agent::Parser<'static>>,
    os_parsers: Vec<os::Parser<'static>>,
}

/// The compiled patterns. Compiling takes 50 ms and 11 MB, so it is done at the first use, once for the process.
struct Extractors {
    browsers: user_agent::Extractor<'static>,
    systems: os::Extractor<'static>,
}

static EXTRACTORS: LazyLock<Extractors> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the patterns are a constant, and tests read them all")]
    let patterns: Patterns = serde_json::from_str(PATTERNS).expect("are JSON");
    let browsers = user_agent::Builder::new().push_all(patterns.user_agent_parsers);
    let systems = os::Builder::new().push_all(patterns.os_parsers);
    #[expect(clippy::expect_used, reason = "the patterns are a constant, and tests read them all")]
    Extractors {
        browsers: browsers.expect("are patterns").build().expect("fit together"),
        systems: systems.expect("are patterns").build().expect("fit together"),
    }
});

/// Compiles the patterns unless that was done before.
pub(super) fn warm_up() {
    LazyLock::force(&EXTRACTORS);
}

/// Returns the device that a user agent describes.
pub(super) fn device(user_agent: &str) -> Device {
    let text: String = user_agent.trim().chars().take(MAX_USER_AGENT).collect();
    let agent = UserAgent { text: &text, lower: text.to_ascii_lowercase() };
    let browser = agent.browser();
    let os = EXTRACTORS.systems.extract(agent.text).and_then(|found| clean_name(&found.os)).map(system_name);
    let device_type = agent.device_type(os.as_deref(), browser.as_deref());
    let platform = agent.product().or(os.as_deref());
    let label = match (&browser, platform) {
        (Some(browser), Some(platform)) => format!("{browser} on {platform}"),
        (Some(browser), None) => browser.clone(),
        (None, Some(platform)) if agent.renders_pages() && !agent.is_web_view() => format!("Browser on {platform}"),
        (None, Some(platform)) => format!("App on {platform}"),
        (None, None) => return Device { device_type, ..Device::default() },
    };
    Device { device_type, os, browser, label }
}

/// A user agent, as it was sent and in lower case.
struct UserAgent<'a> {
    text: &'a str,
    lower: String,
}

impl UserAgent<'_> {
    /// Returns whether the user agent contains one of `words`, which are in lower case.
    fn has(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.lower.contains(word))
    }

    /// Returns whether a browser sent it, or an app that shows web pages. Both begin in the same way.
    fn renders_pages(&self) -> bool {
        self.lower.starts_with("mozilla/") || self.lower.starts_with("opera/")
    }

    /// Returns whether an app that shows web pages sent it.
    fn is_web_view(&self) -> bool {
        self.has(&["; wv)"]) || (self.has(&["iphone", "ipad"]) && !self.has(&["safari/"]))
    }

    /// Returns the browser, or the program that is named first.
    fn browser(&self) -> Option<String> {
        let found = EXTRACTORS.browsers.extract(self.text).and_then(|found| clean_name(&found.family));
        // These names tell only that an app shows web pages, or the operating system.
        let found = found.filter(|family| !family.contains("WebView") && family != "Android").map(browser_name);
        if self.renders_pages() {
            return found;
        }
        let is_name = |first: &String| {
            first.starts_with(|c: char| c.is_ascii_alphanumeric())
                && first.chars().all(|c| c.is_ascii_alphanumeric() || "._-+".contains(c))
        };
        // Dalvik is the virtual machine of Android apps and does not name the app.
        let first = self.text.split(['/', ' ', '(', ';']).next().and_then(clean_name);
        found.or_else(|| first.filter(|first| is_name(first) && first != "Dalvik"))
    }

    fn device_type(&self, os: Option<&str>, browser: Option<&str>) -> DeviceType {
        let is_android = os == Some("Android") || self.has(&["android"]);
        if self.is_bot() {
            return DeviceType::Bot;
        }
        if self.has(&[
            "smart-tv",
            "smarttv",
            "smart tv",
            "web0s",
            "googletv",
            "android tv",
            "appletv",
            "crkey",
            "; aft",
        ]) {
            return DeviceType::Tv;
        }
        if self.has(&["playstation", "xbox", "nintendo"]) {
            return DeviceType::Console;
        }
        // On Android, the browsers of phones send "Mobile" and those of tablets do not. Apps never send it.
        let is_android_tablet = is_android && self.renders_pages() && !self.has(&["mobile"]);
        // "Tablet PC" stands for Windows with pen services, on any computer.
        let says_tablet = self.has(&["tablet"]) && !self.has(&["tablet pc"]);
        if is_android_tablet || says_tablet || self.has(&["ipad", "kindle"]) {
            return DeviceType::Tablet;
        }
        if is_android || os == Some("iOS") || self.has(&["iphone", "ipod", "mobile", "windows phone"]) {
            return DeviceType::Mobile;
        }
        match (os, browser) {
            (Some(_), _) => DeviceType::Desktop,
            (None, Some(_)) if !self.renders_pages() => DeviceType::Program,
            (None, _) => DeviceType::Unknown,
        }
    }

    /// Returns whether a crawler or a headless browser sent it. What a comment with a platform names is a phone or an
    /// app, whatever its name; crawlers name themselves outside of it, or say "compatible" in it.
    fn is_bot(&self) -> bool {
        if self.has(&["headless"]) {
            return true;
        }
        let parts = split_comments(&self.lower);
        let names = |part: &Part<'_>, platforms: &[&str]| {
            part.is_comment && !is_compatible(part.text) && platforms.iter().any(|name| part.text.contains(name))
        };
        let is_on_platform = parts.iter().any(|part| names(part, &PLATFORMS));
        if !self.renders_pages() && parts.iter().any(|part| names(part, &PHONE_PLATFORMS)) {
            return false;
        }
        parts.iter().filter(|part| !names(part, &PLATFORMS)).any(|part| {
            // Many crawlers send the URL of their operator, with a plus sign before it or on no platform.
            let has_url = part.text.contains("+http")
                || (part.text.contains("://") && (!is_on_platform || (part.is_comment && is_compatible(part.text))));
            has_url || part.text.split(|c: char| !c.is_alphanumeric()).any(is_bot_word)
        })
    }

    /// Returns the name of the product, if users know it better than the operating system.
    fn product(&self) -> Option<&'static str> {
        let products = ["iPad", "iPhone", "iPod", "PlayStation", "Xbox", "Nintendo Switch"];
        products.into_iter().find(|product| self.text.contains(product))
    }
}

/// Platforms that the first comment of a user agent names.
const PLATFORMS: [&str; 11] =
    ["android", "iphone", "ipad", "ipod", "ios ", "windows nt", "windows phone", "macintosh", "x11", "tizen", "kaios"];

/// Platforms of phones and tablets, on which apps name themselves first.
const PHONE_PLATFORMS: [&str; 5] = ["android", "iphone", "ipad", "ipod", "ios "];

/// A part of a user agent: a comment (RFC 9110 §5.6.5), or what stands between two.
struct Part<'a> {
    text: &'a str,
    is_comment: bool,
}

/// Splits a user agent into its comments and the text between them.
fn split_comments(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut depth = 0_usize;
    let mut start = 0;
    for (index, c) in text.char_indices().filter(|(_, c)| matches!(c, '(' | ')')) {
        let next_depth = if c == '(' { depth.saturating_add(1) } else { depth.saturating_sub(1) };
        if (depth == 0) != (next_depth == 0) {
            parts.push(Part { text: text.get(start..index).unwrap_or_default(), is_comment: depth > 0 });
            start = index.saturating_add(1);
        }
        depth = next_depth;
    }
    parts.push(Part { text: text.get(start..).unwrap_or_default(), is_comment: depth > 0 });
    parts
}

/// Returns whether a comment says "compatible", as crawlers do.
fn is_compatible(comment: &str) -> bool {
    comment.contains("compatible;")
}

/// Returns whether a word of a user agent names a crawler. Cubot is a brand of phones.
fn is_bot_word(word: &str) -> bool {
    let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
    let ends = ["bot", "bots", "spider"].iter().any(|end| word.ends_with(end));
    (ends && word != "cubot") || word.contains("crawler") || word.contains("slurp")
}

/// Removes control characters and what cannot be seen from a name, which a client may have invented, and limits its
/// length. Returns `None` if nothing is left.
fn clean_name(text: &str) -> Option<String> {
    let name: String = text.chars().filter(|c| !c.is_control()).collect();
    let name = text::visible(&name);
    Some(text::cut(&name, MAX_NAME).to_owned()).filter(|name| !name.is_empty())
}

/// Returns the name of a browser without the operating system.
fn browser_name(family: String) -> String {
    let bare = family.strip_prefix("Mobile ").unwrap_or(&family);
    let bare = [" Mobile", " iOS"].iter().fold(bare, |name, suffix| name.trim_end_matches(suffix));
    match bare {
        "IE" => "Internet Explorer".to_owned(),
        "Chrome Mobile" => "Chrome".to_owned(),
        bare => bare.to_owned(),
    }
}

fn system_name(family: String) -> String {
    match family.as_str() {
        "Mac OS X" => "macOS".to_owned(),
        "Chrome OS" => "ChromeOS".to_owned(),
        "Web0S" => "webOS".to_owned(),
        _ => family,
    }
}

#[cfg(test)]
mod tests;
