//! Statements are sent, and their answers received.

use std::io;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::statement_cache::PrepareForCache;
use diesel::pg::PgTypeMetadata;
use diesel::result::{Error, QueryResult};
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::IsNull;
use postgres_protocol::message::backend::{CommandCompleteBody, DataRowBody, Message, RowDescriptionBody};
use postgres_protocol::message::frontend;

use super::answer::{Answer, Column};
use super::error::{ServerError, lost};
use super::stream::Messages;

/// Parameters and results are sent in the binary format.
const BINARY: i16 = 1;

/// A statement, which is prepared when it is sent for the first time.
pub(super) struct Statement {
    /// Empty for one that is not kept.
    name: String,
    /// Empty once it is prepared.
    sql: String,
    types: Vec<u32>,
    columns: Arc<[Column]>,
    is_prepared: bool,
}

impl Statement {
    /// Creates a statement. Sends nothing.
    pub(super) fn new(sql: &str, cache: PrepareForCache, types: &[PgTypeMetadata]) -> QueryResult<Self> {
        let types: Result<Vec<u32>, _> = types.iter().map(PgTypeMetadata::oid).collect();
        let name = match cache {
            PrepareForCache::Yes { counter } => format!("keyturn_{counter}"),
            PrepareForCache::No => String::new(),
        };
        Ok(Self {
            name,
            sql: sql.to_owned(),
            types: types.map_err(|error| Error::SerializationError(Box::new(error)))?,
            columns: Arc::default(),
            is_prepared: false,
        })
    }

    /// Writes the messages that prepare the statement, if it is not, and execute it.
    fn write(&self, binds: &[Option<Vec<u8>>], messages: &mut Messages) -> QueryResult<()> {
        let out = &mut messages.outgoing;
        if !self.is_prepared {
            frontend::parse(&self.name, &self.sql, self.types.iter().copied(), out).map_err(unsendable)?;
            frontend::describe(b'S', &self.name, out).map_err(unsendable)?;
        }
        let value = |bind: &Option<Vec<u8>>, out: &mut bytes::BytesMut| {
            Ok(bind.as_ref().map_or(IsNull::Yes, |bytes| {
                out.extend_from_slice(bytes);
                IsNull::No
            }))
        };
        frontend::bind("", &self.name, [BINARY], binds, value, [BINARY], out).map_err(|error| match error {
            frontend::BindError::Conversion(error) => Error::SerializationError(error),
            frontend::BindError::Serialization(error) => unsendable(error),
        })?;
        frontend::execute("", 0, out).map_err(unsendable)?;
        frontend::sync(out);
        Ok(())
    }
}

fn unsendable(error: io::Error) -> Error {
    Error::SerializationError(Box::new(error))
}

/// The state of a session's transaction, after the answer to a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TransactionState {
    Idle,
    Open,
    Failed,
    /// The connection is lost.
    Lost,
}

/// A session, on which one statement is carried out after the other.
pub(super) struct Session {
    pub(super) messages: Messages,
    pub(super) state: TransactionState,
}

/// What has been received of an answer.
#[derive(Default)]
struct Received {
    rows: Vec<DataRowBody>,
    values: Vec<Option<std::ops::Range<usize>>>,
    affected: usize,
    error: Option<ServerError>,
}

impl Session {
    /// Carries out one statement and receives its whole answer, in one round trip.
    pub(super) fn execute(&mut self, statement: &mut Statement, binds: &[Option<Vec<u8>>]) -> QueryResult<Answer> {
        if let Err(error) = statement.write(binds, &mut self.messages) {
            self.messages.outgoing.clear();
            return Err(error);
        }
        let received = self.exchange(Some(statement))?;
        let columns = statement.columns.clone();
        Ok(Answer { columns, rows: received.rows, values: received.values, affected: received.affected })
    }

    /// Carries out statements without parameters. Their rows are dropped.
    pub(super) fn execute_all(&mut self, sql: &str) -> QueryResult<()> {
        frontend::query(sql, &mut self.messages.outgoing).map_err(unsendable)?;
        self.exchange(None).map(drop)
    }

    /// Waits for a notification for up to `timeout`. Returns whether there was one.
    pub(super) fn has_notification(&mut self, timeout: Duration) -> io::Result<bool> {
        self.messages.set_timeout(Some(timeout))?;
        loop {
            match self.messages.receive() {
                Ok(Message::NotificationResponse(_)) => return Ok(true),
                Ok(Message::NoticeResponse(_) | Message::ParameterStatus(_)) => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(false),
                answer => {
                    self.state = TransactionState::Lost;
                    return Err(answer.err().unwrap_or_else(unexpected));
                }
            }
        }
    }

    /// Sends what was written and receives the answer to it.
    fn exchange(&mut self, statement: Option<&mut Statement>) -> QueryResult<Received> {
        if self.state == TransactionState::Lost {
            self.messages.outgoing.clear();
            return Err(lost("the connection was lost before".to_owned()));
        }
        let sent = self.messages.send();
        let mut received = Received::default();
        let answered = match sent {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(error),
            // What the server has said before it closed the connection tells more than that nothing can be sent.
            sent => self.receive(statement, &mut received).and_then(|state| sent.map(|()| state)),
        };
        match (received.error.take(), answered) {
            (None, Ok(state)) => {
                self.state = state;
                Ok(received)
            }
            (Some(error), Ok(state)) => {
                self.state = state;
                Err(error.of_statement())
            }
            (error, Err(reason)) => {
                self.state = TransactionState::Lost;
                Err(error.map_or_else(|| lost(reason.to_string()), ServerError::of_lost_connection))
            }
        }
    }

    fn receive(
        &mut self,
        mut statement: Option<&mut Statement>,
        received: &mut Received,
    ) -> io::Result<TransactionState> {
        loop {
            match self.messages.receive()? {
                Message::DataRow(row) => received.add(row, statement.as_deref())?,
                Message::BindComplete
                | Message::ParameterDescription(_)
                | Message::NoData
                | Message::EmptyQueryResponse
                | Message::NoticeResponse(_)
                | Message::ParameterStatus(_)
                | Message::NotificationResponse(_) => {}
                Message::CommandComplete(command) => received.affected = affected_rows(&command)?,
                Message::ParseComplete => {
                    if let Some(statement) = statement.as_deref_mut()
                        && !statement.name.is_empty()
                    {
                        statement.is_prepared = true;
                        statement.sql = String::new();
                    }
                }
                Message::RowDescription(description) => {
                    if let Some(statement) = statement.as_deref_mut() {
                        statement.columns = columns(&description)?;
                    }
                }
                Message::ErrorResponse(body) => received.error = Some(ServerError::read(&body)?),
                Message::ReadyForQuery(ready) => {
                    return match ready.status() {
                        b'I' => Ok(TransactionState::Idle),
                        b'T' => Ok(TransactionState::Open),
                        b'E' => Ok(TransactionState::Failed),
                        _ => Err(unexpected()),
                    };
                }
                _ => return Err(unexpected()),
            }
        }
    }
}

impl Received {
    /// Adds a row, unless it is one of statements without parameters.
    fn add(&mut self, row: DataRowBody, statement: Option<&Statement>) -> io::Result<()> {
        let Some(statement) = statement else { return Ok(()) };
        let before = self.values.len();
        let mut ranges = row.ranges();
        while let Some(range) = ranges.next()? {
            self.values.push(range);
        }
        if self.values.len().saturating_sub(before) != statement.columns.len() {
            return Err(unexpected());
        }
        self.rows.push(row);
        Ok(())
    }
}

fn columns(description: &RowDescriptionBody) -> io::Result<Arc<[Column]>> {
    let column = |field: postgres_protocol::message::backend::Field<'_>| {
        let type_oid = NonZeroU32::new(field.type_oid()).ok_or_else(unexpected)?;
        Ok(Column { name: field.name().into(), type_oid })
    };
    Ok(description.fields().map(column).collect::<Vec<_>>()?.into())
}

/// Returns the number at the end of a tag such as `INSERT 0 5`, and zero for one without, such as `BEGIN`.
fn affected_rows(command: &CommandCompleteBody) -> io::Result<usize> {
    Ok(command.tag()?.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or_default())
}

fn unexpected() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the server sent what was not expected")
}
