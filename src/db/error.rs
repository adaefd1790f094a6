//! Errors of the database, independent of the engine.

use diesel::result::{ConnectionError, DatabaseErrorKind, Error};

use crate::clock::ClockSkew;

/// The result of an operation on the database.
pub type DbResult<T> = Result<T, DbError>;

/// The error of a statement. It distinguishes only what a caller can act on.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DbError {
    /// A value violates a unique constraint.
    #[error("the value is taken ({constraint})")]
    Taken {
        /// The name of the constraint, or the message of an engine that does not name it.
        constraint: String,
    },
    /// The database did not respond in time. It is not known whether a write was committed.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The clock of this machine is too far from that of the database to issue tokens.
    #[error(transparent)]
    ClockSkew(#[from] ClockSkew),
    /// The statement or its result is invalid, because of a defect or a foreign schema.
    #[error("the database returned an unexpected result: {0}")]
    Unexpected(String),
}

impl From<tokio::task::JoinError> for DbError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Unexpected(error.to_string())
    }
}

impl From<Error> for DbError {
    fn from(error: Error) -> Self {
        match error {
            Error::DatabaseError(DatabaseErrorKind::UniqueViolation, information) => Self::Taken {
                constraint: information.constraint_name().unwrap_or_else(|| information.message()).to_owned(),
            },
            // A text with NUL is the caller's defect. Postgres names the byte in every language (SQLSTATE 22021, which
            // Diesel does not tell).
            Error::DatabaseError(DatabaseErrorKind::Unknown, information)
                if information.message().ends_with(": 0x00") =>
            {
                Self::Unexpected(information.message().to_owned())
            }
            // Diesel reports a server that shuts down or has no disk space or memory as "unknown".
            Error::DatabaseError(
                DatabaseErrorKind::UnableToSendCommand
                | DatabaseErrorKind::SerializationFailure
                | DatabaseErrorKind::ReadOnlyTransaction
                | DatabaseErrorKind::ClosedConnection
                | DatabaseErrorKind::Unknown,
                information,
            ) => Self::Unavailable(information.message().to_owned()),
            Error::BrokenTransactionManager => Self::Unavailable("the transaction is broken".to_owned()),
            other => Self::Unexpected(other.to_string()),
        }
    }
}

impl From<ConnectionError> for DbError {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::CouldntSetupConfiguration(error) => error.into(),
            // The message names the server or the file, and no password.
            other => Self::Unavailable(other.to_string()),
        }
    }
}
