//! Reads the lines of a file in batches of accounts to import.

use std::collections::HashMap;
use std::io::{self, BufRead, Read as _};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::entry::{Entry, ImportedAccount};
use super::{BATCH, format};
use crate::random::Random;
use crate::types::{Timestamp, UserId};

/// The longest line, in bytes.
const MAX_LINE: usize = 64 * 1024;

/// What some editors and systems put at the start of a file in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads accounts line by line. Each line that is not blank becomes an account or a rejection.
pub(crate) struct AccountReader<R> {
    input: R,
    now: Timestamp,
    random: Random,
    /// Lines read.
    lines: u64,
    /// Bytes read.
    bytes: u64,
    /// Whether a line that is not blank was read.
    has_begun: bool,
    /// The lines of all accounts so far by email address, of which a digest is shorter.
    emails: HashMap<[u8; 16], u64>,
    /// The lines of all accounts so far that had an id.
    ids: HashMap<UserId, u64>,
}

/// The accounts and rejections of consecutive lines.
#[derive(Default)]
pub(crate) struct Batch {
    pub accounts: Vec<ImportedAccount>,
    pub rejections: Vec<Remark>,
    /// Accounts that are imported without the password that the file has for them.
    pub without_password: Vec<Remark>,
    /// Lines read since the start of the file.
    pub lines: u64,
    /// Bytes read since the start of the file.
    pub bytes: u64,
}

/// A line that is not imported, or not with all that it has.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Remark {
    /// Counted from 1.
    pub line: u64,
    pub reason: String,
    /// The line's email address, to find it again; never its password hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

impl<R: BufRead> AccountReader<R> {
    /// Creates a reader of `input`. `now` is the time of the import.
    pub(crate) fn new(input: R, now: Timestamp, random: Random) -> Self {
        Self { input, now, random, lines: 0, bytes: 0, has_begun: false, emails: HashMap::new(), ids: HashMap::new() }
    }

    /// Reads up to [`BATCH`] lines. Returns `None` at the end.
    ///
    /// # Errors
    /// The input cannot be read, or is no file of lines: the text says how to convert it.
    pub(crate) fn next_batch(&mut self) -> io::Result<Option<Batch>> {
        let mut batch = Batch::default();
        let first = self.lines;
        while self.lines.saturating_sub(first) < BATCH.into()
            && let Some(text) = self.next_line()?
        {
            if !self.has_begun && !text.trim_ascii().is_empty() {
                self.has_begun = true;
                if let Some(refusal) = format::refusal(&text) {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, refusal));
                }
            }
            match self.read(&text) {
                Ok(Some(account)) => {
                    if let Some(reason) = account.without_password() {
                        batch.without_password.push(self.remark(reason.to_string(), &text));
                    }
                    batch.accounts.push(account);
                }
                Ok(None) => {}
                Err(reason) => batch.rejections.push(self.remark(reason, &text)),
            }
        }
        batch.lines = self.lines;
        batch.bytes = self.bytes;
        Ok((self.lines > first).then_some(batch))
    }

    /// Creates a remark on the line that was read last.
    fn remark(&self, reason: String, text: &[u8]) -> Remark {
        Remark { line: self.lines, reason, email: find_email(text) }
    }

    /// Returns the account on a line; `None` for a blank line.
    fn read(&mut self, text: &[u8]) -> Result<Option<ImportedAccount>, String> {
        if text.len() > MAX_LINE {
            return Err(format!("is longer than {MAX_LINE} bytes"));
        }
        if text.trim_ascii().is_empty() {
            return Ok(None);
        }
        let entry = Entry::parse(text).map_err(|error| error.to_string())?;
        let account = ImportedAccount::new(entry, self.now, self.random).map_err(|error| error.to_string())?;
        self.refuse_duplicate(&account)?;
        Ok(Some(account))
    }

    /// Refuses an account whose email address or id an earlier line has.
    fn refuse_duplicate(&mut self, account: &ImportedAccount) -> Result<(), String> {
        let digest: [u8; 32] = Sha256::digest(account.email_normalized()).into();
        let (email, _) = digest.split_first_chunk().ok_or("has no digest")?;
        if let Some(line) = self.emails.get(email) {
            return Err(format!("has the same email address as line {line}"));
        }
        if let Some(id) = account.own_id() {
            if let Some(line) = self.ids.get(&id) {
                return Err(format!("has the same id as line {line}"));
            }
            self.ids.insert(id, self.lines);
        }
        self.emails.insert(*email, self.lines);
        Ok(())
    }

    /// Reads the next line, of which at most one byte more than [`MAX_LINE`] is kept.
    fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut text = Vec::new();
        let most = u64::try_from(MAX_LINE).unwrap_or(u64::MAX).saturating_add(1);
        let mut read = self.input.by_ref().take(most).read_until(b'\n', &mut text)?;
        if read == 0 {
            return Ok(None);
        }
        // Neither the end of the line nor that of the file was within reach.
        if text.len() > MAX_LINE && !text.ends_with(b"\n") {
            read = read.saturating_add(self.input.skip_until(b'\n')?);
        } else {
            while text.pop_if(|byte| matches!(byte, b'\r' | b'\n')).is_some() {}
        }
        self.bytes = self.bytes.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        self.lines = self.lines.saturating_add(1);
        if self.lines == 1 && text.starts_with(BYTE_ORDER_MARK) {
            text.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(Some(text))
    }
}

/// Finds the email address in a line, if it is JSON at all.
fn find_email(text: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct WithEmail {
        email: String,
    }
    let WithEmail { email } = serde_json::from_slice(text).ok()?;
    Some(email)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(text: &str) -> AccountReader<&[u8]> {
        AccountReader::new(text.as_bytes(), Timestamp::from_millis(1_700_000_000_000), Random)
    }

    /// Returns the email addresses of the accounts, and the lines and reasons of the rejections.
    fn read_all(text: &str) -> (Vec<String>, Vec<(u64, String)>) {
        let mut reader = reader(text);
        let (mut accounts, mut rejected) = (Vec::new(), Vec::new());
        while let Some(batch) = reader.next_batch().unwrap() {
            accounts.extend(batch.accounts.iter().map(|account| account.email_normalized().to_owned()));
            rejected.extend(batch.rejections.into_iter().map(|rejection| (rejection.line, rejection.reason)));
        }
        (accounts, rejected)
    }

    #[test]
    fn every_line_is_an_account_or_a_rejection_by_its_number() {
        let text = "\u{feff}{\"email\":\"a@example.com\"}\r\n\n  \nnonsense\n{\"email\":\"b@example.com\"}";
        let (accounts, rejected) = read_all(text);
        assert_eq!(accounts, ["a@example.com", "b@example.com"]);
        assert_eq!(rejected, [(4, "is not JSON, from column 2 on".to_owned())]);
        assert!(reader("").next_batch().unwrap().is_none());
    }

    #[test]
    fn a_line_that_is_too_long_costs_neither_memory_nor_the_next_line() {
        let account = r#"{"email":"a@example.com"}"#;
        let line = format!("{account}{}", " ".repeat(MAX_LINE - account.len()));
        assert_eq!(read_all(&line).0, ["a@example.com"]);
        assert_eq!(read_all(&format!("{line}\n")).0, ["a@example.com"]);
        for more in [" ", "\r ", "  ", &" ".repeat(MAX_LINE)] {
            let text = format!("{line}{more}\n{{\"email\":\"b@example.com\"}}\n");
            let mut reader = reader(&text);
            let batch = reader.next_batch().unwrap().unwrap();
            assert_eq!((batch.lines, batch.bytes), (2, u64::try_from(text.len()).unwrap()));
            assert_eq!(read_all(&text).0, ["b@example.com"], "{more:?}");
            assert_eq!(read_all(&text).1, [(1, "is longer than 65536 bytes".to_owned())]);
        }
    }

    #[test]
    fn the_second_of_two_with_one_email_address_or_id_is_rejected() {
        let id = r#""id":"0190b5a0-0000-7000-8000-000000000001""#;
        let text = [
            r#"{"email":"a@example.com","password_hash":"$2b$04$short"}"#.to_owned(),
            r#"{"email":"A@example.com"}"#.to_owned(),
            r#"{"email":"a@EXAMPLE.com"}"#.to_owned(),
            format!(r#"{{"email":"b@example.com",{id}}}"#),
            format!(r#"{{"email":"c@example.com",{id}}}"#),
            r#"{"email":"c@example.com"}"#.to_owned(),
        ];
        let (accounts, rejected) = read_all(&text.join("\n"));
        assert_eq!(accounts, ["a@example.com", "b@example.com", "c@example.com"]);
        let duplicates =
            [(3, "has the same email address as line 2".to_owned()), (5, "has the same id as line 4".to_owned())];
        assert_eq!(rejected[1..], duplicates);
        assert_eq!(rejected[0].0, 1);
    }

    #[test]
    fn a_rejection_names_the_email_address_and_never_the_hash() {
        let text = r#"{"password_hash":"$md5$sesame","email":"a@example.com","extra":1}"#;
        let batch = reader(text).next_batch().unwrap().unwrap();
        let written = serde_json::to_string(&batch.rejections[0]).unwrap();
        assert!(written.contains("a@example.com") && !written.contains("sesame"), "{written}");
    }

    #[test]
    fn an_account_without_its_password_is_named_once_and_its_hash_never() {
        let text = [
            r#"{"email":"a@example.com"}"#,
            r#"{"email":"b@example.com","password_hash":"$md5$sesame"}"#,
            r#"{"email":"B@example.com","password_hash":"$md5$sesame"}"#,
        ];
        let batch = reader(&text.join("\n")).next_batch().unwrap().unwrap();
        assert_eq!((batch.accounts.len(), batch.rejections.len(), batch.without_password.len()), (2, 1, 1));
        let written = serde_json::to_string(&batch.without_password[0]).unwrap();
        assert!(written.starts_with("{\"line\":2,") && written.contains("b@example.com"), "{written}");
        assert!(!written.contains("sesame"), "{written}");
    }

    #[test]
    fn a_batch_is_no_larger_than_a_transaction_should_be() {
        let size = usize::from(BATCH);
        let text: String = (0..2 * size + 1).map(|n| format!("{{\"email\":\"p{n}@example.com\"}}\n")).collect();
        let mut reader = reader(&text);
        let mut sizes = Vec::new();
        while let Some(batch) = reader.next_batch().unwrap() {
            sizes.push(batch.accounts.len());
        }
        assert_eq!(sizes, [size, size, 1]);
    }
}
