//! What speed was promised, measured: one table.

#![allow(clippy::print_stdout, reason = "a table is what it is for")]

#[path = "../floor/mod.rs"]
mod floor;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "floor") {
        let seconds = arguments.get(2).and_then(|s| s.parse().ok()).unwrap_or(298);
        println!("{}", floor::play(&arguments[1], seconds, 42).expect("a system"));
    }
}
