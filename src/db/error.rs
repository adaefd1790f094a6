//! What can go wrong with a database, for those who do not speak SQL.

use diesel::result::{ConnectionError, DatabaseErrorKind, Error};

pub type DbResult<T> = Result<T, DbError>;

/// A statement that was not carried out. Opaque but for what a caller can act on.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DbError {
    /// A uniqueness rule was broken; holds the constraint's name where the engine tells it.
    #[error("the value is taken ({constraint})")]
    Taken { constraint: String },
    /// The database could not be asked, or not in time. Whether a write took place is not known.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The statement or its result makes no sense: a defect, or a schema that is not ours.
    #[error("the database gave an unexpected answer: {0}")]
    Unexpected(String),
}

impl DbError {
    /// Whether the connection that gave this error may be of no more use.
    pub fn may_end_connection(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<Error> for DbError {
    fn from(error: Error) -> Self {
        match error {
            Error::DatabaseError(DatabaseErrorKind::UniqueViolation, information) => Self::Taken {
                constraint: information.constraint_name().unwrap_or_else(|| information.message()).to_owned(),
            },
            // Diesel has no kind for a server that shuts down, is full or out of memory: all that is left is "unknown".
            Error::DatabaseError(
                DatabaseErrorKind::UnableToSendCommand
                | DatabaseErrorKind::SerializationFailure
                | DatabaseErrorKind::ReadOnlyTransaction
                | DatabaseErrorKind::ClosedConnection
                | DatabaseErrorKind::Unknown,
                information,
            ) => Self::Unavailable(information.message().to_owned()),
            Error::BrokenTransactionManager => Self::Unavailable("a transaction was left broken".to_owned()),
            other => Self::Unexpected(other.to_string()),
        }
    }
}

impl From<ConnectionError> for DbError {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::CouldntSetupConfiguration(error) => error.into(),
            // libpq's text names host, port and database, never the password.
            other => Self::Unavailable(other.to_string()),
        }
    }
}
