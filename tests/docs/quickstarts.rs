//! The quick starts: each is followed from an empty folder, and what comes of it is used as it says.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::guides::Reader;
use crate::page::{Block, Purpose, blocks};
use crate::support::clients::node;
use crate::support::{Deployment, PASSWORD, variable};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

// What a reader starts with no setting.
embedded_only! {
    a_page_begins_in_an_empty_folder,
    an_app_in_react_begins_in_an_empty_folder,
    an_app_in_next_begins_in_an_empty_folder,
    an_api_in_express_begins_in_an_empty_folder,
    an_api_in_fastapi_begins_in_an_empty_folder,
    an_api_in_axum_begins_in_an_empty_folder,
}

/// The program of the quick start for axum.
mod shop {
    include!("shop.rs");

    pub fn run() {
        main().unwrap();
    }
}

/// Somebody with an empty folder beside a clone of this repository.
struct Beginner {
    reader: Reader,
}

impl Beginner {
    fn new(deployment: Arc<Deployment>) -> Self {
        let unlimited = [("LIMIT_LOGIN_ACCOUNT", "off"), ("LIMIT_LOGIN_ADDRESS", "off")];
        let mut reader = Reader::with(deployment, &unlimited);
        reader.clone_repository();
        Self { reader }
    }

    async fn follow(&mut self, blocks: &[Block]) {
        self.reader.terminal.follow(blocks).await;
    }

    fn run(&mut self, place: &str, commands: &str) -> String {
        self.reader.terminal.run(place, commands)
    }

    /// Returns what a program of `tests/clients/` has to know to use what listens at the port 3000 of the guide.
    fn given(&self) -> Value {
        json!({
            "chromium": variable("KEYTURN_TEST_CHROMIUM"),
            "keyturn": format!("http://127.0.0.1:{}", self.reader.port),
            "app": format!("http://127.0.0.1:{}", self.reader.terminal.meant("3000")),
            "email": "ada@example.com",
            "password": PASSWORD,
        })
    }

    /// Asserts that the app in the browser does what its guide promises.
    async fn assert_served_in_a_browser(&self) {
        let seen = node("quickstart.mjs", self.given()).await;
        assert_eq!(seen["refused"], "The email address or the password is wrong.", "{seen}");
        assert_eq!(seen["kept"], "ada@example.com", "{seen}");
        assert_eq!(seen["orders"], json!(["A map of the harbour"]), "{seen}");
        let devices = json!(["HeadlessChrome on Linux (this device)", "phone End"]);
        assert_eq!(seen["devices"], devices, "{seen}");
        assert_eq!((&seen["left"], &seen["ended"], &seen["is_out"]), (&json!(1), &json!(401), &json!(true)), "{seen}");
        assert_eq!(seen["complaints"], json!([]), "{seen}");
    }

    /// Asserts that the API refuses whom it should.
    async fn assert_refuses(&mut self) {
        let other = "keyturn --json client create --name other --scope orders:read --audience https://other.example";
        let mut given = self.given();
        given["client"] = serde_json::from_str(&self.run("another client", other)).unwrap();
        let seen = node("quickstart_api.mjs", given).await;
        assert_eq!((&seen["good"], &seen["none"], &seen["wrong"]), (&json!(200), &json!(401), &json!(401)), "{seen}");
        assert_eq!((&seen["audience"], &seen["program"]), (&json!(401), &json!(403)), "{seen}");
        assert_eq!(seen["challenge"], "Bearer", "{seen}");
    }
}

fn steps(guide: &str) -> Vec<Block> {
    blocks(&format!("docs/guides/quickstart-{guide}.md"))
}

async fn a_page_begins_in_an_empty_folder(deployment: Arc<Deployment>) {
    let mut beginner = Beginner::new(deployment);
    beginner.follow(&steps("html")).await;
    beginner.run("the types", &types("src/main.ts"));
    beginner.assert_served_in_a_browser().await;
}

async fn an_app_in_react_begins_in_an_empty_folder(deployment: Arc<Deployment>) {
    let mut beginner = Beginner::new(deployment);
    beginner.follow(&steps("react")).await;
    // The types of react-dom are not among the packages.
    beginner.run("the types", &format!("{} --noImplicitAny false --jsx react-jsx", types("src/main.tsx")));
    beginner.assert_served_in_a_browser().await;
}

/// The command that checks a file which the guide has bundled without looking at its types.
fn types(file: &str) -> String {
    format!(
        "npx tsc --noEmit --strict --skipLibCheck --target es2022 --module esnext --moduleResolution bundler {file}"
    )
}

async fn an_app_in_next_begins_in_an_empty_folder(deployment: Arc<Deployment>) {
    let mut beginner = Beginner::new(deployment);
    let steps = steps("next");
    let built = steps.iter().position(|block| block.text.starts_with("npx next build")).unwrap();
    beginner.run("quiet", "export NEXT_TELEMETRY_DISABLED=1");
    beginner.follow(&steps[..built]).await;
    beginner.run(
        "a page of loaders",
        &format!("mkdir app/loaders && cp {ROOT}/tests/docs/loaders.tsx app/loaders/page.tsx"),
    );
    beginner.follow(&steps[built..]).await;
    beginner.assert_served_in_a_browser().await;

    let seen = node("quickstart_next.mjs", beginner.given()).await;
    for stale in ["expired", "refused"] {
        for loaded in ["pages", "routes", "both"] {
            let once = json!({"refreshes": 1, "statuses": [200], "lines": [1], "others": [], "again": 0});
            assert_eq!(seen[format!("{stale} {loaded}")], once, "{stale} {loaded}: {seen}");
        }
    }
    let someone = json!(["ada@example.com"]);
    assert_eq!(seen["unrefreshed"], json!([someone, someone, ["read_only"], ["signed_out"], 0]), "{seen}");
    assert_eq!((&seen["known"], &seen["left"], &seen["ended"]), (&someone, &Value::Null, &json!(401)), "{seen}");
    let removed = json!(["keyturn=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"]);
    assert_eq!(seen["lost"], json!({"status": 307, "to": "/login", "set": removed}), "{seen}");
}

async fn an_api_in_express_begins_in_an_empty_folder(deployment: Arc<Deployment>) {
    let mut beginner = Beginner::new(deployment);
    beginner.follow(&steps("express")).await;
    beginner.assert_refuses().await;
}

async fn an_api_in_fastapi_begins_in_an_empty_folder(deployment: Arc<Deployment>) {
    let mut beginner = Beginner::new(deployment);
    beginner.follow(&steps("fastapi")).await;
    beginner.assert_refuses().await;
}

async fn an_api_in_axum_begins_in_an_empty_folder(deployment: Arc<Deployment>) {
    let mut beginner = Beginner::new(deployment);
    // It was compiled into this program.
    let own = std::env::current_exe().unwrap();
    let name = "quickstarts::the_api_in_axum";
    let script = format!("[[ $* == run && -f Cargo.toml ]]\nexec {} --exact {name} --nocapture", own.display());
    beginner.reader.terminal.program("cargo", &script);
    beginner.follow(&steps("axum")).await;
    beginner.assert_refuses().await;
}

/// Serves the API in axum for the test that follows its guide, and does nothing by itself.
#[test]
fn the_api_in_axum() {
    if std::env::var_os("LISTEN").is_some() {
        shop::run();
    }
}

#[test]
fn the_versions_of_the_quick_start_in_rust_are_those_of_the_tests() {
    let lock = std::fs::read_to_string(Path::new(ROOT).join("Cargo.lock")).unwrap();
    let manifest = steps("axum").into_iter().find(|block| block.purpose == Purpose::File("Cargo.toml".to_owned()));
    let manifest: toml::Table = manifest.unwrap().text.parse().unwrap();
    let mut count = 0;
    for (name, dependency) in manifest["dependencies"].as_table().unwrap() {
        if let Some(version) = dependency.as_str().or_else(|| dependency.get("version")?.as_str()) {
            assert!(lock.contains(&format!("name = \"{name}\"\nversion = \"{version}.")), "{name} {version}");
            count += 1;
        }
    }
    assert_eq!(count, 3);
}
