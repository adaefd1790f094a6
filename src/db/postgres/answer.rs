//! The rows of an answer, as Diesel reads them.

use std::num::NonZeroU32;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use diesel::backend::Backend;
use diesel::pg::{Pg, PgValue, TypeOidLookup};
use diesel::result::QueryResult;
use diesel::row::{Field, PartialRow, Row, RowIndex, RowSealed};
use postgres_protocol::message::backend::DataRowBody;

/// A column of an answer.
pub(super) struct Column {
    pub(super) name: Box<str>,
    pub(super) type_oid: NonZeroU32,
}

/// The answer to a statement.
pub(super) struct Answer {
    pub(super) columns: Arc<[Column]>,
    pub(super) rows: Vec<DataRowBody>,
    /// Where the values are in the rows, one row after the other. `None` is NULL.
    pub(super) values: Vec<Option<Range<usize>>>,
    /// The number of rows that the statement has read or changed.
    pub(super) affected: usize,
}

/// The rows of an answer, one after the other.
pub struct AnswerRows {
    answer: Rc<Answer>,
    next: usize,
}

impl AnswerRows {
    pub(super) fn new(answer: Answer) -> Self {
        Self { answer: Rc::new(answer), next: 0 }
    }
}

impl Iterator for AnswerRows {
    type Item = QueryResult<AnswerRow>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.next;
        (index < self.answer.rows.len()).then(|| {
            self.next = index.saturating_add(1);
            Ok(AnswerRow { answer: self.answer.clone(), index })
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.answer.rows.len().saturating_sub(self.next);
        (left, Some(left))
    }
}

impl ExactSizeIterator for AnswerRows {}

/// A row of an answer.
pub struct AnswerRow {
    answer: Rc<Answer>,
    index: usize,
}

impl RowSealed for AnswerRow {}

impl<'a> Row<'a, Pg> for AnswerRow {
    type Field<'f>
        = AnswerField<'f>
    where
        'a: 'f,
        Self: 'f;
    type InnerPartialRow = Self;

    fn field_count(&self) -> usize {
        self.answer.columns.len()
    }

    fn get<'b, I>(&'b self, index: I) -> Option<Self::Field<'b>>
    where
        'a: 'b,
        Self: RowIndex<I>,
    {
        let index = self.idx(index)?;
        let column = self.answer.columns.get(index)?;
        let place = self.index.checked_mul(self.answer.columns.len())?.checked_add(index)?;
        let range = self.answer.values.get(place)?.clone();
        let value = range.and_then(|range| self.answer.rows.get(self.index)?.buffer().get(range));
        Some(AnswerField { column, value })
    }

    fn partial_row(&self, range: Range<usize>) -> PartialRow<'_, Self> {
        PartialRow::new(self, range)
    }
}

impl RowIndex<usize> for AnswerRow {
    fn idx(&self, index: usize) -> Option<usize> {
        (index < self.answer.columns.len()).then_some(index)
    }
}

impl<'a> RowIndex<&'a str> for AnswerRow {
    fn idx(&self, name: &'a str) -> Option<usize> {
        self.answer.columns.iter().position(|column| &*column.name == name)
    }
}

/// A value of a row.
pub struct AnswerField<'a> {
    column: &'a Column,
    value: Option<&'a [u8]>,
}

impl<'a> Field<'a, Pg> for AnswerField<'a> {
    fn field_name(&self) -> Option<&str> {
        Some(&self.column.name)
    }

    fn value(&self) -> Option<<Pg as Backend>::RawValue<'_>> {
        Some(PgValue::new(self.value?, self.column))
    }
}

impl TypeOidLookup for Column {
    fn lookup(&self) -> NonZeroU32 {
        self.type_oid
    }
}
