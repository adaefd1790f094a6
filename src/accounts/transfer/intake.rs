//! The lines of a file, read in batches of accounts that may be added.

use std::collections::HashMap;
use std::io::{self, BufRead, Read as _};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::BATCH;
use super::entry::{Entry, Newcomer};
use crate::clock::Timestamp;
use crate::random::Random;

/// Bytes of a line at the most.
const MAX_LINE: usize = 64 * 1024;

/// What some editors and systems put at the start of a file to say that it is UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads accounts line by line. Each line that is not blank becomes an account or a rejection: none is lost.
pub struct Intake<R> {
    input: R,
    now: Timestamp,
    random: Random,
    line: u64,
    bytes: u64,
    /// The lines of the accounts so far, by address (a digest of it, which is shorter) and by id.
    addresses: HashMap<[u8; 16], u64>,
    ids: HashMap<Uuid, u64>,
}

/// What became of some lines that follow one another.
#[derive(Default)]
pub struct Batch {
    pub newcomers: Vec<Newcomer>,
    pub rejections: Vec<Rejection>,
    /// Lines and bytes up to here, from the start of the file.
    pub lines: u64,
    pub bytes: u64,
}

/// A line that is not imported.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Rejection {
    /// Counted from 1.
    pub line: u64,
    pub reason: String,
    /// What the line says of its address, to find it again; never its password hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

impl<R: BufRead> Intake<R> {
    /// `now` is the time of the import.
    pub fn new(input: R, now: Timestamp, random: Random) -> Self {
        Self { input, now, random, line: 0, bytes: 0, addresses: HashMap::new(), ids: HashMap::new() }
    }

    /// The next lines, up to [`BATCH`]; `None` at the end.
    pub fn next_batch(&mut self) -> io::Result<Option<Batch>> {
        let mut batch = Batch::default();
        let first = self.line;
        while self.line.saturating_sub(first) < u64::try_from(BATCH).unwrap_or(u64::MAX)
            && let Some(text) = self.next_line()?
        {
            match self.read(&text) {
                Ok(Some(newcomer)) => batch.newcomers.push(newcomer),
                Ok(None) => {}
                Err(reason) => {
                    let email = address_of(&text);
                    batch.rejections.push(Rejection { line: self.line, reason, email });
                }
            }
        }
        (batch.lines, batch.bytes) = (self.line, self.bytes);
        Ok((self.line > first).then_some(batch))
    }

    /// The account on a line, `None` for a blank one, or why there is none.
    fn read(&mut self, text: &[u8]) -> Result<Option<Newcomer>, String> {
        if text.len() > MAX_LINE {
            return Err(format!("is longer than {MAX_LINE} bytes"));
        }
        if text.trim_ascii().is_empty() {
            return Ok(None);
        }
        let entry = Entry::parse(text).map_err(|error| error.to_string())?;
        let newcomer = Newcomer::of(entry, self.now, self.random).map_err(|error| error.to_string())?;
        self.refuse_twins(&newcomer)?;
        Ok(Some(newcomer))
    }

    /// Refuses an account whose address or id an earlier line has.
    fn refuse_twins(&mut self, newcomer: &Newcomer) -> Result<(), String> {
        let digest: [u8; 32] = Sha256::digest(newcomer.address()).into();
        let (address, _) = digest.split_first_chunk().ok_or("has no digest")?;
        if let Some(line) = self.addresses.get(address) {
            return Err(format!("has the same address as line {line}"));
        }
        if let Some(id) = newcomer.own_id() {
            if let Some(line) = self.ids.get(&id) {
                return Err(format!("has the same id as line {line}"));
            }
            self.ids.insert(id, self.line);
        }
        self.addresses.insert(*address, self.line);
        Ok(())
    }

    /// The next line, of which no more than a byte over [`MAX_LINE`] is kept.
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
        self.line = self.line.saturating_add(1);
        if self.line == 1 && text.starts_with(BYTE_ORDER_MARK) {
            text.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(Some(text))
    }
}

/// The address that a line names, if it can be read at all.
fn address_of(text: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Addressed {
        email: String,
    }
    let Addressed { email } = serde_json::from_slice(text).ok()?;
    Some(email)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intake(text: &str) -> Intake<&[u8]> {
        Intake::new(text.as_bytes(), Timestamp::from_millis(1_700_000_000_000), Random)
    }

    /// The addresses of the accounts, and the lines and reasons of the rejections.
    fn read_all(text: &str) -> (Vec<String>, Vec<(u64, String)>) {
        let (mut intake, mut accounts, mut rejected) = (intake(text), Vec::new(), Vec::new());
        while let Some(batch) = intake.next_batch().unwrap() {
            accounts.extend(batch.newcomers.iter().map(|newcomer| newcomer.address().to_owned()));
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
        assert!(intake("").next_batch().unwrap().is_none());
    }

    #[test]
    fn a_line_that_is_too_long_costs_neither_memory_nor_the_next_line() {
        let account = r#"{"email":"a@example.com"}"#;
        let line = format!("{account}{}", " ".repeat(MAX_LINE - account.len()));
        assert_eq!(read_all(&line).0, ["a@example.com"]);
        assert_eq!(read_all(&format!("{line}\n")).0, ["a@example.com"]);
        for more in [" ", "\r ", "  ", &" ".repeat(MAX_LINE)] {
            let text = format!("{line}{more}\n{{\"email\":\"b@example.com\"}}\n");
            let mut intake = intake(&text);
            let batch = intake.next_batch().unwrap().unwrap();
            assert_eq!((batch.lines, batch.bytes), (2, u64::try_from(text.len()).unwrap()));
            assert_eq!(read_all(&text).0, ["b@example.com"], "{more:?}");
            assert_eq!(read_all(&text).1, [(1, "is longer than 65536 bytes".to_owned())]);
        }
    }

    #[test]
    fn the_second_of_two_with_one_address_or_id_is_rejected() {
        let id = r#""id":"0190b5a0-0000-7000-8000-000000000001""#;
        let text = [
            r#"{"email":"a@example.com","password_hash":"?"}"#.to_owned(),
            r#"{"email":"A@example.com"}"#.to_owned(),
            r#"{"email":"a@EXAMPLE.com"}"#.to_owned(),
            format!(r#"{{"email":"b@example.com",{id}}}"#),
            format!(r#"{{"email":"c@example.com",{id}}}"#),
            r#"{"email":"c@example.com"}"#.to_owned(),
        ];
        let (accounts, rejected) = read_all(&text.join("\n"));
        assert_eq!(accounts, ["a@example.com", "b@example.com", "c@example.com"]);
        let twins = [(3, "has the same address as line 2".to_owned()), (5, "has the same id as line 4".to_owned())];
        assert_eq!(rejected[1..], twins);
        assert_eq!(rejected[0].0, 1);
    }

    #[test]
    fn a_rejection_names_the_address_and_never_the_hash() {
        let text = r#"{"password_hash":"$md5$sesame","email":"a@example.com","extra":1}"#;
        let batch = intake(text).next_batch().unwrap().unwrap();
        let written = serde_json::to_string(&batch.rejections[0]).unwrap();
        assert!(written.contains("a@example.com") && !written.contains("sesame"), "{written}");
    }

    #[test]
    fn a_batch_is_no_larger_than_a_transaction_should_be() {
        let text: String = (0..2 * BATCH + 1).map(|n| format!("{{\"email\":\"p{n}@example.com\"}}\n")).collect();
        let mut intake = intake(&text);
        let mut sizes = Vec::new();
        while let Some(batch) = intake.next_batch().unwrap() {
            sizes.push(batch.newcomers.len());
        }
        assert_eq!(sizes, [BATCH, BATCH, 1]);
    }
}
