//! Writes the entries of sessions. Entries that nobody waits for are queued: those that arrive while a call is under
//! way are written together by the next one.

use std::sync::{Arc, Mutex, PoisonError};

use deadpool_redis::redis::Script;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::lane::Lane;
use super::{entry_key, millis};
use crate::cache::bounded::BoundedMap;
use crate::cache::{CacheError, EntryVersion, NewEntry, Superseded};
use crate::types::{Jti, SessionId, Timestamp};

/// The least number of sessions whose entries could not be written that are remembered. They take about 4 MB.
const MAX_UNWRITTEN: usize = 32 * 1024;

/// The maximum number of entries in the queue. Those beyond it are not written.
const MAX_QUEUED: usize = 16 * 1024;

/// The maximum number of entries that one call writes.
const ENTRIES_PER_CALL: usize = 256;

/// The maximum number of calls at the same time.
const MAX_CALLS: usize = 256;

/// Stores entries, each unless there is a newer one, and adds the tokens that were superseded to the tokens of the
/// entry that is there. A value consists of the version of the entry, in a form in which a later version is greater as
/// text (32 bytes), the number of superseded tokens (1), up to 8 of these, the newest first (24 bytes each: id, time
/// from which it is superseded; of two times for one token the earlier one), and the entry. KEYS: the entries. ARGV,
/// four for each entry: version, superseded token or nothing, entry, TTL in ms.
const PUT: &str = r"
local call, sub = redis.call, string.sub
for i, key in ipairs(KEYS) do
  local version, token, entry, ttl = ARGV[4 * i - 3], ARGV[4 * i - 2], ARGV[4 * i - 1], ARGV[4 * i]
  local present, tokens = call('GETRANGE', key, '0', '224'), ''
  if present ~= '' then tokens = sub(present, 34, 33 + 24 * string.byte(present, 33)) end
  local rest = 33 + #tokens
  local at = token ~= '' and string.find(tokens, sub(token, 1, 16), 1, true)
  if at and struct.unpack('>i8', token, 17) < struct.unpack('>i8', tokens, at + 16) then
    tokens, at = sub(tokens, 1, at - 1) .. sub(tokens, at + 24), nil
  end
  if token ~= '' and not at then tokens = sub(token .. tokens, 1, 192) end
  tokens = string.char(#tokens / 24) .. tokens
  if sub(present, 1, 32) > version then
    call('SET', key, sub(present, 1, 32) .. tokens .. call('GETRANGE', key, rest, '-1'), 'KEEPTTL')
  else
    call('SET', key, version .. tokens .. entry, 'PX', ttl)
  end
end
return 1
";

/// The length of the version of an entry: two numbers of 16 hexadecimal digits.
const VERSION_LENGTH: usize = 32;

/// The length of a superseded token: its id and a time in milliseconds.
const TOKEN_LENGTH: usize = 24;

/// The writer of entries.
pub(super) struct Entries {
    prefix: String,
    is_cluster: bool,
    writes: Arc<Lane>,
    put: Script,
    /// The versions of entries that this server could not write. An older entry of such a session may be read still,
    /// and is out of date.
    unwritten: BoundedMap<SessionId, String>,
    queue: Mutex<Vec<NewEntry>>,
    queued: Notify,
    /// Held while queued entries are written.
    writing: tokio::sync::Mutex<()>,
}

impl Entries {
    pub(super) fn new(prefix: &str, is_cluster: bool, writes: Arc<Lane>) -> Self {
        Self {
            prefix: prefix.to_owned(),
            is_cluster,
            writes,
            put: Script::new(PUT),
            unwritten: BoundedMap::new(MAX_UNWRITTEN),
            queue: Mutex::default(),
            queued: Notify::new(),
            writing: tokio::sync::Mutex::default(),
        }
    }

    /// Writes an entry.
    pub(super) async fn put(&self, entry: NewEntry) -> Result<(), CacheError> {
        self.put_all(&[entry]).await
    }

    /// Queues entries.
    pub(super) fn queue(&self, entries: Vec<NewEntry>) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.len() + entries.len() > MAX_QUEUED {
            drop(queue);
            self.remember_unwritten(&entries);
            return;
        }
        let was_empty = queue.is_empty();
        queue.extend(entries);
        if was_empty {
            self.queued.notify_one();
        }
    }

    /// Writes what is queued until the future is dropped.
    pub(super) async fn run(self: &Arc<Self>) {
        loop {
            self.queued.notified().await;
            self.flush().await;
        }
    }

    /// Waits until everything that is queued was written, or could not be.
    pub(super) async fn flush(self: &Arc<Self>) {
        let _writing = self.writing.lock().await;
        loop {
            let entries = std::mem::take(&mut *self.queue.lock().unwrap_or_else(PoisonError::into_inner));
            if entries.is_empty() {
                return;
            }
            self.write(entries).await;
        }
    }

    async fn write(self: &Arc<Self>, mut entries: Vec<NewEntry>) {
        // In a cluster each session has a slot of its own, and a call cannot span slots.
        let size = if self.is_cluster { 1 } else { ENTRIES_PER_CALL };
        let mut calls = JoinSet::new();
        while !entries.is_empty() {
            let rest = entries.split_off(size.min(entries.len()));
            let chunk = std::mem::replace(&mut entries, rest);
            if calls.len() >= MAX_CALLS {
                calls.join_next().await;
            }
            let writer = Arc::clone(self);
            // A failure is remembered, and a check asks the database then.
            calls.spawn(async move { writer.put_all(&chunk).await });
        }
        calls.join_all().await;
    }

    async fn put_all(&self, entries: &[NewEntry]) -> Result<(), CacheError> {
        let mut call = self.put.prepare_invoke();
        for entry in entries {
            call.key(entry_key(&self.prefix, entry.session)).arg(version_text(entry.version));
            match &entry.superseded {
                Some(token) => call.arg(&superseded_bytes(token)[..]),
                None => call.arg(""),
            };
            call.arg(&entry.bytes[..]).arg(millis(entry.ttl));
        }
        let put = self.writes.call(async |connection| call.invoke_async::<i64>(connection).await).await;
        match put {
            Ok(_) => self.forget_unwritten(entries),
            Err(_) => self.remember_unwritten(entries),
        }
        put.map(|_| ())
    }

    /// Returns when the token `jti` is superseded, and the entry, from the value that was read. The entry is `None` if
    /// it is older than one that could not be written.
    pub(super) fn parse<'a>(
        &self,
        session: SessionId,
        jti: Jti,
        value: &'a [u8],
    ) -> Option<(Option<Timestamp>, Option<&'a [u8]>)> {
        let (version, rest) = value.split_at_checked(VERSION_LENGTH)?;
        let (count, rest) = rest.split_first()?;
        let (tokens, entry) = rest.split_at_checked(TOKEN_LENGTH * usize::from(*count))?;
        let is_current = || self.unwritten.get(&session).is_none_or(|unwritten| version >= unwritten.as_bytes());
        let token = tokens.chunks_exact(TOKEN_LENGTH).find_map(|token| token.strip_prefix(&jti.0.as_bytes()[..]));
        let from = token.and_then(|from| Some(Timestamp::from_millis(i64::from_be_bytes(from.try_into().ok()?))));
        Some((from, is_current().then_some(entry)))
    }

    fn remember_unwritten(&self, entries: &[NewEntry]) {
        for entry in entries {
            let version = version_text(entry.version);
            self.unwritten.update(entry.session, |known| (known < Some(&version)).then_some(version));
        }
    }

    fn forget_unwritten(&self, entries: &[NewEntry]) {
        for entry in entries {
            if self.unwritten.get(&entry.session).is_some_and(|unwritten| unwritten <= version_text(entry.version)) {
                self.unwritten.remove(&entry.session);
            }
        }
    }
}

fn superseded_bytes(token: &Superseded) -> [u8; TOKEN_LENGTH] {
    let mut bytes = [0; TOKEN_LENGTH];
    let (id, from) = bytes.split_at_mut(16);
    id.copy_from_slice(token.jti.0.as_bytes());
    from.copy_from_slice(&token.from.as_millis().to_be_bytes());
    bytes
}

fn version_text(version: EntryVersion) -> String {
    format!("{:016x}{:016x}", version.generation, version.revision)
}
