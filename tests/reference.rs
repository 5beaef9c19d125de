//! `models/LANGUAGE.md` is what `brownout schema` prints. `UPDATE_GOLDEN=1 cargo test --test all reference` writes it
//! anew.

use std::path::Path;
use std::process::Command;

#[test]
fn the_language_reference_is_up_to_date() {
    let output = Command::new(env!("CARGO_BIN_EXE_brownout")).arg("schema").output().expect("brownout runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).expect("the reference is text");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/LANGUAGE.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &printed).expect("the reference can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    let differs = committed.lines().zip(printed.lines()).position(|(a, b)| a != b);
    assert!(
        committed == printed,
        "models/LANGUAGE.md is out of date from line {} on: UPDATE_GOLDEN=1 cargo test --test all reference",
        differs.map_or(committed.lines().count().min(printed.lines().count()), |at| at) + 1
    );
}
