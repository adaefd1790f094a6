//! Connections to Postgres, whose protocol is spoken here: one thread sends a statement and waits for its answer,
//! without a runtime or another thread in between.

mod answer;
mod certificate;
mod connect;
mod error;
mod password_file;
mod startup;
mod statement;
mod stream;
mod tls;

use std::any::Any;
use std::time::Duration;

use diesel::connection::statement_cache::StatementCache;
use diesel::connection::{
    AnsiTransactionManager, CacheSize, Connection, ConnectionSealed, DynInstrumentation, Instrumentation,
    InstrumentationEvent, LoadConnection, MultiConnectionHelper, SimpleConnection, StrQueryHelper, TransactionManager,
    TransactionManagerStatus,
};
use diesel::expression::QueryMetadata;
use diesel::migration::{CREATE_MIGRATIONS_TABLE, MigrationConnection};
use diesel::pg::{GetPgMetadataCache, Pg, PgMetadataCache};
use diesel::query_builder::bind_collector::RawBytesBindCollector;
use diesel::query_builder::{Query, QueryFragment, QueryId};
use diesel::result::{ConnectionError, ConnectionResult, QueryResult};
use diesel::sql_types::TypeMetadata;
use diesel::{RunQueryDsl as _, debug_query};

use crate::config::postgres_url::PostgresUrl;
use answer::{Answer, AnswerRow, AnswerRows};
use statement::{Session, Statement, TransactionState};

/// The time that closing a connection may take.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(100);

/// A connection to Postgres.
pub struct PgConnection {
    session: Session,
    statements: StatementCache<Pg, Statement>,
    transactions: AnsiTransactionManager,
    instrumentation: DynInstrumentation,
    types: PgMetadataCache,
}

impl PgConnection {
    /// Sets the longest time that the server may be silent while it carries out a statement. After it the connection is
    /// lost. There is no limit at first.
    ///
    /// # Errors
    /// The connection is lost.
    pub fn set_answer_timeout(&mut self, timeout: Duration) -> QueryResult<()> {
        let set = self.session.messages.set_timeout(Some(timeout));
        set.map_err(|error| error::lost(error.to_string()))
    }

    /// Asks for the notifications on `channel`, for [`Self::has_notification`].
    ///
    /// # Errors
    /// The connection is lost.
    pub fn listen(&mut self, channel: &str) -> QueryResult<()> {
        self.batch_execute(&format!("LISTEN {channel}"))
    }

    /// Waits for a notification for up to `timeout`. Returns whether there was one.
    ///
    /// # Errors
    /// The connection is lost.
    pub fn has_notification(&mut self, timeout: Duration) -> QueryResult<bool> {
        self.session.has_notification(timeout).map_err(|error| error::lost(error.to_string()))
    }

    /// Carries out `source` and returns all its rows.
    fn run<T: QueryFragment<Pg> + QueryId>(&mut self, source: &T) -> QueryResult<Answer> {
        let query = debug_query::<Pg, _>(source);
        self.instrumentation.on_connection_event(InstrumentationEvent::start_query(&query));
        let mut collector = RawBytesBindCollector::<Pg>::new();
        let answer = source.collect_binds(&mut collector, self, &Pg).and_then(|()| {
            let instrumentation = &mut *self.instrumentation;
            let create = |(), sql: &str, cache, types: &[_]| Statement::new(sql, cache, types);
            let types = &collector.metadata;
            let mut statement = self.statements.cached_statement(source, &Pg, types, (), create, instrumentation)?;
            self.session.execute(&mut statement, &collector.binds)
        });
        self.note_state(answer.is_err());
        let event = InstrumentationEvent::finish_query(&query, answer.as_ref().err());
        self.instrumentation.on_connection_event(event);
        answer
    }

    /// Tells Diesel's transactions what the server has told of the session's, as Diesel does for its own connections.
    fn note_state(&mut self, has_failed: bool) {
        let state = self.session.state;
        let status = AnsiTransactionManager::transaction_manager_status_mut(self);
        match state {
            TransactionState::Idle => *status = TransactionManagerStatus::Valid(Default::default()),
            TransactionState::Failed => status.set_requires_rollback_maybe_up_to_top_level(true),
            TransactionState::Open if !has_failed => status.set_requires_rollback_maybe_up_to_top_level(false),
            TransactionState::Open if matches!(status.transaction_depth(), Ok(Some(_))) => {}
            TransactionState::Open | TransactionState::Lost => status.set_in_error(),
        }
    }
}

impl Drop for PgConnection {
    /// Tells the server, so that it does not log a lost connection.
    fn drop(&mut self) {
        if self.session.state != TransactionState::Lost {
            let messages = &mut self.session.messages;
            messages.outgoing.clear();
            postgres_protocol::message::frontend::terminate(&mut messages.outgoing);
            // It is closed either way.
            let _ = messages.set_timeout(Some(CLOSE_TIMEOUT)).and_then(|()| messages.send());
        }
    }
}

impl SimpleConnection for PgConnection {
    fn batch_execute(&mut self, sql: &str) -> QueryResult<()> {
        let query = StrQueryHelper::new(sql);
        self.instrumentation.on_connection_event(InstrumentationEvent::start_query(&query));
        let outcome = self.session.execute_all(sql);
        self.note_state(outcome.is_err());
        let event = InstrumentationEvent::finish_query(&query, outcome.as_ref().err());
        self.instrumentation.on_connection_event(event);
        outcome
    }
}

impl ConnectionSealed for PgConnection {}

/// Checks the files that a URL or the environment names, without connecting.
///
/// # Errors
/// The URL is wrong, or a file cannot be used. The text names the file.
pub(super) fn check_files(url: &str) -> Result<(), String> {
    connect::check_files(&PostgresUrl::parse(url, |name| std::env::var(name).ok())?)
}

impl Connection for PgConnection {
    type Backend = Pg;
    type TransactionManager = AnsiTransactionManager;

    /// Connects to a server of `url`, with the parameters that the environment sets. Errors show no password.
    fn establish(url: &str) -> ConnectionResult<Self> {
        let url = PostgresUrl::parse(url, |name| std::env::var(name).ok());
        let url = url.map_err(|error| ConnectionError::BadConnection(format!("the database's URL: {error}")))?;
        let messages = connect::connect(&url).map_err(ConnectionError::BadConnection)?;
        Ok(Self {
            session: Session { messages, state: TransactionState::Idle },
            statements: StatementCache::new(),
            transactions: AnsiTransactionManager::default(),
            instrumentation: DynInstrumentation::default_instrumentation(),
            types: PgMetadataCache::new(),
        })
    }

    fn execute_returning_count<T: QueryFragment<Pg> + QueryId>(&mut self, source: &T) -> QueryResult<usize> {
        Ok(self.run(source)?.affected)
    }

    fn transaction_state(&mut self) -> &mut AnsiTransactionManager {
        &mut self.transactions
    }

    fn instrumentation(&mut self) -> &mut dyn Instrumentation {
        &mut *self.instrumentation
    }

    fn set_instrumentation(&mut self, instrumentation: impl Instrumentation) {
        self.instrumentation = instrumentation.into();
    }

    fn set_prepared_statement_cache_size(&mut self, size: CacheSize) {
        self.statements.set_cache_size(size);
    }
}

impl LoadConnection for PgConnection {
    type Cursor<'conn, 'query> = AnswerRows;
    type Row<'conn, 'query> = AnswerRow;

    fn load<'conn, 'query, T>(&'conn mut self, source: T) -> QueryResult<AnswerRows>
    where
        T: Query + QueryFragment<Pg> + QueryId + 'query,
        Pg: QueryMetadata<T::SqlType>,
    {
        self.run(&source).map(AnswerRows::new)
    }
}

impl GetPgMetadataCache for PgConnection {
    fn get_metadata_cache(&mut self) -> &mut PgMetadataCache {
        &mut self.types
    }
}

impl MultiConnectionHelper for PgConnection {
    fn to_any<'a>(lookup: &mut <Pg as TypeMetadata>::MetadataLookup) -> &mut (dyn Any + 'a) {
        lookup.as_any()
    }

    fn from_any(lookup: &mut dyn Any) -> Option<&mut <Pg as TypeMetadata>::MetadataLookup> {
        match lookup.downcast_mut::<Self>() {
            Some(conn) => Some(conn),
            None => None,
        }
    }
}

impl MigrationConnection for PgConnection {
    fn setup(&mut self) -> QueryResult<usize> {
        diesel::sql_query(CREATE_MIGRATIONS_TABLE).execute(self)
    }
}
