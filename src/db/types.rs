//! The values that both engines keep in a type of their own: Postgres has `uuid`, `timestamptz`, `jsonb` and `inet`,
//! SQLite bytes, milliseconds and text.

use std::io::Write as _;
use std::net::IpAddr;

use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::SqlType;
use diesel::sqlite::{Sqlite, SqliteValue};
use uuid::Uuid;

use super::connection::{MultiBackend, MultiRawValue};
use crate::clock::Timestamp;

#[derive(Clone, Copy, SqlType, diesel::query_builder::QueryId)]
#[diesel(postgres_type(oid = 2950, array_oid = 2951))]
#[diesel(sqlite_type(name = "Binary"))]
pub struct SqlUuid;

#[derive(Clone, Copy, SqlType, diesel::query_builder::QueryId)]
#[diesel(postgres_type(oid = 1184, array_oid = 1185))]
#[diesel(sqlite_type(name = "Long"))]
pub struct SqlTime;

#[derive(Clone, Copy, SqlType, diesel::query_builder::QueryId)]
#[diesel(postgres_type(oid = 3802, array_oid = 3807))]
#[diesel(sqlite_type(name = "Text"))]
pub struct SqlJson;

#[derive(Clone, Copy, SqlType, diesel::query_builder::QueryId)]
#[diesel(postgres_type(oid = 869, array_oid = 1041))]
#[diesel(sqlite_type(name = "Text"))]
pub struct SqlAddress;

macro_rules! known_to_both_engines {
    ($($sql:ty),+) => {$(
        impl diesel::sql_types::HasSqlType<$sql> for MultiBackend {
            fn metadata(lookup: &mut Self::MetadataLookup) -> Self::TypeMetadata {
                Self::lookup_sql_type::<$sql>(lookup)
            }
        }
    )+};
}
known_to_both_engines!(SqlUuid, SqlTime, SqlJson, SqlAddress);

/// Carries a type that each engine can read and write through the connection that may be either.
macro_rules! either_engine {
    ($type:ty, $sql:ident) => {
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
}

/// Declares an id: a UUID that cannot be mistaken for another kind's.
macro_rules! id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, AsExpression, FromSqlRow,
            utoipa::ToSchema,
        )]
        #[diesel(sql_type = SqlUuid)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl ToSql<SqlUuid, Pg> for $name {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
                out.write_all(self.0.as_bytes())?;
                Ok(IsNull::No)
            }
        }

        impl FromSql<SqlUuid, Pg> for $name {
            fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
                Ok(Self(Uuid::from_slice(value.as_bytes())?))
            }
        }

        impl ToSql<SqlUuid, Sqlite> for $name {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
                out.set_value(self.0.as_bytes().as_slice());
                Ok(IsNull::No)
            }
        }

        impl FromSql<SqlUuid, Sqlite> for $name {
            fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
                let bytes = <Vec<u8> as FromSql<diesel::sql_types::Binary, Sqlite>>::from_sql(value)?;
                Ok(Self(Uuid::from_slice(&bytes)?))
            }
        }

        either_engine!($name, SqlUuid);
    };
}

id!(
    /// An account.
    UserId
);
id!(
    /// One login on one device: `sid` of its tokens.
    SessionId
);
id!(
    /// One access token: its `jti`.
    TokenId
);
id!(
    /// One signing key: the `kid` of what it signs.
    KeyId
);
id!(
    /// One device that is trusted to log in without a second factor.
    TrustedDeviceId
);
id!(
    /// One mail in the outbox.
    MailId
);
id!(
    /// One entry of the audit log. Made of its time, so that ids sort as times do.
    AuditId
);

/// Milliseconds from 1970-01-01, where a [`Timestamp`] starts, to 2000-01-01, where Postgres does.
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

either_engine!(Timestamp, SqlTime);

// What `#[derive(AsExpression, FromSqlRow)]` writes, here because `clock` does not know of Diesel.
const _: () = {
    use diesel::internal::derives::as_expression::Bound;
    use diesel::sql_types::Nullable;

    macro_rules! bound {
        ($($type:ty => $sql:ty),+) => {$(
            impl AsExpression<$sql> for $type {
                type Expression = Bound<$sql, Self>;

                fn as_expression(self) -> Self::Expression {
                    Bound::new(self)
                }
            }
        )+};
    }
    bound!(
        Timestamp => SqlTime, &Timestamp => SqlTime,
        Timestamp => Nullable<SqlTime>, &Timestamp => Nullable<SqlTime>
    );

    impl<DB: diesel::backend::Backend> diesel::Queryable<SqlTime, DB> for Timestamp
    where
        Self: FromSql<SqlTime, DB>,
    {
        type Row = Self;

        fn build(row: Self) -> deserialize::Result<Self> {
            Ok(row)
        }
    }

    impl<DB: diesel::backend::Backend> ToSql<Nullable<SqlTime>, DB> for Timestamp
    where
        Self: ToSql<SqlTime, DB>,
    {
        fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
            ToSql::<SqlTime, DB>::to_sql(self, out)
        }
    }
};

/// The version byte that Postgres puts before the text of a `jsonb`.
const JSONB_VERSION: u8 = 1;

/// Lets a serde type be a JSON column.
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

        either_engine!($type, SqlJson);
    };
}

/// A document whose form the database does not know.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, AsExpression, FromSqlRow)]
#[diesel(sql_type = SqlJson)]
#[serde(transparent)]
pub struct Json(pub serde_json::Value);
json_column!(Json);

/// A list of short names: roles, authentication methods.
#[derive(
    Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, AsExpression, FromSqlRow, utoipa::ToSchema,
)]
#[diesel(sql_type = SqlJson)]
#[serde(transparent)]
pub struct Names(pub Vec<String>);
json_column!(Names);

impl Names {
    pub fn of(names: &[&str]) -> Self {
        Self(names.iter().map(|name| (*name).to_owned()).collect())
    }

    /// All but `name`.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|own| own != name);
        self
    }

    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|own| own == name)
    }
}

/// The address of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = SqlAddress)]
pub struct Address(pub IpAddr);

/// `PGSQL_AF_INET` and `PGSQL_AF_INET6` of Postgres' `inet.h`: the operating system's numbers would differ by platform.
const PG_IPV4: u8 = 2;
const PG_IPV6: u8 = 3;

impl ToSql<SqlAddress, Pg> for Address {
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

impl FromSql<SqlAddress, Pg> for Address {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        match value.as_bytes() {
            [PG_IPV4, _, _, _, octets @ ..] => Ok(Self(IpAddr::from(<[u8; 4]>::try_from(octets)?))),
            [PG_IPV6, _, _, _, octets @ ..] => Ok(Self(IpAddr::from(<[u8; 16]>::try_from(octets)?))),
            _ => Err("not an inet".into()),
        }
    }
}

impl ToSql<SqlAddress, Sqlite> for Address {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.to_string());
        Ok(IsNull::No)
    }
}

impl FromSql<SqlAddress, Sqlite> for Address {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        let text = <String as FromSql<diesel::sql_types::Text, Sqlite>>::from_sql(value)?;
        Ok(Self(text.parse()?))
    }
}

either_engine!(Address, SqlAddress);
