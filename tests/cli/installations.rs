//! Which database a command uses: the one that it was given, and never a new one by mistake.

use std::sync::Arc;

use crate::support::process::{command, try_serve};
use crate::support::{Backend, Deployment, PASSWORD, Process, until};
use crate::{run, run_with_input};

both_backends! {
    commands_where_nothing_is_fail_and_create_nothing,
    every_command_names_the_database,
    a_name_that_is_misspelled_stops_every_command,
}

embedded_only! {
    an_embedded_database_has_one_server,
    an_embedded_database_beside_https_has_to_be_asked_for,
}

scaled_only! {
    tables_of_another_program_are_left_alone,
    two_installations_share_a_database,
    a_role_that_may_create_no_schema_can_be_given_one,
}

/// Commands that use the database, with what they need on standard input.
const COMMANDS: [&[&str]; 12] = [
    &["user", "list"],
    &["user", "create", "person@example.com"],
    &["user", "disable", "person@example.com"],
    &["user", "set-password", "person@example.com"],
    &["user", "set-roles", "person@example.com"],
    &["user", "reset-mfa", "person@example.com"],
    &["user", "export"],
    &["user", "import", "-"],
    &["session", "list", "person@example.com"],
    &["session", "revoke", "--user", "person@example.com"],
    &["session", "revoke", "0190b3c0-0000-7000-8000-000000000000"],
    &["session", "cleanup"],
];

/// What names the database of a deployment, without credentials.
fn name(deployment: &Deployment) -> String {
    match deployment.backend {
        Backend::Embedded => format!("sqlite:{}", deployment.sqlite_file().display()),
        Backend::Scaled => {
            let url = deployment.database_url();
            format!("postgres://(hidden)@{}, schema keyturn", url.rsplit_once('@').unwrap().1)
        }
    }
}

fn assert_untouched(deployment: &Deployment, after: &[&str]) {
    match deployment.backend {
        Backend::Embedded => {
            let files: Vec<_> = std::fs::read_dir(deployment.folder.path()).unwrap().collect();
            assert!(files.is_empty(), "{after:?}: {files:?}");
        }
        Backend::Scaled => {
            assert!(!deployment.data_dir().exists(), "{after:?}");
            let schemas = deployment.texts("SELECT nspname::text AS text FROM pg_namespace WHERE nspname !~ '^pg_'");
            assert_eq!(schemas.len(), 2, "{after:?}: {schemas:?}");
            assert_eq!(deployment.tables(), Vec::<String>::new(), "{after:?}");
        }
    }
}

async fn commands_where_nothing_is_fail_and_create_nothing(deployment: Arc<Deployment>) {
    // With a secret, and where one would be generated.
    let secrets: &[&str] = if deployment.backend == Backend::Embedded { &["", &deployment.secret] } else { &[""] };
    for secret in secrets {
        let settings = if secret.is_empty() && deployment.backend == Backend::Scaled {
            vec![]
        } else {
            vec![("JWT_SECRET", *secret)]
        };
        for arguments in COMMANDS {
            let refused = run_with_input(&deployment, &settings, arguments, PASSWORD).refused();
            let told = [&*name(&deployment), "no installation", "keyturn migrate", "keyturn serve"];
            assert!(told.iter().all(|part| refused.contains(part)), "{arguments:?}: {refused}");
            assert_untouched(&deployment, arguments);
        }
        let doctor = run_with_input(&deployment, &settings, &["doctor"], "");
        assert_eq!(doctor.code, Some(1), "{doctor:?}");
        assert!(doctor.stdout.contains("WRONG  ") && doctor.stdout.contains(&name(&deployment)), "{doctor:?}");
        let checked = run_with_input(&deployment, &settings, &["migrate", "--check"], "");
        assert_eq!(checked.code, Some(1), "{checked:?}");
        run_with_input(&deployment, &settings, &["config", "check"], "").printed();
        run_with_input(&deployment, &settings, &["user", "import", "--check", "-"], "").printed();
        assert_untouched(&deployment, &["doctor"]);
    }
}

async fn every_command_names_the_database(deployment: Arc<Deployment>) {
    let named = name(&deployment);
    for arguments in [&["migrate", "--check"][..], &["migrate"]].iter().chain(&COMMANDS) {
        let ran = run_with_input(&deployment, &[], arguments, PASSWORD);
        assert_eq!(ran.database.as_ref(), Some(&named), "{arguments:?}: {ran:?}");
    }
    assert!(run(&deployment, &["doctor"]).stdout.contains(&named));
    assert_eq!(run(&deployment, &["user", "list"]).printed().lines().count(), 1);
    let process = Process::start(&deployment, &[]);
    until("the log to name it", async || process.log().contains(&named).then_some(())).await;
}

async fn a_name_that_is_misspelled_stops_every_command(deployment: Arc<Deployment>) {
    for (wrong, right) in
        [("JWT_SECERT", "JWT_SECRET"), ("SMTP_URI", "SMTP_URL"), ("KEYTURN_SMPT_URL", "KEYTURN_SMTP_URL")]
    {
        let others = [&["serve"][..], &["migrate"], &["migrate", "--check"], &["config", "check"]];
        for arguments in others.iter().chain(&COMMANDS) {
            let settings = [(wrong, "sesame"), (right.strip_prefix("KEYTURN_").unwrap_or(right), "")];
            let mut command = command(&deployment, &settings);
            // What is empty in the environment would be set there.
            let output = command.env_remove(right).args(*arguments).output().unwrap();
            let errors = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{arguments:?}");
            assert!(errors.contains(wrong) && errors.contains(right) && !errors.contains("sesame"), "{errors}");
        }
    }
    assert_untouched(&deployment, &[]);
}

async fn an_embedded_database_has_one_server(deployment: Arc<Deployment>) {
    let mut first = Process::start(&deployment, &[]);
    let tokens = first.register().await;
    let elsewhere = deployment.folder.path().join("elsewhere").display().to_string();
    let file = format!("sqlite:{}", deployment.sqlite_file().display());
    for settings in [&[][..], &[("DATA_DIR", &*elsewhere), ("DATABASE_URL", &*file)]] {
        let (code, told) = try_serve(&deployment, settings);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("another server runs on") && told.contains("keyturn.db"), "{told}");
    }
    // Other commands work beside it, and do not take its lock away.
    assert_eq!(run(&deployment, &["user", "list"]).printed().lines().count(), 1);
    run(&deployment, &["migrate"]).printed();
    assert_eq!(try_serve(&deployment, &[]).0, Some(1));
    first.me(&tokens.access).await.assert_status(200);
    // A crash leaves the file, and no lock.
    first.kill();
    Process::start(&deployment, &[]).me(&tokens.access).await.assert_status(200);
}

async fn an_embedded_database_beside_https_has_to_be_asked_for(deployment: Arc<Deployment>) {
    for arguments in [&["serve"][..], &["migrate"], &["user", "list"]] {
        let refused = run_with_input(&deployment, &[("DATABASE_URL", "")], arguments, "").refused();
        let told = ["DATABASE_URL", "PUBLIC_URL", "keyturn.db", "Postgres", "embedded"];
        assert!(told.iter().all(|part| refused.contains(part)), "{refused}");
    }
    assert_untouched(&deployment, &[]);
    Process::start(&deployment, &[]).register().await;
}

async fn tables_of_another_program_are_left_alone(deployment: Arc<Deployment>) {
    let theirs = "CREATE TABLE public.users (id serial PRIMARY KEY, email text); \
                  INSERT INTO public.users (email) VALUES ('customer@example.com'); \
                  CREATE TABLE public.sessions (data bytea); \
                  CREATE TABLE public.__diesel_schema_migrations (version text PRIMARY KEY, run_on timestamp); \
                  INSERT INTO public.__diesel_schema_migrations VALUES ('0001'), ('0002')";
    deployment.sql(theirs);
    let before = deployment.tables();
    let refused = run(&deployment, &["user", "list"]).refused();
    assert!(refused.contains("no installation"), "{refused}");
    let process = Process::start(&deployment, &[]);
    let tokens = process.register().await;
    process.refreshed(&tokens).await;
    assert_eq!((process.count("public.users"), process.count("keyturn.users")), (1, 1));
    assert_eq!((process.count("public.sessions"), process.count("keyturn.sessions")), (0, 1));
    let (own, others): (Vec<_>, Vec<_>) =
        deployment.tables().into_iter().partition(|table| table.starts_with("keyturn."));
    assert_eq!(others, before);
    assert!(own.len() > 10, "{own:?}");
}

async fn two_installations_share_a_database(deployment: Arc<Deployment>) {
    let other = [("DATABASE_SCHEMA", "user"), ("REDIS_PREFIX", "other")];
    let (first, second) = (Process::start(&deployment, &[]), Process::start(&deployment, &other));
    let tokens = first.register().await;
    second.me(&tokens.access).await.assert_status(401);
    second.register().await;
    second.register().await;
    let counts = (deployment.count("keyturn.users"), deployment.count("\"user\".users"));
    assert_eq!(counts, (1, 2));
    let listed = run_with_input(&deployment, &other, &["user", "list"], "");
    assert!(listed.database.as_deref().unwrap().ends_with(", schema user"), "{listed:?}");
    assert_eq!(listed.stdout.lines().count(), 2);
}

async fn a_role_that_may_create_no_schema_can_be_given_one(deployment: Arc<Deployment>) {
    let role = format!("guest_{}", crate::support::random_hex::<4>());
    deployment.sql(&format!("CREATE ROLE {role} LOGIN"));
    let url = deployment.database_url().replacen("keyturn@", &format!("{role}@"), 1);
    let settings = [("DATABASE_URL", &*url)];
    let refused = run_with_input(&deployment, &settings, &["migrate"], "").refused();
    assert!(refused.contains("permission denied"), "{refused}");
    deployment.sql(&format!("CREATE SCHEMA keyturn AUTHORIZATION {role}"));
    run_with_input(&deployment, &settings, &["migrate"], "").printed();
    let process = Process::start(&deployment, &settings);
    process.refreshed(&process.register().await).await;
    drop(process);
    deployment.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}
