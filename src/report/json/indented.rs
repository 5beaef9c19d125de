//! Pretty JSON, as [`serde_json::ser::PrettyFormatter`] writes it, byte for byte. That one writes each level of a
//! line's indent by itself, and most of a long summary is indent.

use serde_json::ser::Formatter;
use std::io::{Result, Write};

/// A line's end, and more levels of two spaces than there are.
const LINE: &[u8] = b"\n                                                                ";

/// Where in a document it is.
#[derive(Debug, Default)]
pub(super) struct Indented {
    level: usize,
    has_value: bool,
}

impl Indented {
    fn line<W: ?Sized + Write>(&self, writer: &mut W) -> Result<()> {
        let spaces = 2 * self.level;
        let written = spaces.min(LINE.len() - 1);
        writer.write_all(&LINE[..1 + written])?;
        (written..spaces).try_for_each(|_| writer.write_all(b" "))
    }

    fn begin<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: &[u8]) -> Result<()> {
        self.level += 1;
        self.has_value = false;
        writer.write_all(bracket)
    }

    fn end<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: &[u8]) -> Result<()> {
        self.level -= 1;
        if self.has_value {
            self.line(writer)?;
        }
        writer.write_all(bracket)
    }

    fn next<W: ?Sized + Write>(&self, writer: &mut W, is_first: bool) -> Result<()> {
        if !is_first {
            writer.write_all(b",")?;
        }
        self.line(writer)
    }
}

impl Formatter for Indented {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> Result<()> {
        self.begin(writer, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> Result<()> {
        self.end(writer, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> Result<()> {
        self.next(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _: &mut W) -> Result<()> {
        self.has_value = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> Result<()> {
        self.begin(writer, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> Result<()> {
        self.end(writer, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> Result<()> {
        self.next(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> Result<()> {
        writer.write_all(b": ")
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> Result<()> {
        self.has_value = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::pretty;
    use serde_json::{Value, json};

    #[test]
    fn it_is_as_serde_writes_it() {
        let deep =
            (0..50).fold(
                json!([1, {}]),
                |inner, at| if at % 2 == 0 { json!([inner]) } else { json!({ "a": inner }) },
            );
        for value in [Value::Null, json!([]), json!({}), json!({ "a": [1, 2, { "b": [] }], "c": "d" }), deep]
        {
            assert_eq!(pretty(&value), serde_json::to_string_pretty(&value).unwrap() + "\n");
        }
    }
}
