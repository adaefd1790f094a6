//! From services of accounts.

use serde_json::{Value, json};

use super::Outcome::{IsDisabled, IsRefused, LogsIn, NeedsCode};
use super::{Move, SECRET, account, assert_fields, hash, recipe};
use crate::support::Backend;

embedded_only! {
    from_supabase,
    from_firebase,
    from_auth0,
    from_cognito,
    from_keycloak,
}

async fn from_supabase(backend: Backend) {
    let old = Move::new(backend);
    old.sql(
        "CREATE SCHEMA auth;
        CREATE TABLE auth.users (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), email varchar(255),
            encrypted_password varchar(255), email_confirmed_at timestamptz, created_at timestamptz DEFAULT now(),
            last_sign_in_at timestamptz, banned_until timestamptz, deleted_at timestamptz, raw_user_meta_data jsonb,
            raw_app_meta_data jsonb, is_anonymous boolean DEFAULT false, is_sso_user boolean DEFAULT false);
        CREATE TYPE auth.factor_type AS ENUM ('totp', 'webauthn', 'phone');
        CREATE TYPE auth.factor_status AS ENUM ('unverified', 'verified');
        CREATE TABLE auth.mfa_factors (id uuid DEFAULT gen_random_uuid(), user_id uuid REFERENCES auth.users (id),
            factor_type auth.factor_type, status auth.factor_status, secret text);",
    );
    let bcrypt = hash("bcrypt-2a");
    for (name, column, value) in [
        ("fine", "last_sign_in_at", "'2024-01-01'"),
        ("named", "raw_user_meta_data", "'{\"full_name\": \"Zorvane Thrumbeck\"}'"),
        ("editor", "raw_app_meta_data", "'{\"roles\": [\"editor\", \"back office\", \"admin\"]}'"),
        ("once-banned", "banned_until", "'2020-01-01'"),
        ("banned", "banned_until", "'2126-01-01'"),
        ("for-ever", "banned_until", "'infinity'"),
        ("deleted", "deleted_at", "now()"),
        ("anonymous", "is_anonymous", "true"),
        ("sso", "is_sso_user", "true"),
        ("app", "email_confirmed_at", "'2021-02-03'"),
        ("phone", "email_confirmed_at", "'2021-02-03'"),
        ("half", "email_confirmed_at", "NULL"),
    ] {
        old.sql(&format!(
            "INSERT INTO auth.users (email, encrypted_password, {column}) VALUES ('{name}@example.com', '{bcrypt}', {value})"
        ));
    }
    old.sql(&format!("INSERT INTO auth.users (email, encrypted_password) VALUES ('', ''), (NULL, '{bcrypt}')"));
    for (name, kind, status) in
        [("app", "totp", "verified"), ("phone", "phone", "verified"), ("half", "totp", "unverified")]
    {
        old.sql(&format!(
            "INSERT INTO auth.mfa_factors (user_id, factor_type, status, secret)
            SELECT id, '{kind}', '{status}', '{SECRET}' FROM auth.users WHERE email = '{name}@example.com'"
        ));
    }
    let people = [
        ("fine@example.com", LogsIn),
        ("named@example.com", LogsIn),
        ("editor@example.com", LogsIn),
        ("once-banned@example.com", LogsIn),
        ("half@example.com", LogsIn),
        ("banned@example.com", IsDisabled),
        ("for-ever@example.com", IsDisabled),
        ("deleted@example.com", IsRefused),
        ("anonymous@example.com", IsRefused),
        ("sso@example.com", IsRefused),
        ("app@example.com", NeedsCode),
        ("phone@example.com", IsRefused),
    ];
    let accounts = old.run(&recipe("Supabase"), "SUPABASE_URL", &people).await;
    assert_eq!(accounts.len(), 9);
    assert_fields(
        account(&accounts, "named@example.com"),
        json!({"name": "Zorvane Thrumbeck", "email_verified_at": null}),
    );
    assert_fields(account(&accounts, "editor@example.com"), json!({"roles": ["user", "editor", "back-office"]}));
    assert!(account(&accounts, "app@example.com")["email_verified_at"].is_string());

    // An older one has neither second factors nor all columns.
    old.sql(&format!(
        "DROP TABLE auth.mfa_factors; DELETE FROM auth.users; ALTER TABLE auth.users DROP COLUMN is_anonymous,
            DROP COLUMN is_sso_user, DROP COLUMN deleted_at;
        INSERT INTO auth.users (email, encrypted_password) VALUES ('older@example.com', '{bcrypt}')"
    ));
    old.run(&recipe("Supabase"), "SUPABASE_URL", &[("older@example.com", LogsIn)]).await;
}

async fn from_firebase(backend: Backend) {
    let old = Move::new(backend);
    let parts: Vec<&str> = hash("firebase").split('$').collect();
    let [_, _, "ln=10,r=8,p=1", salt, output, separator, _] = parts[..] else { panic!("{parts:?}") };
    let user = |name: &str, more: Value| {
        let mut user = json!({"localId": name, "email": format!("{name}@example.com"), "emailVerified": false,
            "passwordHash": output, "salt": salt, "createdAt": "1614834367123", "disabled": false,
            "providerUserInfo": []});
        user.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        user
    };
    let users = json!({"users": [
        user("fine", json!({"displayName": "Ada", "emailVerified": true, "lastSignedInAt": "1704067200000"})),
        user("unverified", json!({})),
        user("disabled", json!({"disabled": true})),
        user("phone", json!({"mfaInfo": [{"phoneInfo": "+4915112345678", "mfaEnrollmentId": "a"}]})),
        {"localId": "google", "email": "google@example.com", "emailVerified": true, "createdAt": "1614834367123"},
        {"localId": "anonymous", "createdAt": "1614834367123"},
    ]});
    old.write("users.json", users);
    // The recipe's cost is that of a real project; this one's is little.
    let script = recipe("Firebase").replace("--arg ln 14", "--arg ln 10").replace("'Bw=='", &format!("'{separator}'"));
    let people = [
        ("fine@example.com", LogsIn),
        ("unverified@example.com", LogsIn),
        ("disabled@example.com", IsDisabled),
        ("phone@example.com", IsRefused),
        ("google@example.com", IsRefused),
    ];
    let accounts = old.run(&script, "NONE", &people).await;
    assert_eq!(accounts.len(), people.len());
    assert_fields(
        account(&accounts, "fine@example.com"),
        json!({"name": "Ada", "created_at": "2021-03-04T05:06:07.123Z"}),
    );
    assert!(account(&accounts, "unverified@example.com")["email_verified_at"].is_null());
}

async fn from_auth0(backend: Backend) {
    let old = Move::new(backend);
    let mut users = String::new();
    let mut hashes = String::new();
    for (number, (name, more)) in [
        ("fine", json!({"name": "Ada", "app_metadata": {"roles": ["editor", "admin"]}})),
        ("unverified", json!({"email_verified": false, "multifactor": []})),
        ("blocked", json!({"blocked": true})),
        ("guardian", json!({"multifactor": ["guardian"]})),
    ]
    .into_iter()
    .enumerate()
    {
        let email = format!("{name}@example.com");
        let id = format!("5f7c8d9e0a1b2c3d4e5f600{number}");
        let mut user = json!({"user_id": format!("auth0|{id}"), "email": email, "email_verified": true,
            "created_at": "2021-03-04T05:06:07.123Z", "last_login": "2024-01-01T00:00:00.000Z"});
        user.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        // The same person by Google, who comes first in the file.
        if name == "fine" {
            users += &format!("{}\n", json!({"user_id": "google-oauth2|1", "email": "other@example.com"}));
        }
        users += &format!("{user}\n");
        hashes += &format!(
            "{}\n",
            json!({"_id": {"$oid": id}, "email": email, "email_verified": true, "passwordHash": hash("bcrypt-2b"),
                "password_set_date": {"$date": "2021-03-04T05:06:07.123Z"}, "tenant": "shop",
                "connection": "Username-Password-Authentication", "_tmp_is_unique": true})
        );
    }
    users += &format!("{}\n", json!({"user_id": "sms|1", "phone_number": "+4915112345678"}));
    old.write("auth0-users.json", users);
    old.write("auth0-hashes.json", hashes);
    let people = [
        ("fine@example.com", LogsIn),
        ("unverified@example.com", LogsIn),
        ("blocked@example.com", IsDisabled),
        ("guardian@example.com", IsRefused),
        ("other@example.com", IsRefused),
    ];
    let accounts = old.run(&recipe("Auth0"), "NONE", &people).await;
    assert_eq!(accounts.len(), people.len());
    assert_fields(account(&accounts, "fine@example.com"), json!({"roles": ["user", "editor"], "name": "Ada"}));
    assert!(account(&accounts, "unverified@example.com")["email_verified_at"].is_null());
}

async fn from_cognito(backend: Backend) {
    let old = Move::new(backend);
    let user = |number: u32, name: &str, enabled: bool, status: &str, verified: &str, created: Value| {
        json!({"Username": name, "Enabled": enabled, "UserStatus": status, "UserCreateDate": created, "Attributes": [
            {"Name": "sub", "Value": format!("0190b5a0-0000-4000-8000-00000000000{number}")},
            {"Name": "email", "Value": format!("{name}@example.com")},
            {"Name": "email_verified", "Value": verified}, {"Name": "name", "Value": "Ada"}]})
    };
    let users = json!({"Users": [
        user(1, "fine", true, "CONFIRMED", "true", json!("2021-03-04T05:06:07.123000+00:00")),
        user(2, "unconfirmed", true, "UNCONFIRMED", "false", json!(1_614_834_367.123)),
        user(3, "disabled", false, "CONFIRMED", "true", json!(1_614_834_367.123)),
        user(4, "compromised", true, "COMPROMISED", "true", json!(1_614_834_367.123)),
        {"Username": "phone", "Enabled": true, "UserStatus": "CONFIRMED", "Attributes": []},
    ]});
    old.write("list.json", users);
    old.program("aws", "[[ \"$*\" == *'list-users --user-pool-id eu-central-1_Example'* ]]\ncat list.json");
    let people = ["fine", "unconfirmed", "disabled", "compromised"].map(|name| format!("{name}@example.com"));
    let refused: Vec<_> = people.iter().map(|email| (email.as_str(), IsRefused)).collect();
    let accounts = old.run(&recipe("Cognito"), "NONE", &refused).await;
    assert_eq!(accounts.len(), 4);
    let fine = json!({"id": "0190b5a0-0000-4000-8000-000000000001", "name": "Ada", "disabled_at": null});
    assert_fields(account(&accounts, "fine@example.com"), fine);
    assert!(account(&accounts, "unconfirmed@example.com")["email_verified_at"].is_null());
    for locked in ["disabled@example.com", "compromised@example.com"] {
        assert!(account(&accounts, locked)["disabled_at"].is_string(), "{accounts:?}");
    }
}

async fn from_keycloak(backend: Backend) {
    let old = Move::new(backend);
    let credential = |kind: &str, data: Value, secret: Value| {
        let secret = secret.to_string();
        json!({"type": kind, "credentialData": data.to_string(), "secretData": secret})
    };
    let parts: Vec<&str> = hash("keycloak").split('$').collect();
    let pbkdf2 = credential(
        "password",
        json!({"hashIterations": 1000, "algorithm": "pbkdf2-sha512", "additionalParameters": {}}),
        json!({"value": parts[4], "salt": parts[3], "additionalParameters": {}}),
    );
    let parts: Vec<&str> = hash("argon2-cffi").split('$').collect();
    let argon2 = credential(
        "password",
        json!({"hashIterations": 1, "algorithm": "argon2", "additionalParameters":
            {"hashLength": ["32"], "memory": ["256"], "type": ["id"], "version": ["1.3"], "parallelism": ["1"]}}),
        json!({"value": format!("{}=", parts[5]), "salt": format!("{}==", parts[4])}),
    );
    // Keycloak keeps the text whose Base32 its apps have.
    let otp = |digits: u32, encoding: Value, secret: &str| {
        let mut data =
            json!({"subType": "totp", "digits": digits, "counter": 0, "period": 30, "algorithm": "HmacSHA1"});
        data["secretEncoding"] = encoding;
        credential("otp", data, json!({"value": secret}))
    };
    let user = |number: u32, name: &str, enabled: bool, credentials: Value| {
        json!({"id": format!("0190b5a0-0000-4000-8000-00000000000{number}"), "username": name, "enabled": enabled,
            "email": format!("{name}@example.com"), "emailVerified": name == "fine", "firstName": "Ada",
            "createdTimestamp": 1_614_834_367_123_u64, "credentials": credentials,
            "realmRoles": ["default-roles-shop", "offline_access", "admin", "Back office"]})
    };
    let ascii = "abcdefghijklmnopqrst";
    let users = json!({"realm": "shop", "users": [
        user(1, "fine", true, json!([pbkdf2])),
        user(2, "argon", true, json!([argon2])),
        user(3, "disabled", false, json!([pbkdf2])),
        user(4, "app", true, json!([pbkdf2, otp(6, json!("BASE32"), SECRET)])),
        user(5, "old-app", true, json!([pbkdf2, otp(6, Value::Null, ascii)])),
        user(6, "eight", true, json!([pbkdf2, otp(8, json!("BASE32"), SECRET)])),
        user(7, "key", true, json!([pbkdf2, credential("webauthn", json!({}), json!({}))])),
        user(8, "google", true, json!([])),
        {"id": "service", "username": "service-account", "enabled": true},
    ]});
    old.write("realm-users.json", users);
    let people = [
        ("fine@example.com", LogsIn),
        ("argon@example.com", LogsIn),
        ("disabled@example.com", IsDisabled),
        ("app@example.com", NeedsCode),
        ("eight@example.com", IsRefused),
        ("key@example.com", IsRefused),
        ("google@example.com", IsRefused),
    ];
    let accounts = old.run(&recipe("Keycloak"), "NONE", &people).await;
    assert_eq!(accounts.len(), 8);
    let fine = json!({"id": "0190b5a0-0000-4000-8000-000000000001", "name": "Ada", "roles": ["user", "Back-office"],
        "created_at": "2021-03-04T05:06:07.123Z"});
    assert_fields(account(&accounts, "fine@example.com"), fine);
    assert!(account(&accounts, "argon@example.com")["email_verified_at"].is_null());
    // The Base32 of the text.
    assert_eq!(account(&accounts, "old-app@example.com")["totp_secret"], "MFRGGZDFMZTWQ2LKNNWG23TPOBYXE43U");
}
