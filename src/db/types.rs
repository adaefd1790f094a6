//! Conversions between [`crate::types`] and SQL types that differ between the engines. Postgres has `uuid`,
//! `timestamptz`, `jsonb` and `inet`; SQLite stores bytes, milliseconds and text.

use std::io::Write as _;
use std::net::IpAddr;

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql};
use diesel::expression::AsExpression;
use diesel::internal::derives::as_expression::Bound;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{Binary, HasSqlType, Nullable, SqlType};
use diesel::sqlite::{Sqlite, SqliteValue};
use uuid::Uuid;

use super::connection::{MultiBackend, MultiRawValue};
use crate::types::{
    Amr, Audiences, AuditId, ClientId, EmailId, Jti, KeyId, KeyThumbprint, Roles, Scopes, SessionId, Timestamp,
    TrustedDeviceId, UserId,
};

/// A UUID: `uuid` on Postgres, 16 bytes on SQLite.
#[derive(Clone, Copy, SqlType, diesel::query_builder::QueryId)]
#[diesel(postgres_type(oid = 2950, array_oid = 2951))]
#[diesel(sqlite_type(name = "Binary"))]
pub struct SqlUuid;

/// A point in time: `timestamptz` on Postgres, milliseconds since 1970 on SQLite.
#[derive(Clone, Copy, SqlType, diesel::query_builder::QueryId)]
#[diesel(postgres_type(oid = 1184, array_oid = 1185))]
#[diesel(sqlite_type(name = "Long"))]
pub struct SqlTime;

/// A JSON document: `jsonb` on Postgres, text on SQLite.
#[derive(Clone, Copy, SqlType, diesel::query_builder::QueryId)]
#[diesel(postgres_type(oid = 3802, array_oid = 3807))]
#[diesel(sqlite_type(name = "Text"))]
pub struct SqlJson;

/// An IP address: `inet` on Postgres, text on SQLite.
#[derive(Clone, Copy, SqlType, diesel::query_builder::QueryId)]
#[diesel(postgres_type(oid = 869, array_oid = 1041))]
#[diesel(sqlite_type(name = "Text"))]
pub struct SqlInet;

macro_rules! sql_types_of_both_engines {
    ($($sql:ty),+) => {$(
        impl HasSqlType<$sql> for MultiBackend {
            fn metadata(lookup: &mut Self::MetadataLookup) -> Self::TypeMetadata {
                Self::lookup_sql_type::<$sql>(lookup)
            }
        }
    )+};
}
sql_types_of_both_engines!(SqlUuid, SqlTime, SqlJson, SqlInet);

/// Implements what Diesel's derives would implement, for a type that does not depend on Diesel. The type must be
/// readable and writable on each engine. It can then be a column, also a nullable one, on a connection to either.
macro_rules! column {
    ($type:ty, $sql:ident) => {
        column!(@bound $type, $sql; $type, &$type);
        column!(@bound $type, Nullable<$sql>; $type, &$type);

        impl<DB: Backend> diesel::Queryable<$sql, DB> for $type
        where
            Self: FromSql<$sql, DB>,
        {
            type Row = Self;

            fn build(row: Self) -> deserialize::Result<Self> {
                Ok(row)
            }
        }

        impl<DB: Backend> ToSql<Nullable<$sql>, DB> for $type
        where
            Self: ToSql<$sql, DB>,
        {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
                ToSql::<$sql, DB>::to_sql(self, out)
            }
        }

        impl ToSql<$sql, MultiBackend> for $type {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, MultiBackend>) -> serialize::Result {
                out.set_value(($sql, self));
                Ok(IsNull::No)
            }
        }

        impl FromSql<$sql, MultiBackend> for $type {
            fn from_sql(value: MultiRawValue<'_>) -> deserialize::Result<Self> {
                value.from_sql::<Self, $sql>()
            }
        }
    };
    (@bound $type:ty, $sql:ty; $($expression:ty),+) => {$(
        impl AsExpression<$sql> for $expression {
            type Expression = Bound<$sql, Self>;

            fn as_expression(self) -> Self::Expression {
                Bound::new(self)
            }
        }
    )+};
}

macro_rules! id_columns {
    ($($id:ident),+) => {$(
        impl ToSql<SqlUuid, Pg> for $id {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
                out.write_all(self.0.as_bytes())?;
                Ok(IsNull::No)
            }
        }

        impl FromSql<SqlUuid, Pg> for $id {
            fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
                Ok(Self(Uuid::from_slice(value.as_bytes())?))
            }
        }

        impl ToSql<SqlUuid, Sqlite> for $id {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
                out.set_value(self.0.as_bytes().as_slice());
                Ok(IsNull::No)
            }
        }

        impl FromSql<SqlUuid, Sqlite> for $id {
            fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
                let bytes = <Vec<u8> as FromSql<diesel::sql_types::Binary, Sqlite>>::from_sql(value)?;
                Ok(Self(Uuid::from_slice(&bytes)?))
            }
        }

        column!($id, SqlUuid);
    )+};
}
id_columns!(UserId, SessionId, Jti, KeyId, TrustedDeviceId, EmailId, AuditId, ClientId);

/// The milliseconds between the epoch of [`Timestamp`], 1970-01-01, and that of Postgres, 2000-01-01.
const POSTGRES_EPOCH_MILLIS: i64 = 946_684_800_000;

impl ToSql<SqlTime, Pg> for Timestamp {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let micros = self.as_millis().saturating_sub(POSTGRES_EPOCH_MILLIS).saturating_mul(1000);
        out.write_all(&micros.to_be_bytes())?;
        Ok(IsNull::No)
    }
}

impl FromSql<SqlTime, Pg> for Timestamp {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let micros = i64::from_be_bytes(value.as_bytes().try_into()?);
        Ok(Self::from_millis(micros.div_euclid(1000).saturating_add(POSTGRES_EPOCH_MILLIS)))
    }
}

impl ToSql<SqlTime, Sqlite> for Timestamp {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.as_millis());
        Ok(IsNull::No)
    }
}

impl FromSql<SqlTime, Sqlite> for Timestamp {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        Ok(Self::from_millis(<i64 as FromSql<diesel::sql_types::BigInt, Sqlite>>::from_sql(value)?))
    }
}

column!(Timestamp, SqlTime);

/// The version byte before the text of a `jsonb`.
const JSONB_VERSION: u8 = 1;

/// Implements a JSON column for a serde type.
macro_rules! json_column {
    ($type:ty) => {
        impl ToSql<SqlJson, Pg> for $type {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
                out.write_all(&[JSONB_VERSION])?;
                serde_json::to_writer(out, self)?;
                Ok(IsNull::No)
            }
        }

        impl FromSql<SqlJson, Pg> for $type {
            fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
                match value.as_bytes() {
                    [JSONB_VERSION, text @ ..] => Ok(serde_json::from_slice(text)?),
                    _ => Err("not a jsonb of a known version".into()),
                }
            }
        }

        impl ToSql<SqlJson, Sqlite> for $type {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
                out.set_value(serde_json::to_string(self)?);
                Ok(IsNull::No)
            }
        }

        impl FromSql<SqlJson, Sqlite> for $type {
            fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
                let text = <String as FromSql<diesel::sql_types::Text, Sqlite>>::from_sql(value)?;
                Ok(serde_json::from_str(&text)?)
            }
        }

        column!($type, SqlJson);
    };
}

/// A JSON document of any form.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Json(pub serde_json::Value);

json_column!(Json);
json_column!(Roles);
json_column!(Amr);
json_column!(Scopes);
json_column!(Audiences);

/// `PGSQL_AF_INET` of Postgres' `inet.h`, which is the same on every platform.
const PG_IPV4: u8 = 2;

/// `PGSQL_AF_INET6` of Postgres' `inet.h`.
const PG_IPV6: u8 = 3;

/// An IP address in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpColumn(pub IpAddr);

impl ToSql<SqlInet, Pg> for IpColumn {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        match self.0 {
            IpAddr::V4(ip) => {
                out.write_all(&[PG_IPV4, 32, 0, 4])?;
                out.write_all(&ip.octets())?;
            }
            IpAddr::V6(ip) => {
                out.write_all(&[PG_IPV6, 128, 0, 16])?;
                out.write_all(&ip.octets())?;
            }
        }
        Ok(IsNull::No)
    }
}

impl FromSql<SqlInet, Pg> for IpColumn {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        match value.as_bytes() {
            [PG_IPV4, _, _, _, octets @ ..] => Ok(Self(<[u8; 4]>::try_from(octets)?.into())),
            [PG_IPV6, _, _, _, octets @ ..] => Ok(Self(<[u8; 16]>::try_from(octets)?.into())),
            _ => Err("not an inet".into()),
        }
    }
}

impl ToSql<SqlInet, Sqlite> for IpColumn {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.to_string());
        Ok(IsNull::No)
    }
}

impl FromSql<SqlInet, Sqlite> for IpColumn {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        let text = <String as FromSql<diesel::sql_types::Text, Sqlite>>::from_sql(value)?;
        Ok(Self(text.parse()?))
    }
}

column!(IpColumn, SqlInet);

impl ToSql<Binary, Pg> for KeyThumbprint {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(self.as_bytes())?;
        Ok(IsNull::No)
    }
}

impl FromSql<Binary, Pg> for KeyThumbprint {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(Self::new(value.as_bytes().try_into()?))
    }
}

impl ToSql<Binary, Sqlite> for KeyThumbprint {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.as_bytes().as_slice());
        Ok(IsNull::No)
    }
}

impl FromSql<Binary, Sqlite> for KeyThumbprint {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        let bytes = <Vec<u8> as FromSql<Binary, Sqlite>>::from_sql(value)?;
        Ok(Self::new(bytes.as_slice().try_into()?))
    }
}

column!(KeyThumbprint, Binary);
