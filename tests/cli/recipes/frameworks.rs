//! From frameworks, whose accounts are in the application's own database.

use std::process::Command;

use serde_json::{Value, json};

use super::Outcome::{IsDisabled, IsRefused, LogsIn, NeedsCode};
use super::{Move, SECRET, account, assert_fields, hash, recipe};
use crate::support::{Backend, variable};

embedded_only! {
    from_django,
    from_wordpress,
    from_laravel,
    from_asp_net_identity,
    from_better_auth,
}

/// A project without time zones, of which each person has one hash.
const DJANGO: &str = r#"
import sys
from django.conf import settings
from django.core.management import execute_from_command_line

settings.configure(
    SECRET_KEY="harmless", USE_TZ=False, DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "django.db"}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django_otp", "django_otp.plugins.otp_totp",
        "django_otp.plugins.otp_static"],
)
execute_from_command_line(sys.argv)
"#;

const DJANGO_PEOPLE: &str = r#"
import base64, datetime, os
from django.contrib.auth.models import Group, User
from django_otp.plugins.otp_totp.models import TOTPDevice

def person(name, **more):
    return User.objects.create(username=name, email=f"{name}@example.com", **{"password": os.environ["HASH"], **more})

fine = person("fine", first_name="Ada", last_login=datetime.datetime(2024, 1, 1))
fine.groups.set([Group.objects.create(name="Back office"), Group.objects.create(name="admin")])
person("inactive", is_active=False)
person("unusable", password="!" + "x" * 40)
person("")
key = base64.b32decode(os.environ["SECRET"]).hex()
TOTPDevice.objects.create(user=person("app"), key=key)
TOTPDevice.objects.create(user=person("unconfirmed"), key=key, confirmed=False)
TOTPDevice.objects.create(user=person("eight"), key=key, digits=8)
User.objects.filter(username="").update(email="")

"#;

async fn from_django(backend: Backend) {
    let old = Move::new(backend);
    old.write("manage.py", DJANGO);
    old.write("people.py", DJANGO_PEOPLE);
    old.write("export.py", recipe("Django"));
    old.program("python", &format!("exec {} \"$@\"", variable("KEYTURN_TEST_PYTHON")));
    let prepare = "python manage.py migrate -v 0 && python manage.py shell -v 0 < people.py";
    let mut bash = Command::new("bash");
    bash.args(["-ec", prepare]).current_dir(old.folder()).env_clear();
    bash.env("PATH", format!("{}:/usr/bin:/bin", old.folder().display())).env("SECRET", SECRET);
    bash.env("PYTHONPATH", variable("KEYTURN_TEST_PYTHON_PATH")).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = bash.env("HASH", hash("django-pbkdf2")).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let people = [
        ("fine@example.com", LogsIn),
        ("unconfirmed@example.com", LogsIn),
        ("inactive@example.com", IsDisabled),
        ("unusable@example.com", IsRefused),
        ("app@example.com", NeedsCode),
        ("eight@example.com", IsRefused),
    ];
    let script = "python manage.py shell -v 0 < export.py > people.ndjson";
    let accounts = old.run(script, "NONE", &people).await;
    assert_eq!(accounts.len(), people.len());
    let fine = json!({"name": "Ada", "roles": ["user", "Back-office"], "email_verified_at": null});
    assert_fields(account(&accounts, "fine@example.com"), fine);
}

async fn from_wordpress(backend: Backend) {
    let old = Move::new(backend);
    let user = |id: u32, name: &str, more: Value| {
        let mut user = json!({"ID": id, "user_email": format!("{name}@example.com"), "display_name": "Ada",
            "user_pass": hash("wordpress"), "user_registered": "2021-03-04 05:06:07", "user_status": "0",
            "roles": "subscriber"});
        user.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        user
    };
    let users = json!([
        user(1, "fine", json!({"roles": "administrator,shop manager"})),
        user(2, "newer", json!({"user_pass": hash("wordpress-6-8"), "user_registered": "0000-00-00 00:00:00"})),
        user(3, "md5", json!({"user_pass": "5f4dcc3b5aa765d61d8327deb882cf99", "roles": ""})),
        user(4, "pending", json!({"user_status": "2"})),
        user(5, "spammer", json!({"spam": "1", "deleted": "0"})),
        user(6, "network", json!({"spam": "0", "deleted": "0"})),
        user(7, "app", json!({})),
        user(8, "mail", json!({})),
        user(9, "off", json!({})),
        user(10, "nobody", json!({"user_email": ""})),
    ]);
    old.write("list.json", users);
    let providers = "_two_factor_enabled_providers";
    let rows = format!(
        "7\t{providers}\ta:1:{{i:0;s:15:\"Two_Factor_Totp\";}}\n7\t_two_factor_totp_key\t{SECRET}\n\
        8\t{providers}\ta:1:{{i:0;s:16:\"Two_Factor_Email\";}}\n8\t_two_factor_totp_key\t{SECRET}\n\
        9\t{providers}\ta:0:{{}}\n9\t_two_factor_totp_key\t{SECRET}\n"
    );
    old.write("rows.tsv", rows);
    let wp = "case \"$1 $2\" in
        'user list') cat list.json;;
        'db prefix') echo wp_;;
        'db query') [[ \"$*\" == *'FROM wp_usermeta'* ]] && cat rows.tsv;;
        esac";
    old.program("wp", wp);
    let people = [
        ("fine@example.com", LogsIn),
        ("newer@example.com", LogsIn),
        ("network@example.com", LogsIn),
        ("off@example.com", LogsIn),
        ("md5@example.com", IsRefused),
        ("pending@example.com", IsDisabled),
        ("spammer@example.com", IsDisabled),
        ("app@example.com", NeedsCode),
        ("mail@example.com", IsRefused),
    ];
    let accounts = old.run(&recipe("WordPress"), "NONE", &people).await;
    assert_eq!(accounts.len(), people.len());
    let fine = json!({"name": "Ada", "roles": ["user", "administrator", "shop-manager"], "email_verified_at": null,
        "created_at": "2021-03-04T05:06:07.000Z"});
    assert_fields(account(&accounts, "fine@example.com"), fine);
}

async fn from_laravel(backend: Backend) {
    let old = Move::new(backend);
    let bcrypt = hash("php-bcrypt");
    let argon2 = hash("argon2-cffi");
    // What `mysql --batch` prints: tabs and line ends in values are escaped.
    let head = "id\tname\temail\temail_verified_at\tpassword\tcreated_at\tdeleted_at\ttwo_factor_secret\t\
        two_factor_confirmed_at\n";
    let row = |name: &str, verified: &str, hash: &str, rest: &str| {
        format!("1\tAda\t{name}@example.com\t{verified}\t{hash}\t2021-03-04 05:06:07\t{rest}\n")
    };
    let mut table = head.to_owned();
    table += &row("fine", "2021-03-05 05:06:07", bcrypt, "NULL\tNULL\tNULL");
    table += &row("argon", "NULL", argon2, "NULL\tNULL\tNULL");
    table += &row("deleted", "NULL", bcrypt, "2024-01-01 00:00:00\tNULL\tNULL");
    table += &row("app", "NULL", bcrypt, "NULL\teyJpdiI6IkFBIn0=\t2024-01-01 00:00:00");
    table += &row("half", "NULL", bcrypt, "NULL\teyJpdiI6IkFBIn0=\tNULL");
    table += &row("tab", "NULL", bcrypt, "NULL\tNULL\tNULL").replace("Ada", "Zor \\\\ vane");
    old.write("table.tsv", table);
    old.program("mysql", "[[ \"$*\" == '--batch -e SELECT * FROM users shop' ]]\ncat table.tsv");
    let people = [
        ("fine@example.com", LogsIn),
        ("argon@example.com", LogsIn),
        ("half@example.com", LogsIn),
        ("tab@example.com", LogsIn),
        ("deleted@example.com", IsRefused),
        ("app@example.com", IsRefused),
    ];
    let accounts = old.run(&recipe("Laravel"), "NONE", &people).await;
    assert_eq!(accounts.len(), 5);
    let fine = json!({"name": "Ada", "created_at": "2021-03-04T05:06:07.000Z",
        "email_verified_at": "2021-03-05T05:06:07.000Z"});
    assert_fields(account(&accounts, "fine@example.com"), fine);
    assert_fields(account(&accounts, "tab@example.com"), json!({"name": "Zor \\ vane", "email_verified_at": null}));
}

async fn from_asp_net_identity(backend: Backend) {
    let old = Move::new(backend);
    old.sql(
        r#"CREATE TABLE "AspNetUsers" ("Id" text PRIMARY KEY, "UserName" varchar(256), "Email" varchar(256),
            "EmailConfirmed" boolean NOT NULL DEFAULT false, "PasswordHash" text,
            "TwoFactorEnabled" boolean NOT NULL DEFAULT false, "LockoutEnd" timestamptz,
            "LockoutEnabled" boolean NOT NULL DEFAULT true, "AccessFailedCount" integer NOT NULL DEFAULT 0);
        CREATE TABLE "AspNetRoles" ("Id" text PRIMARY KEY, "Name" varchar(256));
        CREATE TABLE "AspNetUserRoles" ("UserId" text, "RoleId" text, PRIMARY KEY ("UserId", "RoleId"));
        CREATE TABLE "AspNetUserTokens" ("UserId" text, "LoginProvider" text, "Name" text, "Value" text,
            PRIMARY KEY ("UserId", "LoginProvider", "Name"));
        INSERT INTO "AspNetRoles" VALUES ('1', 'Back office'), ('2', 'admin');
        INSERT INTO "AspNetUserRoles" VALUES ('0190B5A0-0000-4000-8000-000000000001', '1'),
            ('0190B5A0-0000-4000-8000-000000000001', '2');"#,
    );
    let insert = |id: &str, name: &str, version: &str, column: &str, value: &str| {
        old.sql(&format!(
            r#"INSERT INTO "AspNetUsers" ("Id", "Email", "PasswordHash", "{column}")
            VALUES ('{id}', '{name}@example.com', '{}', {value})"#,
            hash(version)
        ));
    };
    insert("0190B5A0-0000-4000-8000-000000000001", "fine", "aspnet-3", "EmailConfirmed", "true");
    for (name, version, column, value) in [
        ("older", "aspnet-2", "EmailConfirmed", "false"),
        ("mistyped", "aspnet-3", "LockoutEnd", "now() + interval '5 minutes'"),
        ("locked", "aspnet-3", "LockoutEnd", "'9999-12-31 23:59:59+00'"),
        ("app", "aspnet-3", "TwoFactorEnabled", "true"),
        ("sms", "aspnet-3", "TwoFactorEnabled", "true"),
        ("off", "aspnet-3", "TwoFactorEnabled", "false"),
    ] {
        insert(name, name, version, column, value);
    }
    for name in ["app", "off"] {
        old.sql(&format!(
            r#"INSERT INTO "AspNetUserTokens" VALUES ('{name}', '[AspNetUserStore]', 'AuthenticatorKey', '{SECRET}'),
                ('{name}', '[AspNetUserStore]', 'RecoveryCodes', 'ABCDE-FGHJK;LMNPQ-RSTVW')"#
        ));
    }
    let people = [
        ("fine@example.com", LogsIn),
        ("older@example.com", LogsIn),
        ("mistyped@example.com", LogsIn),
        ("off@example.com", LogsIn),
        ("locked@example.com", IsDisabled),
        ("app@example.com", NeedsCode),
        ("sms@example.com", IsRefused),
    ];
    let accounts = old.run(&recipe("ASP.NET Identity"), "IDENTITY_URL", &people).await;
    assert_eq!(accounts.len(), people.len());
    let fine = json!({"id": "0190b5a0-0000-4000-8000-000000000001", "roles": ["user", "Back-office"]});
    assert_fields(account(&accounts, "fine@example.com"), fine);
    assert!(account(&accounts, "older@example.com")["email_verified_at"].is_null());
    assert_eq!(old.process.count("recovery_codes"), 2);
}

async fn from_better_auth(backend: Backend) {
    let old = Move::new(backend);
    old.sql(
        r#"CREATE TABLE "user" (id text PRIMARY KEY, name text NOT NULL, email text NOT NULL UNIQUE,
            "emailVerified" boolean NOT NULL DEFAULT false, image text, "createdAt" timestamptz DEFAULT '2021-03-04',
            "updatedAt" timestamptz DEFAULT now());
        CREATE TABLE account (id text PRIMARY KEY, "accountId" text, "providerId" text, "userId" text,
            password text);"#,
    );
    let bare = "('bare', 'Ada', 'bare@example.com')";
    old.sql(&format!(r#"INSERT INTO "user" (id, name, email) VALUES {bare}"#));
    let credentials = |name: &str| {
        old.sql(&format!(
            r#"INSERT INTO account VALUES ('{name}-1', '{name}', 'credential', '{name}', '{}'),
                ('{name}-2', '1234', 'google', '{name}', NULL)"#,
            hash("better-auth")
        ));
    };
    credentials("bare");
    old.run(&recipe("better-auth"), "BETTER_AUTH_URL", &[("bare@example.com", LogsIn)]).await;

    // With the plugins admin and twoFactor.
    old.sql(
        r#"ALTER TABLE "user" ADD role text, ADD banned boolean, ADD "banReason" text, ADD "banExpires" timestamptz,
            ADD "twoFactorEnabled" boolean"#,
    );
    for (name, column, value) in [
        ("fine", "role", "'editor,admin,Back office'"),
        ("verified", "emailVerified", "true"),
        ("app", "twoFactorEnabled", "true"),
        ("google", "role", "'user'"),
    ] {
        let row = format!("('{name}', 'Ada', '{name}@example.com', {value})");
        old.sql(&format!(r#"INSERT INTO "user" (id, name, email, "{column}") VALUES {row}"#));
    }
    for (name, expires) in [("banned", "NULL"), ("for-now", "'2126-01-01'"), ("once", "'2020-01-01'")] {
        let row = format!("('{name}', 'Ada', '{name}@example.com', true, {expires})");
        old.sql(&format!(r#"INSERT INTO "user" (id, name, email, banned, "banExpires") VALUES {row}"#));
    }
    ["fine", "verified", "app", "banned", "for-now", "once"].into_iter().for_each(credentials);
    let people = [
        ("fine@example.com", LogsIn),
        ("verified@example.com", LogsIn),
        ("once@example.com", LogsIn),
        ("banned@example.com", IsDisabled),
        ("for-now@example.com", IsDisabled),
        ("app@example.com", IsRefused),
        ("google@example.com", IsRefused),
    ];
    let accounts = old.run(&recipe("better-auth"), "BETTER_AUTH_URL", &people).await;
    let fine = json!({"name": "Ada", "roles": ["user", "editor", "Back-office"], "email_verified_at": null});
    assert_fields(account(&accounts, "fine@example.com"), fine);
    assert!(account(&accounts, "verified@example.com")["email_verified_at"].is_string());
}
