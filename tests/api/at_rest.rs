//! What lies in the database and in Redis: nothing of a token, and nothing from which one could be made.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use deadpool_redis::redis;
use keyturn::clock::Clock;
use keyturn::mail::{Email, Page, ResetCause};
use keyturn::secret::hkdf_sha256;

use crate::support::servers::free_port;
use crate::support::{Backend, Deployment, PASSWORD, Server, Tokens, hex, random_hex, until};

both_backends! {
    no_part_of_a_token_is_at_rest,
    no_part_of_a_mail_is_at_rest,
    no_digest_or_salt_in_a_row_leads_to_its_token,
}

scaled_only! {
    what_redis_keeps_does_not_outlive_its_use,
}

/// Bytes of a refresh token that say nothing secret: version, session and generation.
const PUBLIC_BYTES: usize = 1 + 16 + 4;

/// Bytes of a refresh token's secret, the MAC follows.
const SECRET_BYTES: usize = 32;

async fn no_part_of_a_token_is_at_rest(server: Server) {
    let issued = use_everything(&server).await;
    let dump = Dump::of(&server);

    // The search finds what is there.
    let row = server.session(issued[0].session);
    for known in [row.token_digest.as_slice(), row.parent_digest.as_deref().unwrap()] {
        assert!(dump.holds(known), "a digest is not found: the dump is not whole, or not searched as it should be");
    }
    assert!(dump.contains(issued[0].email.as_bytes()));

    for tokens in &issued {
        // By every 16 characters of the text, and by every 8 bytes in any usual notation.
        let body = tokens.refresh.strip_prefix("ktr_").unwrap();
        let first_secret_character = PUBLIC_BYTES * 4 / 3;
        dump.assert_no_window(body.as_bytes().get(first_secret_character..).unwrap(), 16);
        for secret in tokens.refresh_bytes()[PUBLIC_BYTES..].windows(8) {
            assert!(!dump.holds(secret));
        }
        let (message, signature) = tokens.access.rsplit_once('.').unwrap();
        dump.assert_no_window(signature.as_bytes(), 16);
        dump.assert_no_window(message.split_once('.').unwrap().1.as_bytes(), 32);
        for part in URL_SAFE_NO_PAD.decode(signature).unwrap().windows(8) {
            assert!(!dump.holds(part));
        }
    }
    dump.assert_no_window(server.secret.as_bytes(), 16);
    assert!(!dump.contains(PASSWORD.as_bytes()));
    assert!(!dump.contains(b"ktr_") && !dump.contains(b"BEGIN PRIVATE KEY"));
}

async fn no_part_of_a_mail_is_at_rest(deployment: Arc<Deployment>) {
    // A mail server that is not there: the email waits.
    let relay = format!("smtp://127.0.0.1:{}", free_port());
    let server = Server::start(&deployment, &[("SMTP_URL", &relay)], Clock::default()).await;
    let mail = server.mail(&[]);
    let (now, token) = (server.clock.now(), random_hex::<32>());
    let email = Email::ResetPassword {
        link: mail.link(Page::ResetPassword, &token, now.plus(Duration::from_secs(60))),
        cause: ResetCause::Asked,
    };
    server.conn().write(|conn| mail.queue(conn, "person@example.com", None, &email, now)).unwrap();
    let dump = Dump::of(&server);
    assert!(dump.contains(b"person@example.com") && dump.contains(b"reset_password"), "the mail is not found");
    dump.assert_no_window(token.as_bytes(), 16);
    assert!(!dump.contains(b"Choose a new password"));
}

async fn no_digest_or_salt_in_a_row_leads_to_its_token(server: Server) {
    let first = server.register().await;
    let second = server.refreshed(&first).await;
    let row = server.session(first.session);
    let salt = row.rotation_salt.unwrap();
    let derive = |input: &[u8]| hkdf_sha256(input, &salt, &[first.session.0.as_bytes(), &1_u32.to_be_bytes()]).to_vec();
    let secret = |tokens: &Tokens| tokens.refresh_bytes()[PUBLIC_BYTES..][..SECRET_BYTES].to_vec();
    assert_eq!(derive(&secret(&first)), secret(&second), "this is how a successor is derived");
    for kept in [&row.token_digest, row.parent_digest.as_ref().unwrap(), &salt, &Vec::new()] {
        assert_ne!(derive(kept), secret(&second));
        assert_ne!(*kept, secret(&second));
    }
}

async fn what_redis_keeps_does_not_outlive_its_use(server: Server) {
    let tokens = use_everything(&server).await;
    let keys = server.redis_keys("*");
    let concern = |end: &str| keys.iter().filter(|key| key.starts_with("keyturn:{") && key.contains(end)).count();
    assert!(concern("}:entry") >= 1 && concern("}:revoked") == 1, "{keys:?}");
    assert!(keys.iter().any(|key| key.contains(&format!("{{{}}}", tokens[0].session))));
    // A random number, which says nothing of anybody.
    for key in keys.iter().filter(|key| *key != "keyturn:canary") {
        let millis: i64 = server.redis(&["PTTL", key]);
        // An access token's lifetime, and a minute for clocks that differ.
        // -2: it has ended meanwhile.
        assert!((1..=960_000).contains(&millis) || millis == -2, "{key} lives for {millis} ms");
    }
}

/// Everything that changes what is kept: rotations, a replay, a recovery, a rejected forgery, an end. Gives all tokens
/// that were handed out, first those of a session that lives.
async fn use_everything(server: &Server) -> Vec<Tokens> {
    let mut issued = vec![server.register().await];
    for _ in 0..5 {
        let next = server.refreshed(issued.last().unwrap()).await;
        issued.push(next);
    }
    let parent = issued[4].clone();
    issued.push(server.refreshed(&parent).await);
    server.advance(11);
    issued.push(server.refreshed(&parent).await);
    let current = issued.last().unwrap().clone();
    server.me(&current.access).await.assert_status(200);

    let ended = server.login(&current.email).await;
    let next = server.refreshed(&ended).await;
    let last = server.refreshed(&next).await;
    server.assert_reused(&ended.refresh).await;
    issued.extend([ended, next, last]);
    until("the use to be noted", async || server.session(current.session).access_seen.then_some(())).await;
    issued
}

/// All that is kept: rows as text and, on SQLite, the files as they are; keys and values of Redis.
struct Dump {
    bytes: Vec<u8>,
    /// Every eight bytes in a row, so that most searches end at once.
    eights: HashSet<[u8; 8]>,
}

impl Dump {
    fn of(server: &Server) -> Self {
        let mut bytes = Vec::new();
        for table in server.tables() {
            for row in server.rows(&table) {
                bytes.extend_from_slice(row.to_string().as_bytes());
            }
        }
        match server.backend {
            Backend::Embedded => {
                let files = std::fs::read_dir(server.data_dir()).unwrap().map(|file| file.unwrap().path());
                // A folder holds emails that were delivered into it.
                let files: Vec<_> = files.filter(|path| path.is_file()).collect();
                assert!(files.iter().any(|file| file.to_string_lossy().ends_with("-wal")), "{files:?}");
                files.iter().for_each(|file| bytes.extend(std::fs::read(file).unwrap()));
            }
            Backend::Scaled => {
                for key in server.redis_keys("*") {
                    let value: redis::Value = server.redis(&["GET", &key]);
                    let redis::Value::BulkString(value) = value else { panic!("{key} is {value:?}") };
                    bytes.extend_from_slice(key.as_bytes());
                    bytes.extend(value);
                }
            }
        }
        let eights = bytes.windows(8).map(|eight| eight.try_into().unwrap()).collect();
        Self { bytes, eights }
    }

    fn contains(&self, part: &[u8]) -> bool {
        part.first_chunk().is_none_or(|eight| self.eights.contains(eight))
            && self.bytes.windows(part.len()).any(|window| window == part)
    }

    /// Whether it holds these bytes, as they are, in hexadecimal digits or in base64.
    fn holds(&self, bytes: &[u8]) -> bool {
        let digits = hex(bytes);
        self.contains(bytes)
            || self.contains(digits.as_bytes())
            || self.contains(digits.to_uppercase().as_bytes())
            || (0..3).any(|skipped| {
                // Whole groups of three bytes, whatever came before them.
                let whole = &bytes[skipped..skipped + (bytes.len() - skipped) / 3 * 3];
                self.contains(STANDARD_NO_PAD.encode(whole).as_bytes())
                    || self.contains(URL_SAFE_NO_PAD.encode(whole).as_bytes())
            })
    }

    #[track_caller]
    fn assert_no_window(&self, text: &[u8], length: usize) {
        assert!(text.len() >= length);
        for window in text.windows(length) {
            assert!(!self.contains(window));
        }
    }
}
