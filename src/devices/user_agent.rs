//! From a user agent to a device. The patterns of uap-core find browser and system; which kind of device that is, and
//! what people call it, is told here.

use std::sync::LazyLock;

use serde::Deserialize;
use ua_parser::{os, user_agent};

use super::{Device, Kind};
use crate::client::MAX_USER_AGENT;

/// The longest name of a program that is taken over from a client.
const MAX_NAME: usize = 40;

/// Those of browsers and systems that the crate `ua-parser` carries: the build script takes them from there.
const PATTERNS: &str = include_str!(concat!(env!("OUT_DIR"), "/user_agents.json"));

#[derive(Deserialize)]
struct Patterns {
    user_agent_parsers: Vec<user_agent::Parser<'static>>,
    os_parsers: Vec<os::Parser<'static>>,
}

/// What reads browsers and systems. It takes 50 ms and 11 MB, so it is made when first needed, once for the process.
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

pub fn warm_up() {
    LazyLock::force(&EXTRACTORS);
}

pub fn device(user_agent: &str) -> Device {
    let cut: String = user_agent.trim().chars().take(MAX_USER_AGENT).collect();
    let agent = Agent { text: &cut, lower: cut.to_ascii_lowercase() };
    let browser = agent.browser();
    let os = EXTRACTORS.systems.extract(agent.text).and_then(|found| name(&found.os)).map(system_name);
    let kind = agent.kind(os.as_deref(), browser.as_deref());
    let machine = agent.machine().or(os.as_deref());
    let label = match (&browser, machine) {
        (Some(browser), Some(machine)) => format!("{browser} on {machine}"),
        (Some(browser), None) => browser.clone(),
        (None, Some(machine)) if agent.is_page() && !agent.is_web_view() => format!("Browser on {machine}"),
        (None, Some(machine)) => format!("App on {machine}"),
        (None, None) => return Device { kind, ..Device::default() },
    };
    Device { kind, os, browser, label }
}

/// A user agent, and the same in lower case.
struct Agent<'a> {
    text: &'a str,
    lower: String,
}

impl Agent<'_> {
    fn has(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.lower.contains(word))
    }

    /// Whether it is sent by a browser, or by an app that shows pages: those begin alike.
    fn is_page(&self) -> bool {
        self.lower.starts_with("mozilla/") || self.lower.starts_with("opera/")
    }

    /// Whether it is sent by an app that shows pages.
    fn is_web_view(&self) -> bool {
        self.has(&["; wv)"]) || (self.has(&["iphone", "ipad"]) && !self.has(&["safari/"]))
    }

    /// The browser, or the program that names itself first.
    fn browser(&self) -> Option<String> {
        let found = EXTRACTORS.browsers.extract(self.text).and_then(|found| name(&found.family));
        // These say no more than that a page is shown, or on which system.
        let found = found.filter(|family| !family.contains("WebView") && family != "Android").map(browser_name);
        if self.is_page() {
            return found;
        }
        let first = self.text.split(['/', ' ', '(', ';']).next().unwrap_or_default();
        let is_name = first.starts_with(|c: char| c.is_ascii_alphanumeric())
            && first.chars().all(|c| c.is_ascii_alphanumeric() || "._-+".contains(c));
        // Dalvik is what runs the apps of Android, and names none of them.
        found.or_else(|| name(first).filter(|first| is_name && first != "Dalvik"))
    }

    fn kind(&self, os: Option<&str>, browser: Option<&str>) -> Kind {
        let is_android = os == Some("Android") || self.has(&["android"]);
        if self.is_bot() {
            return Kind::Bot;
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
            return Kind::Tv;
        }
        if self.has(&["playstation", "xbox", "nintendo"]) {
            return Kind::Console;
        }
        // A browser on a phone with Android says "Mobile"; apps say so on neither.
        let is_android_tablet = is_android && self.is_page() && !self.has(&["mobile"]);
        // Windows with the services for pens names itself "Tablet PC".
        let says_tablet = self.has(&["tablet"]) && !self.has(&["tablet pc"]);
        if is_android_tablet || says_tablet || self.has(&["ipad", "kindle"]) {
            return Kind::Tablet;
        }
        if is_android || os == Some("iOS") || self.has(&["iphone", "ipod", "mobile", "windows phone"]) {
            return Kind::Mobile;
        }
        match (os, browser) {
            (Some(_), _) => Kind::Desktop,
            (None, Some(_)) if !self.is_page() => Kind::Program,
            (None, _) => Kind::Unknown,
        }
    }

    /// Crawlers name themselves so, or leave an address for complaints. There are phones by the name of Cubot.
    fn is_bot(&self) -> bool {
        self.lower.replace("cubot", "").contains("bot") || self.has(&["crawler", "spider", "slurp", "headless", "://"])
    }

    /// The machine, where people call it by its own name rather than by its system's.
    fn machine(&self) -> Option<&'static str> {
        let machines = ["iPad", "iPhone", "iPod", "PlayStation", "Xbox", "Nintendo Switch"];
        machines.into_iter().find(|machine| self.text.contains(machine))
    }
}

/// A name that was found, if it is one: clients may have made it up.
fn name(text: &str) -> Option<String> {
    let name: String = text.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// The browser's own name, the same on all systems.
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
