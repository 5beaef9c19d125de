//! Quantities of the language: strings with units, each a type of its own.

use super::decode::{Context, Decode};
use super::diagnostic::Diagnostic;
use super::node::{Kind, Node};
use crate::base::SimDuration;
use crate::base::units;

macro_rules! quantity {
    (
        $(#[doc = $doc:literal])+
        $name:ident($inner:ty), $type_name:literal, $parse:path, bare: $bare:expr, $example:literal
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $name(pub $inner);

        impl Decode for $name {
            fn decode(node: &Node, cx: &mut Context) -> Option<Self> {
                let bare: Option<fn(&str) -> Option<String>> = $bare;
                let text = match &node.kind {
                    Kind::Text(text) => text.clone(),
                    Kind::Number(text) => match bare.and_then(|f| f(text)) {
                        Some(text) => text,
                        None => {
                            cx.diagnostics.push(
                                Diagnostic::error(node.span, format!("{text} has no unit"))
                                    .label(concat!("expected ", $type_name))
                                    .help(concat!("write a string with a unit, such as ", $example)),
                            );
                            return None;
                        }
                    },
                    _ => return cx.expected(node, concat!($type_name, " such as ", $example)),
                };
                match $parse(&text) {
                    Ok(value) => Some(Self(value.into())),
                    Err(error) => {
                        cx.diagnostics.push(
                            Diagnostic::error(node.span, error.to_string())
                                .label(concat!("expected ", $type_name)),
                        );
                        None
                    }
                }
            }
            fn type_name() -> String {
                $type_name.into()
            }
        }
    };
}

/// Numbers that need no unit.
fn plain(text: &str) -> Option<String> {
    Some(text.replace('_', ""))
}

quantity!(
    /// A length of time in seconds.
    Seconds(f64), "a duration", units::parse_duration, bare: None, "\"250ms\", \"30s\" or \"1h30m\""
);
quantity!(
    /// A rate per second.
    Rate(f64), "a rate", units::parse_rate, bare: None, "\"1200/s\" or \"90/min\""
);
quantity!(
    /// A ratio from 0 to 1.
    Ratio(f64), "a ratio", units::parse_ratio, bare: Some(plain), "\"99.9%\" or 0.999"
);
quantity!(
    /// A share that may be more than 1.
    Usage(f64), "a ratio", units::parse_usage, bare: Some(plain), "\"60%\" or 0.6"
);
quantity!(
    /// A number of bytes.
    Size(u64), "a size", units::parse_size, bare: None, "\"512MiB\" or \"2GiB\""
);
quantity!(
    /// A number of CPU cores.
    Cores(f64), "a number of cores", units::parse_cores, bare: Some(plain), "2, \"0.5 cores\" or \"500m\""
);

impl Seconds {
    /// The simulator's own form.
    pub fn duration(self) -> SimDuration {
        SimDuration::from_seconds(self.0)
    }
}
