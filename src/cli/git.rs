//! What has changed, as git knows it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files that differ from a commit.
#[derive(Debug)]
pub struct Changed {
    /// The commit, as people would name it.
    pub since: String,
    /// The files, by their [`identity`].
    files: BTreeSet<PathBuf>,
}

impl Changed {
    /// The files of the repository around the working directory that differ from `since`, committed or not, and those
    /// that git does not know yet. Without `since`: from where this branch left `origin/main`, or from `HEAD` if there
    /// is no such branch.
    ///
    /// # Errors
    /// If there is no repository, no git, or no such commit.
    pub fn since(since: Option<&str>) -> Result<Self, String> {
        let root = git(Path::new("."), &["rev-parse", "--show-toplevel"])
            .map_err(|error| format!("--changed-only asks git what has changed: {error}"))?;
        let root = PathBuf::from(root.trim_end_matches(['\n', '\r']));
        let resolve = |name: &str| {
            let commit = format!("{name}^{{commit}}");
            let hash = git(&root, &["rev-parse", "--verify", "--quiet", "--end-of-options", &commit]);
            hash.map(|hash| hash.trim().to_string())
        };
        let (since, commit) = match since {
            Some(name) => {
                let commit = resolve(name)
                    .map_err(|_| format!("--since {name}: git knows no such commit in {}", root.display()))?;
                (name.to_string(), commit)
            }
            None => match git(&root, &["merge-base", "HEAD", "origin/main"]) {
                Ok(commit) => ("origin/main".to_string(), commit.trim().to_string()),
                Err(_) => match resolve("HEAD") {
                    Ok(commit) => ("HEAD".to_string(), commit),
                    // Nothing was ever committed: everything differs from nothing.
                    Err(_) => ("the beginning".to_string(), empty_tree(&root)?),
                },
            },
        };
        let differ = ["diff", "--name-only", "--no-renames", "--no-relative", "-z", &commit, "--"];
        let unknown = ["ls-files", "--others", "--exclude-standard", "--full-name", "-z"];
        let mut files = BTreeSet::new();
        for list in [git(&root, &differ)?, git(&root, &unknown)?] {
            files.extend(list.split('\0').filter(|n| !n.is_empty()).map(|n| identity(&root.join(n))));
        }
        Ok(Self { since, files })
    }

    /// Whether a file is one of those that changed, or that went.
    pub fn contains(&self, file: &Path) -> bool {
        self.files.contains(&identity(file))
    }
}

/// The hash of a tree without files, in whatever format the repository has.
fn empty_tree(root: &Path) -> Result<String, String> {
    git(root, &["hash-object", "-t", "tree", "--stdin"]).map(|hash| hash.trim().to_string())
}

/// The same for all ways to name a file, whether it is there or not.
fn identity(file: &Path) -> PathBuf {
    if let Ok(path) = file.canonicalize() {
        return path;
    }
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (folder.canonicalize(), file.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => file.to_path_buf(),
    }
}

/// What git prints.
fn git(folder: &Path, args: &[&str]) -> Result<String, String> {
    let output =
        Command::new("git").arg("-C").arg(folder).args(args).stdin(std::process::Stdio::null()).output();
    let output = output.map_err(|error| format!("cannot start git: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().trim_start_matches("fatal: ");
    Err(if said.is_empty() { format!("git {} failed", args[0]) } else { said.to_string() })
}
