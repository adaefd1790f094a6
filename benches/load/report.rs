//! The figures as Markdown: a table of what was measured, and the goals with what was reached.

use std::collections::BTreeMap;
use std::fmt;

/// One measurement. Times are in microseconds.
pub struct Round {
    /// Answers a second.
    pub rate: f64,
    pub p50: f64,
    pub p99: f64,
    /// Processor time for each answer, of the server under load and of the load generator.
    pub server_cpu: Option<f64>,
    pub client_cpu: Option<f64>,
}

/// What was measured, and the same once in every round.
struct Row {
    backend: &'static str,
    what: &'static str,
    connections: usize,
    rounds: Vec<Round>,
}

#[derive(Clone, Copy)]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
}

struct Goal {
    backend: &'static str,
    what: String,
    /// One for each round.
    values: Vec<f64>,
    bound: Bound,
}

pub struct Report {
    /// What was measured on what.
    preface: String,
    notes: Vec<String>,
    rows: Vec<Row>,
    goals: Vec<Goal>,
    failures: BTreeMap<String, u32>,
}

impl Report {
    pub fn new(preface: String) -> Self {
        Self { preface, notes: Vec::new(), rows: Vec::new(), goals: Vec::new(), failures: BTreeMap::new() }
    }

    /// Adds a round to its row, in the order in which rows are first met.
    pub fn record(&mut self, backend: &'static str, what: &'static str, connections: usize, round: Round) {
        eprintln!("{backend}: {what}, {connections}: {} a second, p99 {} ms", thousands(round.rate), millis(round.p99));
        match self.rows.iter_mut().find(|row| (row.backend, row.what, row.connections) == (backend, what, connections))
        {
            Some(row) => row.rounds.push(round),
            None => self.rows.push(Row { backend, what, connections, rounds: vec![round] }),
        }
    }

    pub fn fail(&mut self, failure: String, count: u32) {
        eprintln!("{failure}: {count} ×");
        *self.failures.entry(failure).or_default() += count;
    }

    pub fn failed(&self) -> bool {
        !self.failures.is_empty()
    }

    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Adds a goal, unless it was not measured.
    pub fn goal(&mut self, backend: &'static str, what: impl Into<String>, values: Vec<f64>, bound: Bound) {
        if values.is_empty() {
            return;
        }
        self.goals.push(Goal { backend, what: what.into(), values, bound });
    }

    /// The quotient of `figure` of two rows, round by round: their measurements in a round are neighbours in time, so
    /// that a busy machine slows down both.
    pub fn ratio(
        &self,
        backend: &'static str,
        over: (&str, usize),
        under: (&str, usize),
        figure: fn(&Round) -> f64,
    ) -> Vec<f64> {
        let (over, under) = (self.figures(backend, over, figure), self.figures(backend, under, figure));
        over.into_iter().zip(under).map(|(over, under)| over / under).collect()
    }

    /// The figure of a row, round by round.
    pub fn figures(
        &self,
        backend: &'static str,
        (what, connections): (&str, usize),
        figure: fn(&Round) -> f64,
    ) -> Vec<f64> {
        let row = self.rows.iter().find(|row| (row.backend, row.what, row.connections) == (backend, what, connections));
        row.into_iter().flat_map(|row| &row.rounds).map(figure).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.preface)?;
        let heads = [
            "backend",
            "what",
            "connections",
            "a second",
            "p50 ms",
            "p99 ms",
            "server CPU µs each",
            "client CPU µs each",
        ];
        let rows = self.rows.iter().map(|row| {
            let middle = |figure: fn(&Round) -> Option<f64>| median(row.rounds.iter().filter_map(figure).collect());
            vec![
                row.backend.to_owned(),
                row.what.to_owned(),
                row.connections.to_string(),
                middle(|round| Some(round.rate)).map_or_else(dash, thousands),
                middle(|round| Some(round.p50)).map_or_else(dash, millis),
                middle(|round| Some(round.p99)).map_or_else(dash, millis),
                middle(|round| round.server_cpu).map_or_else(dash, thousands),
                middle(|round| round.client_cpu).map_or_else(dash, thousands),
            ]
        });
        write_table(f, 2, &heads, &rows.collect::<Vec<_>>())?;

        let rows = self.goals.iter().map(|goal| {
            let (lowest, highest) = range(&goal.values);
            let value = median(goal.values.clone());
            let reached = if value.is_some_and(|value| goal.bound.holds(value)) { "reached" } else { "**missed**" };
            vec![
                goal.backend.to_owned(),
                goal.what.clone(),
                value.map_or_else(dash, |value| format!("{value:.2}")),
                format!("{lowest:.2} – {highest:.2}"),
                goal.bound.to_string(),
                reached.to_owned(),
            ]
        });
        writeln!(f)?;
        write_table(f, 2, &["backend", "goal", "median", "range", "to reach", ""], &rows.collect::<Vec<_>>())?;

        for note in &self.notes {
            write!(f, "\n- {note}")?;
        }
        writeln!(f)?;
        for (failure, count) in &self.failures {
            write!(f, "\n**Failed**, {count} ×: {failure}")?;
        }
        Ok(())
    }
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
            Self::Below(bound) => value < bound,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, "≥ {bound}"),
            Self::AtMost(bound) => write!(f, "≤ {bound}"),
            Self::Below(bound) => write!(f, "< {bound}"),
        }
    }
}

/// The smallest value that `percent` of the sorted values do not exceed; not a number where there are none.
pub fn percentile(sorted: &[u32], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).map_or(f64::NAN, |value| f64::from(*value))
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2)?;
    let lower = values.get(values.len().saturating_sub(1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}

fn range(values: &[f64]) -> (f64, f64) {
    (values.iter().copied().fold(f64::NAN, f64::min), values.iter().copied().fold(f64::NAN, f64::max))
}

fn dash() -> String {
    "–".to_owned()
}

/// `20400.4` as `20,400`.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Three digits or more.
fn millis(micros: f64) -> String {
    let millis = micros / 1e3;
    let places = if millis < 1.0 { 3 } else { usize::from(millis < 10.0) + 1 };
    format!("{millis:.places$}")
}

/// Aligned, with the first `texts` columns to the left and the others to the right.
fn write_table(f: &mut fmt::Formatter<'_>, texts: usize, heads: &[&str], rows: &[Vec<String>]) -> fmt::Result {
    let widths: Vec<usize> = heads
        .iter()
        .enumerate()
        .map(|(column, head)| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([head.chars().count(), 2]).max().unwrap_or_default()
        })
        .collect();
    let mut write_row = |cells: &mut dyn Iterator<Item = &str>| -> fmt::Result {
        for (column, (cell, width)) in cells.zip(&widths).enumerate() {
            if column < texts { write!(f, "| {cell:<width$} ")? } else { write!(f, "| {cell:>width$} ")? }
        }
        writeln!(f, "|")
    };
    write_row(&mut heads.iter().copied())?;
    let rules: Vec<String> = widths
        .iter()
        .enumerate()
        .map(|(column, width)| if column < texts { "-".repeat(*width) } else { format!("{}:", "-".repeat(width - 1)) })
        .collect();
    write_row(&mut rules.iter().map(String::as_str))?;
    for row in rows {
        write_row(&mut row.iter().map(String::as_str))?;
    }
    Ok(())
}
