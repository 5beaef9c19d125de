//! The language reference, written from the declarations themselves: it cannot differ from the code.

use super::decode::{Declaration, Declarations, Decode};
use super::experiment::Experiment;
use super::topology::Topology;
use std::fmt::Write;

/// All declarations of the language, topology first.
pub fn declarations() -> Declarations {
    let mut all = Declarations::default();
    Topology::declare(&mut all);
    Experiment::declare(&mut all);
    all
}

/// The reference as Markdown.
pub fn markdown() -> String {
    let mut text = String::from(INTRODUCTION);
    let all = declarations();
    for declaration in &all.list {
        write_declaration(&mut text, declaration);
    }
    text
}

const INTRODUCTION: &str = "\
# The language

Every type of a topology file and of an experiment file, with its fields, units and defaults. This page is printed
by `brownout schema` from the declarations in the code, and a test keeps it up to date.

Files are RON, with `implicit_some` always on: an optional value is written as it is, `None` means none. Quantities
are strings with units: durations `\"250ms\"`, `\"30s\"`, `\"1h30m\"`; rates `\"1200/s\"`, `\"90/min\"`; ratios `\"99.9%\"` or
`0.999`; sizes `\"512MiB\"`; cores `\"0.5 cores\"`, `\"500m\"` or `2`. Records whose fields are marked *by position* may be
written without field names: `Work(\"5ms\")`, `At(\"5m\", …)`. Maps are in no order: declaring things in another order
changes nothing.

Every setting has a path, such as `balancers.alb.health_check.interval` or `policies.weather.Retry.max`: names of
fields and map keys, with list elements by position (from 0) or by their name. Paths are used by `--set`, by
`variants` and by `Set` on a timeline.
";

fn write_declaration(text: &mut String, d: &Declaration) {
    let _ = write!(text, "\n## {}\n\n{}\n", d.name, d.doc);
    if !d.shorthand.is_empty() {
        let _ = write!(text, "\nShort form: {}.\n", d.shorthand);
    }
    if !d.positional.is_empty() {
        let _ = write!(text, "\nBy position: {}.\n", d.positional.join(", "));
    }
    if !d.variants.is_empty() {
        let _ = write!(text, "\n| variant | meaning | settings |\n| --- | --- | --- |\n");
        for (name, doc, payload) in &d.variants {
            let payload = payload.as_deref().map_or(String::new(), link);
            let _ = writeln!(text, "| `{name}` | {doc} | {payload} |");
        }
    }
    if !d.fields.is_empty() {
        let _ = write!(text, "\n| field | type | default | meaning |\n| --- | --- | --- | --- |\n");
        for field in &d.fields {
            let default = field.default.map_or("*required*".to_string(), |d| format!("`{d}`"));
            let _ = writeln!(
                text,
                "| `{}` | {} | {default} | {} |",
                field.name,
                link(&field.type_name),
                field.doc
            );
        }
    }
}

/// Links the last word of a type's name to its section, if there is one.
fn link(type_name: &str) -> String {
    let (before, last) = type_name.rsplit_once(" of ").map_or(("", type_name), |(b, l)| (b, l));
    let (last, after) = last.split_once(" or ").map_or((last, ""), |(l, a)| (l, a));
    let target = match last {
        "distribution" => "DistributionChoice",
        other => other,
    };
    let is_type = target.starts_with(char::is_uppercase);
    let mut shown = if before.is_empty() { String::new() } else { format!("{before} of ") };
    if is_type {
        let anchor = target.to_lowercase().replace(' ', "-");
        let _ = write!(shown, "[{last}](#{anchor})");
    } else {
        shown.push_str(last);
    }
    if !after.is_empty() {
        let _ = write!(shown, " or {after}");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::diagnostic::Diagnostics;
    use crate::spec::node;

    #[test]
    fn every_type_and_field_is_explained_and_every_default_is_ron() {
        for d in declarations().list {
            assert!(d.doc.ends_with('.'), "{}: {}", d.name, d.doc);
            assert!(!d.fields.is_empty() || !d.variants.is_empty(), "{} has nothing", d.name);
            for field in d.fields {
                assert!(field.doc.ends_with('.'), "{}.{}", d.name, field.name);
                if let Some(default) = field.default {
                    let mut diagnostics = Diagnostics::default();
                    assert!(node::parse(0, default, &mut diagnostics).is_some(), "{default}");
                }
            }
        }
    }
}
