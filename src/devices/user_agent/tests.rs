use super::*;

fn parts(user_agent: &str) -> (DeviceType, Option<String>, Option<String>, String) {
    let Device { device_type, os, browser, label } = device(user_agent);
    (device_type, os, browser, label)
}

/// Asserts the type, operating system, browser and label of each user agent; "" stands for none.
#[track_caller]
fn assert_all(table: &[(&str, DeviceType, &str, &str, &str)]) {
    let owned = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    for (user_agent, device_type, os, browser, label) in table {
        let expected = (*device_type, owned(os), owned(browser), (*label).to_owned());
        assert_eq!(parts(user_agent), expected, "{user_agent}");
    }
}

#[test]
#[rustfmt::skip]
fn browsers_on_desktops_are_named() {
    use DeviceType::Desktop;
    assert_all(&[
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0",
            Desktop, "Windows", "Firefox", "Firefox on Windows"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
            Desktop, "Windows", "Chrome", "Chrome on Windows"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0",
            Desktop, "Windows", "Edge", "Edge on Windows"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Safari/537.36 OPR/111.0.0.0",
            Desktop, "Windows", "Opera", "Opera on Windows"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Vivaldi/6.8",
            Desktop, "Windows", "Vivaldi", "Vivaldi on Windows"),
        ("Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; Tablet PC 2.0; rv:11.0) like Gecko",
            Desktop, "Windows", "Internet Explorer", "Internet Explorer on Windows"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Desk/1.2.0 Chrome/124.0.0.0 Electron/30.0.0 Safari/537.36",
            Desktop, "Windows", "Electron", "Electron on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
            Desktop, "macOS", "Safari", "Safari on macOS"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
            Desktop, "Linux", "Firefox", "Firefox on Linux"),
        ("Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
            Desktop, "Ubuntu", "Firefox", "Firefox on Ubuntu"),
        ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
            Desktop, "ChromeOS", "Chrome", "Chrome on ChromeOS"),
    ]);
}

#[test]
#[rustfmt::skip]
fn browsers_on_phones_and_tablets_are_named() {
    use DeviceType::{Mobile, Tablet};
    assert_all(&[
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
            Mobile, "iOS", "Safari", "Safari on iPhone"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1",
            Mobile, "iOS", "Chrome", "Chrome on iPhone"),
        ("Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1",
            Tablet, "iOS", "Safari", "Safari on iPad"),
        ("Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/127.0 Mobile/15E148 Safari/605.1.15",
            Tablet, "iOS", "Firefox", "Firefox on iPad"),
        ("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
            Mobile, "Android", "Chrome", "Chrome on Android"),
        ("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
            Tablet, "Android", "Chrome", "Chrome on Android"),
        ("Mozilla/5.0 (Linux; Android 13; SM-X906C) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/22.0 Chrome/111.0.5563.116 Safari/537.36",
            Tablet, "Android", "Samsung Internet", "Samsung Internet on Android"),
        ("Mozilla/5.0 (Linux; Android 12; motorola edge) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36 EdgA/126.0.0.0",
            Mobile, "Android", "Edge", "Edge on Android"),
        ("Mozilla/5.0 (Linux; Android 9; CUBOT_X19) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/87.0.4280.101 Mobile Safari/537.36",
            Mobile, "Android", "Chrome", "Chrome on Android"),
        ("Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0",
            Mobile, "Android", "Firefox", "Firefox on Android"),
        ("Mozilla/5.0 (Android 14; Tablet; rv:127.0) Gecko/127.0 Firefox/127.0",
            Tablet, "Android", "Firefox", "Firefox on Android"),
        ("Mozilla/5.0 (Linux; Android 11; KFTRWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/126.3.1 like Chrome/126.0.0.0 Safari/537.36",
            Tablet, "Android", "Amazon Silk", "Amazon Silk on Android"),
    ]);
}

#[test]
#[rustfmt::skip]
fn apps_have_their_own_name_or_none() {
    use DeviceType::{Desktop, Mobile, Tablet};
    assert_all(&[
        ("Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/AP1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.0.0 Mobile Safari/537.36",
            Mobile, "Android", "", "App on Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
            Mobile, "iOS", "", "App on iPhone"),
        ("Ledger/412 (iPhone; iOS 17.5; Scale/3.00)", Mobile, "iOS", "Ledger", "Ledger on iPhone"),
        ("Ledger/412 (iPad; iOS 17.5; Scale/2.00)", Tablet, "iOS", "Ledger", "Ledger on iPad"),
        ("Ledger/2.3.1 CFNetwork/1496.0.7 Darwin/23.5.0", Mobile, "iOS", "Ledger", "Ledger on iOS"),
        ("com.example.ledger/7 (Android 14; Pixel 8)", Mobile, "Android", "com.example.ledger", "com.example.ledger on Android"),
        ("Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8 Build/AP1A.240505.004)", Mobile, "Android", "", "App on Android"),
        ("Ledger/1.0 (Windows NT 10.0; Win64; x64)", Desktop, "Windows", "Ledger", "Ledger on Windows"),
    ]);
}

#[test]
#[rustfmt::skip]
fn programs_are_named_as_they_name_themselves() {
    use DeviceType::Program;
    assert_all(&[
        ("curl/8.5.0", Program, "", "curl", "curl"),
        ("Wget/1.21.4", Program, "", "Wget", "Wget"),
        ("okhttp/4.12.0", Program, "", "okhttp", "okhttp"),
        ("Dart/3.4 (dart:io)", Program, "", "Dart", "Dart"),
        ("python-requests/2.32.3", Program, "", "Python Requests", "Python Requests"),
        ("Go-http-client/1.1", Program, "", "Go-http-client", "Go-http-client"),
        ("axios/1.7.2", Program, "", "axios", "axios"),
        ("node", Program, "", "node", "node"),
        ("PostmanRuntime/7.39.0", Program, "", "PostmanRuntime", "PostmanRuntime"),
        ("Apache-HttpClient/4.5.14 (Java/17.0.11)", Program, "", "Apache-HttpClient", "Apache-HttpClient"),
    ]);
}

#[test]
#[rustfmt::skip]
fn bots_televisions_and_consoles_are_known_as_such() {
    use DeviceType::{Bot, Console, Tv};
    assert_all(&[
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", Bot, "", "Googlebot", "Googlebot"),
        ("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36",
            Bot, "", "bingbot", "bingbot"),
        ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", Bot, "", "FacebookBot", "FacebookBot"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36",
            Bot, "Linux", "HeadlessChrome", "HeadlessChrome on Linux"),
        ("Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/94.0.4606.128 Safari/537.36 WebAppManager",
            Tv, "webOS", "Chrome", "Chrome on webOS"),
        ("Mozilla/5.0 (SMART-TV; LINUX; Tizen 7.0) AppleWebKit/537.36 (KHTML, like Gecko) 94.0.4606.31/7.0 TV Safari/537.36",
            Tv, "Tizen", "Safari", "Safari on Tizen"),
        ("Mozilla/5.0 (PlayStation; PlayStation 5/2.26) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 Safari/605.1.15",
            Console, "", "Safari", "Safari on PlayStation"),
    ]);
}

#[test]
fn an_ipad_that_asks_for_desktop_pages_cannot_be_told_from_a_mac() {
    let ipad = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_6) AppleWebKit/605.1.15 \
                (KHTML, like Gecko) Version/17.5 Safari/605.1.15";
    assert_eq!(device(ipad).label, "Safari on macOS");
}

#[test]
fn what_says_nothing_is_an_unknown_device() {
    for nothing in
        ["", "   ", "-", "Mozilla/5.0", "Mozilla/5.0 (compatible)", "(;;)", "/1.0", "\u{7}", "\u{1f4bb}", "<b>x</b>"]
    {
        assert_eq!(device(nothing), Device::default(), "{nothing:?}");
    }
}

#[test]
fn a_browser_that_is_not_known_is_still_one() {
    assert_eq!(device("Mozilla/5.0 (Windows NT 10.0; Win64; x64)").label, "Browser on Windows");
}

#[test]
fn nobody_names_his_device_at_length_or_with_markup() {
    let long = device(&format!("{}/1.0", "n".repeat(300)));
    assert_eq!((long.device_type, long.label.len()), (DeviceType::Program, MAX_NAME));
    for odd in ["<script>alert(1)</script>/1.0", "a\u{202e}b/1", "Visit:https//x/1", "\"quoted\"/1"] {
        let label = device(odd).label;
        assert!(!label.contains(['<', '>', '"', '\u{202e}']), "{odd}: {label}");
    }
}

#[test]
fn only_the_beginning_of_a_long_user_agent_is_read() {
    let padding = " ".repeat(MAX_USER_AGENT);
    assert_eq!(device(&format!("curl/8.5.0{padding}Googlebot")), device("curl/8.5.0"));
    // Patterns meet what they are slow on, if on anything: the matcher is linear.
    for part in ["Mozilla/5.0 (Windows NT 10.0; ", "((((", "a", "Android;", "; ; ;", "\u{130}", "0.", "/"] {
        let hostile = part.repeat(100_000);
        let cut: String = hostile.chars().take(MAX_USER_AGENT).collect();
        assert_eq!(device(&hostile), device(&cut), "{part}");
    }
}

#[test]
fn a_phone_or_an_app_may_have_any_name() {
    for (user_agent, device_type) in [
        (
            "Mozilla/5.0 (Linux; Android 6.0; IDbot550 Build/MRA58K) AppleWebKit/537.36 (KHTML, like Gecko) \
          Chrome/60.0.3112.116 Mobile Safari/537.36",
            DeviceType::Mobile,
        ),
        (
            "Mozilla/5.0 (Linux; Android 12; Spider) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/110.0.0.0 \
          Safari/537.36",
            DeviceType::Tablet,
        ),
        (
            "Mozilla/5.0 (Linux; Android 9; CUBOT) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/80.0 Mobile \
          Safari/537.36",
            DeviceType::Mobile,
        ),
        ("BOTIM/3.9.1 (iPhone; iOS 17.1)", DeviceType::Mobile),
        ("Chatbot/1.0 (Linux; Android 14; Pixel 7)", DeviceType::Mobile),
        ("Shop/4.2.1 (iPhone; iOS 17.5; https://shop.example/app)", DeviceType::Mobile),
        ("Shop/4.2.1 CFNetwork/1410 (iOS 17.5) +https://shop.example", DeviceType::Mobile),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
          Mobile/15E148 Shop/4 (https://shop.example)",
            DeviceType::Mobile,
        ),
        ("Abbott/2.11 (Windows NT 10.0)", DeviceType::Desktop),
    ] {
        assert_eq!(device(user_agent).device_type, device_type, "{user_agent}");
    }
}

#[test]
fn a_crawler_is_one_on_any_platform() {
    for user_agent in [
        "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) \
         Chrome/126.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 9_1 like Mac OS X) AppleWebKit/601.1.46 (KHTML, like Gecko) Version/9.0 \
         Mobile/13B143 Safari/601.1 (compatible; AdsBot-Google-Mobile; +http://www.google.com/mobile/adsbot.html)",
        "Mozilla/5.0 (Linux; Android 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36 \
         (compatible; Bytespider; spider-feedback@bytedance.com)",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.1 \
         Safari/605.1.15 (Applebot/0.1; +http://www.apple.com/go/applebot)",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0 Safari/537.36",
        "Mozilla/5.0 (compatible; MJ12bot/v1.4.8; http://mj12bot.com/)",
        "Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)",
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        "Mozilla/5.0 (compatible; Googlebot/2.1",
    ] {
        assert_eq!(device(user_agent).device_type, DeviceType::Bot, "{user_agent}");
    }
}

#[test]
fn one_odd_letter_hides_no_device() {
    for odd in ["\u{e9}", "\u{fffd}", "日", "\u{200b}"] {
        let user_agent = format!(
            "Mozilla/5.0 (Linux; Android 14; T{odd}l) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Mobile \
             Safari/537.36"
        );
        assert_eq!(device(&user_agent).label, "Chrome on Android");
    }
}

#[test]
fn the_name_of_an_app_shows_nothing_that_cannot_be_seen() {
    for user_agent in
        ["Sh\u{200b}op/1.0", "\u{202e}Shop/1.0", "S\u{ad}hop\u{feff}/1.0 (iPhone; iOS 17.1)", "Shop\u{85}/1.0"]
    {
        assert!(device(user_agent).label.starts_with("Shop"), "{user_agent:?}: {}", device(user_agent).label);
        assert!(device(user_agent).label.is_ascii(), "{user_agent:?}");
    }
    assert_eq!(device("\u{200b}\u{3164}/1.0").label, device("").label);
    let captured = device("Sh\u{202e}\u{200b}op/1.0 CFNetwork/1410.0.3 Darwin/22.6.0");
    assert_eq!(captured.label, device("Shop/1.0 CFNetwork/1410.0.3 Darwin/22.6.0").label);
}
