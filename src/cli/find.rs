//! The `.ron` files that somebody names, or that stand in the folders that somebody names.

use std::path::{Path, PathBuf};

/// A file to be looked at.
pub struct File {
    /// Where it is.
    pub path: PathBuf,
    /// Whether the user named the file itself.
    pub is_named: bool,
}

/// The files named, and the `.ron` files in the folders named, in order of name.
///
/// # Errors
/// If a folder cannot be read, or holds no such file.
pub fn found(paths: &[PathBuf]) -> Result<Vec<File>, String> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = files.len();
            walk(path, &mut files)?;
            if files.len() == before {
                return Err(format!("there is no .ron file in {}", path.display()));
            }
        } else {
            files.push(File { path: path.clone(), is_named: true });
        }
    }
    Ok(files)
}

fn walk(folder: &Path, files: &mut Vec<File>) -> Result<(), String> {
    let cannot = |error: std::io::Error| format!("cannot read the folder {}: {error}", folder.display());
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        entries.push(entry.map_err(cannot)?.path());
    }
    entries.sort();
    for path in entries {
        // A link back up would never end.
        if path.is_dir() && !path.is_symlink() {
            walk(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "ron") {
            files.push(File { path, is_named: false });
        }
    }
    Ok(())
}
