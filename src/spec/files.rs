//! The files of one command: each is read once, and whoever keeps their bytes can read the same again elsewhere.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What was read, if it could be.
type Contents = Option<Arc<[u8]>>;

/// Every file that was read, by path as it was asked for; those that could not be read are known, too. Clones share
/// what they have read.
#[derive(Clone, Debug, Default)]
pub struct Files {
    read: Arc<Mutex<BTreeMap<PathBuf, Contents>>>,
    /// Whether there are no others.
    is_closed: bool,
}

impl Files {
    /// These files and no others, whatever lies on the disk.
    pub fn only(files: impl IntoIterator<Item = (PathBuf, Vec<u8>)>) -> Self {
        let read = files.into_iter().map(|(path, bytes)| (path, Some(bytes.into()))).collect();
        Self { read: Arc::new(Mutex::new(read)), is_closed: true }
    }

    /// The bytes of a file, of which more than `limit` are not read.
    ///
    /// # Errors
    /// If it cannot be opened or read.
    pub fn read(&self, path: &Path, limit: u64) -> io::Result<Arc<[u8]>> {
        // Whoever panics while it holds the lock has not changed anything by halves.
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Some(bytes)) = read.get(path) {
            return Ok(Arc::clone(bytes));
        }
        if self.is_closed {
            return Err(io::ErrorKind::NotFound.into());
        }
        read.insert(path.to_path_buf(), None);
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
        let bytes: Arc<[u8]> = bytes.into();
        read.insert(path.to_path_buf(), Some(Arc::clone(&bytes)));
        Ok(bytes)
    }

    /// What tells a file from others, whatever way leads to it.
    pub fn identity(&self, path: &Path) -> PathBuf {
        match self.is_closed {
            true => path.to_path_buf(),
            false => path.canonicalize().unwrap_or_else(|_| path.to_path_buf()),
        }
    }

    /// All that was read, in order of path.
    pub fn all(&self) -> Vec<(PathBuf, Arc<[u8]>)> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let readable = read.iter().filter_map(|(path, bytes)| Some((path, bytes.as_ref()?)));
        readable.map(|(path, bytes)| (path.clone(), Arc::clone(bytes))).collect()
    }

    /// Every file that was looked into, whether it could be read or not, in order of path.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_once_and_closed_files_are_all_there_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "first").unwrap();
        let files = Files::default();
        assert_eq!(&*files.clone().read(&path, 99).unwrap(), b"first");
        std::fs::write(&path, "second").unwrap();
        assert_eq!(&*files.read(&path, 99).unwrap(), b"first");
        let closed = Files::only(files.all().into_iter().map(|(path, bytes)| (path, bytes.to_vec())));
        assert_eq!(&*closed.read(&path, 99).unwrap(), b"first");
        std::fs::write(folder.path().join("b"), "there").unwrap();
        assert!(closed.read(&folder.path().join("b"), 99).is_err());
    }
}
