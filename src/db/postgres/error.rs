//! Errors that the server reports.

use std::io;

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error};
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::message::backend::ErrorResponseBody;

/// The SQLSTATE of a role, password or address that is not let in.
const INVALID_AUTHORIZATION: &str = "28000";

/// The SQLSTATE of a server that starts or shuts down.
const CANNOT_CONNECT_NOW: &str = "57P03";

/// An error that the server reports.
#[derive(Default)]
pub(super) struct ServerError {
    severity: String,
    sqlstate: String,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    position: Option<String>,
    table: Option<String>,
    column: Option<String>,
    constraint: Option<String>,
}

impl ServerError {
    /// Reads the fields of a message (PostgreSQL documentation, "Error and Notice Message Fields").
    pub(super) fn read(body: &ErrorResponseBody) -> io::Result<Self> {
        let mut error = Self::default();
        let mut fields = body.fields();
        while let Some(field) = fields.next()? {
            let value = String::from_utf8_lossy(field.value_bytes()).into_owned();
            match field.type_() {
                b'S' => error.severity = value,
                b'C' => error.sqlstate = value,
                b'M' => error.message = value,
                b'D' => error.detail = Some(value),
                b'H' => error.hint = Some(value),
                b'P' => error.position = Some(value),
                b't' => error.table = Some(value),
                b'c' => error.column = Some(value),
                b'n' => error.constraint = Some(value),
                _ => {}
            }
        }
        Ok(error)
    }

    /// Describes the error in one line.
    pub(super) fn describe(&self) -> String {
        format!("{}:  {}", self.severity, self.message)
    }

    /// Returns whether the same login may be accepted with or without encryption.
    pub(super) fn depends_on_encryption(&self) -> bool {
        self.sqlstate == INVALID_AUTHORIZATION
    }

    /// Returns whether another server may accept the login.
    pub(super) fn is_of_this_server(&self) -> bool {
        self.sqlstate == CANNOT_CONNECT_NOW
    }

    /// Returns the error of a statement, by its SQLSTATE.
    pub(super) fn of_statement(self) -> Error {
        let kind = match &*self.sqlstate {
            "23505" => DatabaseErrorKind::UniqueViolation,
            "23503" => DatabaseErrorKind::ForeignKeyViolation,
            "40001" => DatabaseErrorKind::SerializationFailure,
            "25006" => DatabaseErrorKind::ReadOnlyTransaction,
            "23502" => DatabaseErrorKind::NotNullViolation,
            "23514" => DatabaseErrorKind::CheckViolation,
            "23001" => DatabaseErrorKind::RestrictViolation,
            "23P01" => DatabaseErrorKind::ExclusionViolation,
            "08000" | "08006" | "08001" | "08004" => DatabaseErrorKind::ClosedConnection,
            _ => DatabaseErrorKind::Unknown,
        };
        Error::DatabaseError(kind, Box::new(self))
    }

    /// Returns the error of a statement whose connection the server has closed.
    pub(super) fn of_lost_connection(self) -> Error {
        Error::DatabaseError(DatabaseErrorKind::ClosedConnection, Box::new(self))
    }
}

/// Returns the error of a statement whose connection is lost.
pub(super) fn lost(reason: String) -> Error {
    Error::DatabaseError(DatabaseErrorKind::ClosedConnection, Box::new(reason))
}

impl DatabaseErrorInformation for ServerError {
    fn message(&self) -> &str {
        &self.message
    }

    fn details(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    fn table_name(&self) -> Option<&str> {
        self.table.as_deref()
    }

    fn column_name(&self) -> Option<&str> {
        self.column.as_deref()
    }

    fn constraint_name(&self) -> Option<&str> {
        self.constraint.as_deref()
    }

    fn statement_position(&self) -> Option<i32> {
        self.position.as_deref()?.parse().ok()
    }
}
