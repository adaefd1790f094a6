//! Which code may know what: HTTP, SQL, Redis, other rooms' stores, the terminal.

use crate::assert_kept;
use crate::source::{Source, sources};

/// Returns where names that begin with `word` stand in code, of files that `is_allowed` does not let have them.
fn misplaced<'a>(word: &'a str, is_allowed: impl Fn(&Source) -> bool + 'a) -> impl Iterator<Item = String> + 'a {
    sources().into_iter().filter(move |source| !is_allowed(source)).flat_map(move |source| {
        let has =
            |line: &str| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|name| name.starts_with(word));
        let lines = source.lines().filter(|(_, line)| has(line));
        lines.map(|(line, _)| source.place(line)).collect::<Vec<_>>()
    })
}

fn is_in(source: &Source, rooms: &[&str]) -> bool {
    source.room().is_some_and(|room| rooms.contains(&room))
}

#[test]
fn only_the_edge_knows_actix() {
    let rule = "actix stands only in http/, api/, pages/, app/ and cli/: what the rooms do can be read without HTTP.";
    assert_kept(rule, misplaced("actix", |source| is_in(source, &["http", "api", "pages", "app", "cli"])));
    assert!(misplaced("actix", |_| false).count() > 10, "the search finds nothing at all");
}

#[test]
fn only_http_reads_texts_of_requests() {
    let rule = "Bodies, forms and queries are read by http/ alone, which refuses NUL in them: use its Body and Query.";
    let readers = ["web::Query", "web::Form", "query_string", "form_urlencoded"];
    let broken = sources().into_iter().filter(|source| is_in(source, &["api", "pages", "app"])).flat_map(|source| {
        let lines = source.lines().filter(|(_, line)| readers.iter().any(|reader| line.contains(reader)));
        lines.map(|(line, _)| source.place(line)).collect::<Vec<_>>()
    });
    assert_kept(rule, broken);
}

#[test]
fn only_the_edge_describes_itself_as_openapi() {
    let rule = "utoipa stands only in api/, pages/ and http/.";
    assert_kept(rule, misplaced("utoipa", |source| is_in(source, &["api", "pages", "http"])));
    assert!(misplaced("utoipa", |_| false).count() > 10, "the search finds nothing at all");
}

#[test]
fn only_stores_speak_sql() {
    let rule = "Diesel stands only in db/ and stores: what the rooms do can be read without SQL.";
    assert_kept(rule, misplaced("diesel", |source| is_in(source, &["db"]) || source.is_store()));
    assert!(misplaced("diesel", |_| false).count() > 10, "the search finds nothing at all");
}

#[test]
fn only_the_cache_knows_redis() {
    let rule = "deadpool_redis stands only in cache/redis/.";
    assert_kept(rule, misplaced("deadpool", |source| source.path.starts_with("cache/redis/")));
    assert!(misplaced("deadpool", |_| false).count() >= 2, "the search finds nothing at all");
}

#[test]
fn a_store_is_private_to_its_folder() {
    let rule = "A store is private to its folder: `mod store;` in its mod.rs, which exports at most its types.";
    let sources = sources();
    let folders: Vec<&str> = sources
        .iter()
        .filter_map(|source| ["/store.rs", "/store/mod.rs"].iter().find_map(|end| source.path.strip_suffix(end)))
        .collect();
    assert!(folders.len() >= 10, "{folders:?}");
    for folder in folders {
        let page = sources.iter().find(|source| source.path == format!("{folder}/mod.rs")).unwrap();
        assert!(page.lines().any(|(_, code)| code == "mod store;"), "\n{rule}\nBroken by:\n  src/{}\n", page.path);
        let is_type = |code: &str| {
            code.strip_prefix("pub(crate) use store::")
                .is_some_and(|name| name.starts_with(|c: char| c.is_ascii_uppercase()))
        };
        let exports =
            page.lines().filter(|(_, code)| code.starts_with("pub") && code.contains("store") && !is_type(code));
        assert_kept(rule, exports.map(|(line, _)| page.place(line)));
        let path = format!("{}::store", folder.replace('/', "::"));
        let strangers = sources.iter().filter(|source| !source.path.starts_with(&format!("{folder}/")));
        let named = strangers.flat_map(|source| source.lines().map(move |(line, code)| (source, line, code)));
        let named = named.filter(|(_, _, code)| code.contains(&path));
        assert_kept(rule, named.map(|(source, line, _)| source.place(line)));
    }
}

#[test]
fn nothing_ends_the_process_by_surprise() {
    let rule = "No unwrap, todo, unimplemented or dbg outside tests, and no expect without its reason in #[expect(…)].";
    let mut broken = Vec::new();
    for source in sources() {
        let lines: Vec<(usize, &str)> = source.lines().collect();
        for (index, (line, code)) in lines.iter().enumerate() {
            let has_reason = lines[index.saturating_sub(4)..index]
                .iter()
                .any(|(_, code)| code.contains("#[expect(clippy::expect_used"));
            let is_wrong = [".unwrap()", ".unwrap_err()", "todo!", "unimplemented!", "dbg!"]
                .iter()
                .any(|word| code.contains(word))
                || (code.contains(".expect(") && !has_reason);
            if is_wrong {
                broken.push(source.place(*line));
            }
        }
    }
    assert_kept(rule, broken);
}

#[test]
fn only_the_command_line_prints() {
    let rule = "Only main.rs and cli/ print: the server writes to its log.";
    let prints = ["print!", "println!", "eprint!", "eprintln!"];
    let broken = sources().into_iter().filter(|source| source.room() != Some("cli")).flat_map(|source| {
        let lines = source.lines().filter(|(_, code)| prints.iter().any(|word| code.contains(word)));
        lines.map(|(line, _)| source.place(line)).collect::<Vec<_>>()
    });
    assert_kept(rule, broken);
}
