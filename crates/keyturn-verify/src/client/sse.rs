//! The stream of events (HTML, "Server-sent events").

use super::RequestError;

/// The longest line, in bytes.
const MAX_LINE: usize = 64 * 1024;

/// An event as it was received.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) name: String,
    pub(crate) data: String,
    pub(crate) id: Option<String>,
}

/// Reads events from chunks of a stream, however it is divided.
#[derive(Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    event: Received,
    has_data: bool,
    was_return: bool,
}

impl Parser {
    /// Reads a chunk. Returns the events that it ends.
    pub(crate) fn read(&mut self, chunk: &[u8]) -> Result<Vec<Received>, RequestError> {
        let mut events = Vec::new();
        for byte in chunk {
            let was_return = std::mem::replace(&mut self.was_return, *byte == b'\r');
            match byte {
                b'\n' if was_return => {}
                b'\n' | b'\r' => events.extend(self.end_line()?),
                _ if self.line.len() < MAX_LINE => self.line.push(*byte),
                _ => return Err(RequestError::Malformed),
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Result<Option<Received>, RequestError> {
        let line = std::mem::take(&mut self.line);
        let line = std::str::from_utf8(&line).map_err(|_| RequestError::Malformed)?;
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return Ok(std::mem::take(&mut self.has_data).then_some(event));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "id" => self.event.id = Some(value.to_owned()),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
                if self.event.data.len() > MAX_LINE {
                    return Err(RequestError::Malformed);
                }
            }
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, data: &str, id: Option<&str>) -> Received {
        Received { name: name.to_owned(), data: data.to_owned(), id: id.map(str::to_owned) }
    }

    #[test]
    fn events_are_read_however_the_stream_is_divided() {
        let stream = ": comment\n\nevent: sync\nid: 7\ndata: {\"a\":\ndata: 1}\n\nevent:key\r\ndata:x\r\n\r\nid: 8\n\n\
                      retry: 5\rdata\r\revent: half\n";
        let expected = [event("sync", "{\"a\":\n1}", Some("7")), event("key", "x", None), event("", "", None)];
        for size in 1..stream.len() {
            let mut parser = Parser::default();
            let chunks = stream.as_bytes().chunks(size);
            let read: Vec<Received> = chunks.flat_map(|chunk| parser.read(chunk).unwrap()).collect();
            assert_eq!(read, expected, "{size}");
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut parser = Parser::default();
        let outcome = (0..100).try_for_each(|_| parser.read(&[b'a'; 1000]).map(|_| ()));
        assert!(outcome.is_err());
        assert!(Parser::default().read(b"data: \xff\n").is_err());
    }
}
