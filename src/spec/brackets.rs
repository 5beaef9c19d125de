//! A look over the text before it is parsed: brackets that do not match, strings and comments that never end.
//!
//! A parser can only say where it gave up, which is often the end of the file; this scan knows which bracket was
//! left open. It also bounds the depth of everything that follows it, so that no text can exhaust the stack: it
//! takes one pass and a stack of at most [`DEPTH_MAX`] brackets.

use super::diagnostic::Diagnostic;
use super::source::Span;

/// How deep brackets may be nested; no system comes near.
pub const DEPTH_MAX: usize = 120;

/// The first thing wrong with the brackets, strings and comments of `text`.
pub fn check(source: u32, text: &str) -> Option<Diagnostic> {
    let bytes = text.as_bytes();
    let span = |start: usize, end: usize| Span { source, start: start as u32, end: end as u32 };
    let mut open: Vec<usize> = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let next = match byte {
            b'"' => string_end(bytes, at),
            b'\'' => Some(character_end(bytes, at)),
            b'r' if raw_hashes(bytes, at).is_some() => raw_string_end(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'/') => Some(line_end(bytes, at)),
            b'/' if bytes.get(at + 1) == Some(&b'*') => comment_end(bytes, at),
            b'(' | b'[' | b'{' => {
                if open.len() == DEPTH_MAX {
                    let message = format!("brackets are nested more than {DEPTH_MAX} deep");
                    return Some(Diagnostic::error(span(at, at + 1), message));
                }
                open.push(at);
                Some(at + 1)
            }
            b')' | b']' | b'}' => {
                let shown = char::from(*byte);
                match open.pop() {
                    None => {
                        let message = format!("this `{shown}` closes nothing");
                        return Some(Diagnostic::error(span(at, at + 1), message));
                    }
                    Some(from) if closing(bytes[from]) != *byte => {
                        let opened = char::from(bytes[from]);
                        let wanted = char::from(closing(bytes[from]));
                        let message = format!("expected `{wanted}` to close `{opened}`, found `{shown}`");
                        let diagnostic = Diagnostic::error(span(at, at + 1), message);
                        return Some(diagnostic.context(span(from, from + 1), "opened here"));
                    }
                    Some(_) => Some(at + 1),
                }
            }
            _ => Some(word_end(bytes, at)),
        };
        let Some(next) = next else {
            let what = if *byte == b'/' { "comment" } else { "string" };
            return Some(Diagnostic::error(span(at, at + 1), format!("this {what} is never closed")));
        };
        at = next;
    }
    let from = *open.last()?;
    Some(Diagnostic::error(
        span(from, from + 1),
        format!("this `{}` is never closed", char::from(bytes[from])),
    ))
}

fn closing(opening: u8) -> u8 {
    match opening {
        b'(' => b')',
        b'[' => b']',
        _ => b'}',
    }
}

/// One past the word at `at`, so that the `r` of `four"…` starts no raw string; at least one byte.
fn word_end(bytes: &[u8], at: usize) -> usize {
    let word = bytes[at..].iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
    // `br"…"` is a raw string as well.
    if word > 1 && &bytes[at..at + 2] == b"br" && raw_hashes(bytes, at + 1).is_some() {
        return at + 1;
    }
    at + word.max(1)
}

fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut here = at + 1;
    loop {
        match bytes.get(here)? {
            b'"' => return Some(here + 1),
            b'\\' => here += 2,
            _ => here += 1,
        }
    }
}

/// One past a character in single quotes, or past a quote that starts none.
fn character_end(bytes: &[u8], at: usize) -> usize {
    let escaped = bytes.get(at + 1) == Some(&b'\\');
    let from = at + if escaped { 3 } else { 1 };
    let close = bytes.iter().skip(from).take(10).position(|b| *b == b'\'');
    close.map_or(at + 1, |distance| from + distance + 1)
}

/// The number of `#` if a raw string starts at `at`.
fn raw_hashes(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[at + 1..].iter().take_while(|b| **b == b'#').count();
    (bytes.get(at + 1 + hashes) == Some(&b'"')).then_some(hashes)
}

fn raw_string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = raw_hashes(bytes, at)?;
    let mut here = at + hashes + 2;
    loop {
        here += bytes.get(here..)?.iter().position(|b| *b == b'"')? + 1;
        let after = bytes[here..].iter().take(hashes).take_while(|b| **b == b'#').count();
        if after == hashes {
            return Some(here + hashes);
        }
    }
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |distance| at + distance)
}

/// One past a comment, which may hold others.
fn comment_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut depth = 1_usize;
    let mut here = at + 2;
    while depth > 0 {
        match bytes.get(here..here + 2)? {
            b"*/" => {
                depth -= 1;
                here += 2;
            }
            b"/*" => {
                depth += 1;
                here += 2;
            }
            _ => here += 1,
        }
    }
    Some(here)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Option<String> {
        check(0, text).map(|d| d.message)
    }

    #[test]
    fn what_matches_is_let_through() {
        for text in [
            "",
            "A(b: [\"(\", r#\"]\"\"#, 'x', '\\'', ')'], /* { /* */ */ c: {}) // (",
            "A(b: br\"[\", four: 4)",
            "\"\\\"(\"",
        ] {
            assert_eq!(message(text), None, "{text}");
        }
    }

    #[test]
    fn what_does_not_is_named() {
        assert_eq!(message("A(b: [1)").as_deref(), Some("expected `]` to close `[`, found `)`"));
        assert_eq!(message("A(b: [1]").as_deref(), Some("this `(` is never closed"));
        assert_eq!(message("A)").as_deref(), Some("this `)` closes nothing"));
        assert_eq!(message("A(\"b)").as_deref(), Some("this string is never closed"));
        assert_eq!(message("A(r#\"b\")").as_deref(), Some("this string is never closed"));
        assert_eq!(message("A( /* b").as_deref(), Some("this comment is never closed"));
        assert!(message(&"[".repeat(1 << 20)).is_some_and(|m| m.contains("nested")));
    }
}
