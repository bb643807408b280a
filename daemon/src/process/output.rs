//! What a child writes, cut into lines with two bounds: bytes a line, and lines a second. What is over is counted and
//! thrown away, never waited for: a service that floods its output must neither stall nor fill the log.

use std::time::Duration;

use crate::config::service::OutputRules;

/// Cuts a stream of bytes into lines.
pub struct Lines {
    rules: OutputRules,
    line: Vec<u8>,
    second: Option<u64>,
    passed: u32,
    dropped: u64,
    last: Vec<u8>,
}

/// What may be logged now.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    Line(String),
    /// So many lines were over the bound since the last such notice.
    Dropped(u64),
}

impl Lines {
    pub fn new(rules: OutputRules) -> Lines {
        Lines {
            rules,
            line: Vec::new(),
            second: None,
            passed: 0,
            dropped: 0,
            last: Vec::new(),
        }
    }

    /// The last line that was not empty, within the bound of a line, dropped from the log or not.
    pub fn last(&self) -> Option<String> {
        (!self.last.is_empty()).then(|| text(&self.last, self.rules.line_bytes))
    }

    pub fn push(&mut self, bytes: &[u8], now: Duration, out: &mut Vec<Piece>) {
        let mut parts = bytes.split(|byte| *byte == b'\n');
        if let Some(first) = parts.next() {
            self.extend(first);
        }
        for part in parts {
            self.end_line(now, out);
            self.extend(part);
        }
    }

    /// The stream's end.
    pub fn finish(&mut self, now: Duration, out: &mut Vec<Piece>) {
        self.end_line(now, out);
        self.tell_dropped(out);
    }

    fn extend(&mut self, part: &[u8]) {
        // One byte over the bound tells that there was more.
        let room = (self.rules.line_bytes + 1).saturating_sub(self.line.len());
        self.line.extend_from_slice(&part[..part.len().min(room)]);
    }

    fn end_line(&mut self, now: Duration, out: &mut Vec<Piece>) {
        let second = now.as_secs();
        if self.second != Some(second) {
            self.second = Some(second);
            self.passed = 0;
            self.tell_dropped(out);
        }
        if self.line.is_empty() {
            return;
        }
        if self.passed < self.rules.lines_per_sec {
            self.passed += 1;
            out.push(Piece::Line(text(&self.line, self.rules.line_bytes)));
        } else {
            self.dropped += 1;
        }
        std::mem::swap(&mut self.last, &mut self.line);
        self.line.clear();
    }

    fn tell_dropped(&mut self, out: &mut Vec<Piece>) {
        if self.dropped > 0 {
            out.push(Piece::Dropped(std::mem::take(&mut self.dropped)));
        }
    }
}

/// A line as it may be logged: no control characters, at most `max_bytes` of it.
fn text(line: &[u8], max_bytes: usize) -> String {
    let kept = &line[..line.len().min(max_bytes)];
    let mut text = String::from_utf8_lossy(kept).trim_end().replace(char::is_control, " ");
    if line.len() > max_bytes {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(pieces: &[(&[u8], u64)]) -> (Vec<Piece>, Option<String>) {
        let mut lines = Lines::new(OutputRules {
            lines_per_sec: 2,
            line_bytes: 5,
        });
        let mut out = Vec::new();
        let mut end = 0;
        for (bytes, secs) in pieces {
            lines.push(bytes, Duration::from_secs(*secs), &mut out);
            end = *secs;
        }
        lines.finish(Duration::from_secs(end), &mut out);
        (out, lines.last())
    }

    #[test]
    fn lines_are_cut_and_bounded() {
        let line = |text: &str| Piece::Line(text.to_owned());
        assert_eq!(feed(&[(b"ab", 0), (b"c\nd\n", 0)]).0, [line("abc"), line("d")]);
        assert_eq!(feed(&[(b"\n\n\nx", 0)]).0, [line("x")]);
        assert_eq!(feed(&[(b"123456789\n", 0)]).0, [line("12345…")]);
        assert_eq!(feed(&[(b"12345", 0), (b"6\nz\n", 0)]).0, [line("12345…"), line("z")]);
        assert_eq!(feed(&[(b"a\x1b[1m\xff\r\n", 0)]).0, [line("a [1m…")]);
        let (out, last) = feed(&[(b"a\nb\nc\nd\n", 0), (b"e\n", 1)]);
        assert_eq!(out, [line("a"), line("b"), Piece::Dropped(2), line("e")]);
        assert_eq!(last.as_deref(), Some("e"));
        assert_eq!(
            feed(&[(b"a\nb\nc\n", 0)]),
            (vec![line("a"), line("b"), Piece::Dropped(1)], Some("c".to_owned()))
        );
    }

    /// A stream without an end of line takes no more memory than a line.
    #[test]
    fn an_endless_line_is_bounded() {
        let mut lines = Lines::new(OutputRules {
            lines_per_sec: 2,
            line_bytes: 5,
        });
        let mut out = Vec::new();
        for _ in 0..1000 {
            lines.push(&[b'x'; 1000], Duration::ZERO, &mut out);
        }
        assert!(out.is_empty() && lines.line.capacity() < 64);
    }
}
