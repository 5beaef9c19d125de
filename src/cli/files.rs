//! Result files: each whole or not at all.

use super::{Ending, message};
use anyhow::{Context, Result};
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file to be written: its name within the folder, and its bytes.
pub type Output = (String, Vec<u8>);

/// Writes all files into `folder`, making it if need be, and returns their paths. Every file is written under
/// another name first; only when all are, they get their own.
///
/// # Errors
/// If the folder or a file cannot be written; no result file is left half-written.
pub fn write_all(folder: &Path, outputs: &[Output]) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let mut written = Vec::new();
    for (name, bytes) in outputs {
        let path = folder.join(name);
        let write = || -> std::io::Result<NamedTempFile> {
            let mut file = tempfile::Builder::new().prefix(".brownout-").tempfile_in(folder)?;
            file.write_all(bytes)?;
            file.flush()?;
            readable(&file)?;
            Ok(file)
        };
        written.push((write().with_context(|| format!("cannot write {}", path.display()))?, path));
    }
    let mut paths = Vec::new();
    for (file, path) in written {
        file.persist(&path).with_context(|| format!("cannot write {}", path.display()))?;
        paths.push(path);
    }
    Ok(paths)
}

/// Writes the results of a verb into its folder, `out/NAME` if none was named, unless no files are wanted; returns what
/// was written, as it is shown.
///
/// # Errors
/// [`Ending::Wrong`], after the message.
pub fn write_or_say(
    no_out: bool,
    out: Option<&Path>,
    name: &str,
    outputs: impl FnOnce() -> Result<Vec<Output>>,
) -> Result<Vec<String>, Ending> {
    if no_out {
        return Ok(Vec::new());
    }
    let folder = out.map_or_else(|| Path::new("out").join(name), Path::to_path_buf);
    let written = outputs().and_then(|outputs| write_all(&folder, &outputs));
    let paths = written.map_err(|error| {
        message(&format!("error: {error:#}\n"));
        Ending::Wrong
    })?;
    Ok(paths.iter().map(|p| p.display().to_string()).collect())
}

/// Temporary files are private; results are for everyone who may read the folder.
#[cfg(unix)]
pub fn readable(file: &NamedTempFile) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))
}

/// Nothing to do here.
#[cfg(not(unix))]
pub fn readable(_: &NamedTempFile) -> std::io::Result<()> {
    Ok(())
}

/// A name as the beginning of a file's name.
pub fn stem(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let stem: String = name.chars().map(plain).collect();
    match stem.trim_start_matches('.') {
        "" => "experiment".to_string(),
        stem => stem.to_string(),
    }
}
