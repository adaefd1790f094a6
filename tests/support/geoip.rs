//! Databases of places: a real one, and small ones that say what a test wants.

use serde_json::{Value, json};

use super::variable;

/// The path of a database of cities: GeoLite2 City of 2018.
pub fn cities() -> String {
    variable("KEYTURN_TEST_GEOIP_DATABASE")
}

/// A database in MaxMind's format that calls itself `kind` and has the same on every IPv4 address.
pub fn database(kind: &str, on_every_address: &Value) -> Vec<u8> {
    let metadata = json!({
        "binary_format_major_version": 2, "binary_format_minor_version": 0, "build_epoch": 1_500_000_000,
        "database_type": kind, "description": {}, "ip_version": 4, "languages": ["en"], "node_count": 1,
        "record_size": 24,
    });
    // One node, whose two branches both lead to the first byte of the data: past the node and the 16 bytes after it.
    let mut bytes = [[0, 0, 1 + 16]; 2].concat();
    bytes.extend([0; 16]);
    encode("", on_every_address, &mut bytes);
    bytes.extend(b"\xab\xcd\xefMaxMind.com");
    encode("", &metadata, &mut bytes);
    bytes
}

/// Appends a value in the encoding of the format's data section; `name` is that of the field which has it.
fn encode(name: &str, value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::String(text) => {
            begin(2, text.len(), bytes);
            bytes.extend(text.as_bytes());
        }
        Value::Number(number) => {
            let (kind, size) = match name {
                "build_epoch" => (9, 8),
                "node_count" | "autonomous_system_number" => (6, 4),
                _ => (5, 2),
            };
            begin(kind, size, bytes);
            bytes.extend(&number.as_u64().unwrap().to_be_bytes()[8 - size..]);
        }
        Value::Object(map) => {
            begin(7, map.len(), bytes);
            for (name, value) in map {
                encode("", &json!(name), bytes);
                encode(name, value, bytes);
            }
        }
        Value::Array(values) => {
            begin(11, values.len(), bytes);
            values.iter().for_each(|value| encode("", value, bytes));
        }
        Value::Null | Value::Bool(_) => panic!("{value} is of no use here"),
    }
}

/// What goes before a value of this type and size. Types from 8 on stand in a byte of their own.
fn begin(kind: u8, size: usize, bytes: &mut Vec<u8>) {
    let size = u8::try_from(size).ok().filter(|size| *size < 29).expect("short values only");
    bytes.extend(if kind < 8 { vec![kind << 5 | size] } else { vec![size, kind - 7] });
}
