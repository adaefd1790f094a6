//! Names in the environment, and what follows from settings that are not there.

use super::*;

#[test]
fn each_setting_is_read_with_the_prefix_too() {
    let directory = Directory::new();
    let path = directory.file("audience", "from-file");
    for (environment, expected) in [
        (&[("KEYTURN_AUDIENCE", "a")][..], "a"),
        (&[("KEYTURN_AUDIENCE", "a"), ("AUDIENCE", " a ")], "a"),
        (&[("KEYTURN_AUDIENCE", "a"), ("AUDIENCE", "")], "a"),
        (&[("KEYTURN_AUDIENCE", " "), ("AUDIENCE", "a")], "a"),
        (&[("KEYTURN_AUDIENCE_FILE", &path)], "from-file"),
        (&[("KEYTURN_AUDIENCE_FILE", &path), ("AUDIENCE_FILE", &path)], "from-file"),
    ] {
        assert_eq!(config(environment).audience, expected, "{environment:?}");
    }
    let differ = refusal(&[("KEYTURN_AUDIENCE", "hidden"), ("AUDIENCE", "a")]);
    let expected = "AUDIENCE: is set twice, as AUDIENCE and as KEYTURN_AUDIENCE, with different values; example: ";
    assert!(differ.starts_with(expected) && !differ.contains("hidden"), "{differ}");
    let both = refusal(&[("KEYTURN_AUDIENCE_FILE", &path), ("AUDIENCE", "a")]);
    assert!(both.starts_with("AUDIENCE: is set twice, as AUDIENCE and as AUDIENCE_FILE"), "{both}");
}

#[test]
fn a_misspelled_name_stops_everything_and_is_shown_without_its_value() {
    let environment = [("DATBASE_URL", "postgres://keyturn:sesame@db.example/keyturn"), ("KEYTURN_FOO", "sesame")];
    let refused = load_with(None, &environment).err().unwrap().to_string();
    assert_eq!(refused.lines().count(), 2, "{refused}");
    assert!(refused.contains("DATBASE_URL: ") && refused.contains(" DATABASE_URL is, and is not set"), "{refused}");
    assert!(refused.contains("KEYTURN_FOO: ") && !refused.contains("sesame"), "{refused}");
}

#[test]
fn an_embedded_database_beside_what_is_usual_for_postgres_has_to_be_asked_for() {
    for beside in [("REDIS_URL", "redis://cache.example"), ("PUBLIC_URL", "https://auth.example")] {
        let refused = load_with(None, &[beside]).err().unwrap().to_string();
        let expected = ["DATABASE_URL: is not set", "keyturn.db", beside.0, "Postgres", "embedded"];
        assert!(expected.iter().all(|part| refused.contains(part)), "{refused}");
        assert_eq!(refused.lines().count(), 1, "{refused}");
        let directory = Directory::new();
        let data_dir = directory.path("data");
        for (url, path) in [("embedded", format!("{data_dir}/keyturn.db")), ("sqlite:other.db", "other.db".to_owned())]
        {
            let loaded = load(&[beside, ("DATABASE_URL", url), ("DATA_DIR", &data_dir)]).unwrap();
            assert!(matches!(&loaded.database, Database::Sqlite { path: own } if *own == Path::new(&path)), "{url}");
            assert_eq!(shown(&loaded, "DATABASE_URL"), format!("DATABASE_URL = {url} (environment)"));
        }
    }
    assert!(load_with(None, &[("PUBLIC_URL", "http://auth.example")]).is_ok());
}

#[test]
fn a_schema_is_a_plain_name_and_for_postgres_only() {
    let secret = long_secret();
    let with = |schema: &str| {
        let postgres = [("DATABASE_URL", "postgres://u:sesame@db.example/k"), ("JWT_SECRET", secret.as_str())];
        let loaded = load(&[&postgres[..], &[("DATABASE_SCHEMA", schema)]].concat()).ok()?;
        Some(loaded.database.to_string())
    };
    for (schema, shown) in [("", "keyturn"), ("auth", "auth"), ("user", "user"), ("_2", "_2"), ("public", "public")] {
        assert_eq!(with(schema), Some(format!("postgres://(hidden)@db.example/k, schema {shown}")));
    }
    let long = "a".repeat(64);
    for wrong in ["Auth", "pg_auth", "a-b", "a\"b", "2a", "information_schema", "a,public", &long] {
        assert_eq!(with(wrong), None, "{wrong}");
    }
    let unused = refusal(&[("DATABASE_SCHEMA", "auth")]);
    assert!(unused.starts_with("DATABASE_SCHEMA: has an effect only with Postgres"), "{unused}");
}

#[test]
fn a_check_shows_the_defaults_that_are_derived() {
    let loaded = load_with(None, &[("BIND", "0.0.0.0:9000"), ("DATA_DIR", "/nonexistent/data")]).unwrap();
    assert_eq!(shown(&loaded, "PUBLIC_URL"), "PUBLIC_URL = http://localhost:9000 (default)");
    assert_eq!(shown(&loaded, "ISSUER"), "ISSUER = http://localhost:9000 (default)");
    assert_eq!(shown(&loaded, "DATABASE_URL"), "DATABASE_URL = sqlite:/nonexistent/data/keyturn.db (default)");
    assert_eq!(loaded.settings.len(), settings().len());
}

#[test]
fn the_environment_comes_before_the_file_and_the_file_before_the_default() {
    let directory = Directory::new();
    let file = directory.file("keyturn.toml", "access_token_ttl = 60\naudience = \"from-file\"\n");
    let loaded = load_with(Some(&file), &[("AUDIENCE", "from-environment")]).unwrap();
    assert_eq!(shown(&loaded, "AUDIENCE"), "AUDIENCE = from-environment (environment)");
    assert_eq!(shown(&loaded, "ACCESS_TOKEN_TTL"), format!("ACCESS_TOKEN_TTL = 60 ({file})"));
    assert_eq!(shown(&loaded, "LOG"), "LOG = info (default)");
}

#[test]
fn the_metrics_have_an_address_beside_that_of_the_server() {
    for (bind, metrics, fits) in [
        ("127.0.0.1:8080", "127.0.0.1:8080", false),
        ("0.0.0.0:8080", "127.0.0.1:8080", false),
        ("127.0.0.1:8080", "0.0.0.0:8080", false),
        ("[::]:8080", "127.0.0.1:8080", false),
        ("[::]:8080", "0.0.0.0:8080", false),
        ("[::ffff:127.0.0.1]:8080", "127.0.0.1:8080", false),
        ("127.0.0.1:8080", "127.0.0.1:8081", true),
        ("127.0.0.1:8080", "127.0.0.2:8080", true),
        ("0.0.0.0:8080", "[::1]:8080", true),
        ("127.0.0.1:0", "127.0.0.1:0", true),
    ] {
        let loaded = load(&[("BIND", bind), ("METRICS_BIND", metrics)]);
        assert_eq!(loaded.is_ok(), fits, "{bind} {metrics}");
        assert!(loaded.err().is_none_or(|error| error.to_string().starts_with("METRICS_BIND: ")));
    }
    // Where `BIND` follows from `PORT`, too.
    assert!(refusal(&[("PORT", "9090"), ("METRICS_BIND", "127.0.0.1:9090")]).starts_with("METRICS_BIND: "));
}
