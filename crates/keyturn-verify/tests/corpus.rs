//! The cases that all verifiers share.

#![allow(
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and nothing here is a library"
)]

use std::time::{Duration, Instant};

use keyturn_verify::{Algorithm, Demand, Event, Keys, Moment, Refusal, Rules, Verifier, WhenStale};
use serde_json::Value;

fn corpus() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/verifiers/corpus.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn token(value: &Value) -> String {
    let Some(parts) = value.as_array() else { return value.as_str().unwrap().to_owned() };
    let repeated = |part: &Value| part[0].as_str().unwrap().repeat(part[1].as_u64().unwrap().try_into().unwrap());
    parts.iter().map(repeated).collect()
}

fn verifier(case: &Value, defaults: &Value) -> Verifier {
    let option = |name: &str| case["options"].get(name).unwrap_or(&defaults[name]);
    let secs = |name: &str| u32::try_from(option(name).as_u64().unwrap()).unwrap();
    let rules = Rules {
        audiences: Some(texts(option("audiences"))),
        algorithms: texts(option("algorithms")).iter().map(|name| Algorithm::parse(name).unwrap()).collect(),
        not_before_leeway_secs: secs("not_before_leeway"),
        expiry_leeway_secs: secs("expiry_leeway"),
        ..Rules::new(option("issuer").as_str().unwrap(), "")
    };
    let when_stale = match option("when_stale").as_str().unwrap() {
        "refuse" => WhenStale::Refuse,
        "introspect" => WhenStale::Introspect,
        "accept" => WhenStale::Accept,
        other => panic!("{other}"),
    };
    let max_age = Duration::from_millis(option("max_age_of_feed_ms").as_u64().unwrap());
    if case["feed"].is_null() { Verifier::without_feed(rules) } else { Verifier::new(rules, max_age, when_stale) }
}

/// Applies the events, with the time that passes before each and after the last. Returns the time of the check.
fn feed(verifier: &Verifier, case: &Value) -> Moment {
    let unix_millis = case["now_ms"].as_i64().unwrap();
    // Far enough from the beginning of the monotonic clock for a sync of any age.
    let mut at = Moment { unix_millis, instant: Instant::now() + Duration::from_secs(3600) };
    for step in case["feed"].as_array().into_iter().flatten() {
        at.instant += Duration::from_millis(step["wait_ms"].as_u64().unwrap_or(0));
        let event = Event::parse(step["event"].as_str().unwrap(), &step["data"].to_string()).unwrap();
        verifier.apply(&event, at);
    }
    at.instant += Duration::from_millis(case["silent_ms"].as_u64().unwrap_or(0));
    at
}

fn demand(case: &Value) -> Demand {
    let mut demand = Demand::default();
    for (name, value) in case["require"].as_object().into_iter().flatten() {
        let text = || value.as_str().unwrap();
        demand = match name.as_str() {
            "role" => demand.role(text()),
            "scope" => demand.scope(text()),
            "amr" => demand.amr(text()),
            "owner" => demand.owner(),
            "max_age" => demand.max_age_secs(value.as_u64().unwrap().try_into().unwrap()),
            other => panic!("{other}"),
        };
    }
    demand
}

/// Verifies the token of a case as it came: by itself, or with its proof.
fn verify(verifier: &Verifier, case: &Value, now: Moment) -> Result<(), Refusal> {
    let text = token(&case["token"]);
    let with = |proof: &str| {
        let member = |name: &str| case["proof"][name].as_str().unwrap();
        verifier.verify_bound(&text, proof, member("method"), member("url"), now)
    };
    let token = if case["proof"].is_null() {
        verifier.verify(&text, now)?
    } else {
        with(case["proof"]["text"].as_str().unwrap())?
    };
    demand(case).check(&token, now)
}

/// Presents the proofs that came before, whatever becomes of them.
fn present_earlier(verifier: &Verifier, case: &Value, now: Moment) {
    let text = token(&case["token"]);
    for proof in case["proof"]["earlier"].as_array().into_iter().flatten() {
        let member = |name: &str| case["proof"][name].as_str().unwrap();
        let _ = verifier.verify_bound(&text, proof.as_str().unwrap(), member("method"), member("url"), now);
    }
}

#[test]
fn the_corpus_gets_its_verdicts() {
    let corpus = corpus();
    let cases = corpus["cases"].as_array().unwrap();
    assert!(cases.len() >= 1000, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let verifier = verifier(case, &corpus["options"]);
        let name = match case.get("keys") {
            None => Some("usual"),
            Some(name) => name.as_str(),
        };
        if let Some(name) = name {
            verifier.set_keys(Keys::parse(corpus["keys"][name].to_string().as_bytes()).unwrap());
        }
        let now = feed(&verifier, case);
        present_earlier(&verifier, case, now);
        // The second time the token may be remembered, and the proof was used before.
        for expected in [&case["verdict"], case.get("again").unwrap_or(&case["verdict"])] {
            let verdict = verify(&verifier, case, now).err().map_or("valid", Refusal::code);
            if verdict != expected {
                wrong.push(format!("{}: {verdict}, not {expected}", case["name"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
