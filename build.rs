//! How the program is linked.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Functions that are marked as cold lie apart, so that they are not in memory because of their neighbours: Linux maps
    // 64 KiB around each first touch. A linker that does not know this says so and goes on.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,keep-text-section-prefix");
    }
}
