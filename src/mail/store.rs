//! The outbox as rows.

use diesel::prelude::*;

use crate::clock::Timestamp;
use crate::db::schema::outbox;
use crate::db::types::MailId;
use crate::db::{Conn, DbResult};

#[derive(Insertable)]
#[diesel(table_name = outbox)]
pub struct NewMail<'a> {
    pub id: MailId,
    pub kind: &'a str,
    pub recipient: &'a str,
    pub sealed_message: Vec<u8>,
    pub created_at: Timestamp,
    pub next_attempt_at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

pub fn insert(conn: &mut Conn, mail: &NewMail<'_>) -> DbResult<()> {
    diesel::insert_into(outbox::table).values(mail).execute(conn)?;
    Ok(())
}
