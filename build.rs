//! How the program is linked.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Functions that are marked as cold lie apart, so that they are not in memory because of their neighbours: Linux
    // maps 64 KiB around each first touch. A linker that does not know this says so and goes on. Only where linkers are
    // driven by a C compiler, which is what the argument is written for.
    let is = |what: &str, value: &str| std::env::var(what).is_ok_and(|is| is == value);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,keep-text-section-prefix");
    }
}
