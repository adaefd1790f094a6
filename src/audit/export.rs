//! The log as a file, for other programs: one line for each entry.

use std::fmt::Write as _;

use super::read::Entry;

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, with a header.
    Csv,
    /// One JSON object a line.
    Ndjson,
}

impl Format {
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "csv" => Some(Self::Csv),
            "ndjson" => Some(Self::Ndjson),
            _ => None,
        }
    }

    /// The name, and the end of a file's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }

    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    /// What stands before the entries.
    pub fn head(self) -> String {
        match self {
            Self::Csv => row(&COLUMNS.map(str::to_owned)),
            Self::Ndjson => String::new(),
        }
    }

    /// One entry, with the end of its line.
    pub fn line(self, entry: &Entry) -> String {
        match self {
            Self::Csv => row(&cells(entry)),
            Self::Ndjson => serde_json::to_string(entry).map(|json| json + "\n").unwrap_or_default(),
        }
    }
}

const COLUMNS: [&str; 15] = [
    "id",
    "at",
    "event_type",
    "status",
    "user_id",
    "actor_id",
    "session_id",
    "ip_address",
    "device_type",
    "device_os",
    "device_browser",
    "device_label",
    "user_agent",
    "metadata",
    "request_id",
];

fn cells(entry: &Entry) -> [String; 15] {
    fn text(value: Option<impl ToString>) -> String {
        value.map(|value| value.to_string()).unwrap_or_default()
    }
    let device = entry.device.as_ref();
    [
        entry.id.to_string(),
        entry.at.to_string(),
        entry.event_type.clone(),
        entry.status.clone(),
        text(entry.user_id),
        text(entry.actor_id),
        text(entry.session_id),
        text(entry.ip_address),
        text(device.map(|device| device.kind.name())),
        text(device.and_then(|device| device.os.as_deref())),
        text(device.and_then(|device| device.browser.as_deref())),
        text(device.map(|device| &device.label)),
        text(entry.user_agent.as_deref()),
        entry.metadata.to_string(),
        text(entry.request_id.as_deref()),
    ]
}

fn row(cells: &[String]) -> String {
    let mut line = String::new();
    for (index, cell) in cells.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // Spreadsheets take a cell that begins so for a formula, and clients choose what stands in some of them.
        let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
        let guard = if is_formula { "'" } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(line, "{comma}\"{guard}{}\"", cell.replace('"', "\"\""));
    }
    line.push_str("\r\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_and_never_a_formula() {
        for (cell, written) in [
            ("plain", "\"plain\""),
            ("a,b \"c\"\nd", "\"a,b \"\"c\"\"\nd\""),
            ("=HYPERLINK(\"//x\")", "\"'=HYPERLINK(\"\"//x\"\")\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(1)", "\"'@SUM(1)\""),
            ("\t=1", "\"'\t=1\""),
            ("＝1", "\"'＝1\""),
            ("", "\"\""),
        ] {
            assert_eq!(row(&[cell.to_owned()]), format!("{written}\r\n"));
        }
        assert_eq!(row(&["a".to_owned(), "b".to_owned()]), "\"a\",\"b\"\r\n");
    }
}
