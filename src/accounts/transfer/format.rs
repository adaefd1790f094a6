//! Recognises files that are no accounts line by line, to tell how they become such.

/// Returns what is wrong with a whole file and how to convert it, by its first line that is not blank; `None` if each
/// line may be an account.
pub(super) fn refusal(line: &[u8]) -> Option<&'static str> {
    match line {
        [0x1f, 0x8b, ..] => return Some("the file is compressed: unpack it first with gunzip"),
        [b'P', b'K', 3, 4, ..] => return Some("the file is a ZIP archive: unpack it first"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => {
            return Some("the file is in UTF-16: convert it first with iconv -f UTF-16 -t UTF-8");
        }
        _ => {}
    }
    let line = line.trim_ascii();
    match line.first()? {
        b'[' => Some("the file is a JSON array: each account needs a line of its own, as jq -c '.[]' prints it"),
        b'<' => Some("the file is XML or HTML: each account needs a line of its own with a JSON object"),
        // An object with more than its account, or over several lines.
        b'{' if matches!(line.last()?, b'{' | b'[' | b',') => Some(
            "the file is one JSON document over several lines: each account needs a line of its own, as jq -c prints it, \
             for example jq -c '.users[]'",
        ),
        b'{' => None,
        _ if is_csv(line) => Some(
            "the file is CSV: each account needs a line of its own with a JSON object, as it is printed by python3 -c \
             'import csv, json, sys; [print(json.dumps(row)) for row in csv.DictReader(sys.stdin)]'",
        ),
        _ => None,
    }
}

/// Returns whether a line names columns, one of them for email addresses.
fn is_csv(line: &[u8]) -> bool {
    let line = line.to_ascii_lowercase();
    line.iter().any(|byte| matches!(byte, b',' | b';' | b'\t')) && line.windows(4).any(|word| word == b"mail")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_of_lines_is_refused_with_the_way_to_convert_it() {
        let utf16: Vec<u8> = "{\"email\"".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let marked: Vec<u8> = "\u{feff}{\"email\"".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for (line, expected) in [
            (utf16.as_slice(), "iconv"),
            (&marked, "iconv"),
            (b"[", "jq -c '.[]'"),
            (b" [{\"email\":\"a@example.com\"}]", "jq -c '.[]'"),
            (b"{", "jq -c '.users[]'"),
            (b"{\"users\": [", "jq -c '.users[]'"),
            (b"{\"email\":\"a@example.com\",", "jq -c"),
            (b"id,email,name", "CSV"),
            (b"\"ID\";\"E-Mail\"", "CSV"),
            (b"<?xml version=\"1.0\"?>", "XML"),
            (b"\x1f\x8b\x08\0", "gunzip"),
            (b"PK\x03\x04\x14", "ZIP"),
        ] {
            assert!(refusal(line).is_some_and(|text| text.contains(expected)), "{}", String::from_utf8_lossy(line));
        }
        for line in [&b"{\"email\":\"a@example.com\"}"[..], b"?", b"nonsense, more", b"{\"email\":\"half", b""] {
            assert_eq!(refusal(line), None, "{}", String::from_utf8_lossy(line));
        }
    }
}
