//! What a sweep has found so far, kept beside its results until it is done.
//!
//! One line for each run that was played: a checksum, a blank, and the record as JSON. The first line says which sweep
//! it belongs to, by a hash over all that determines its results. Each line is flushed as soon as its run is done. A
//! line that was torn, and whatever may stand behind it, is dropped and its runs are played again.

use crate::experiment::judge::SubjectValue;
use crate::experiment::sweep::{Found, Known};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh64::xxh64;

/// The journal's file.
const NAME: &str = "sweep.journal";
/// Changes when lines are written otherwise.
const FORMAT: u32 = 1;

/// A journal that is open for more.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    known: Known,
}

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be used.
    #[error("cannot {what} {}: {error}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It belongs to another sweep.
    #[error(
        "{} is of an interrupted sweep with other settings, measures, runs, seed, files or version of brownout: \
         --fresh starts anew and forgets it, --out FOLDER keeps both",
        path.display()
    )]
    Other {
        /// The file.
        path: PathBuf,
    },
    /// Another process writes to it.
    #[error("another sweep is writing to {}: wait for it, or give --out FOLDER", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
}

#[derive(Serialize, Deserialize, PartialEq)]
struct Header {
    sweep_journal: u32,
    brownout: String,
    inputs: String,
}

#[derive(Serialize, Deserialize)]
struct Record {
    point: usize,
    run: u32,
    values: Vec<Saved>,
    in_flight: Vec<(u64, u64)>,
}

/// A value to the bit.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(untagged)]
enum Saved {
    Happened(bool),
    /// An empty list, which is nothing else.
    Absent([bool; 0]),
    Bits(Option<u64>),
}

impl From<SubjectValue> for Saved {
    fn from(value: SubjectValue) -> Self {
        match value {
            SubjectValue::Happened(happened) => Self::Happened(happened),
            SubjectValue::Absent => Self::Absent([]),
            SubjectValue::Number(number) => Self::Bits(number.map(f64::to_bits)),
        }
    }
}

impl From<Saved> for SubjectValue {
    fn from(saved: Saved) -> Self {
        match saved {
            Saved::Happened(happened) => Self::Happened(happened),
            Saved::Absent([]) => Self::Absent,
            Saved::Bits(bits) => Self::Number(bits.map(f64::from_bits)),
        }
    }
}

impl Journal {
    /// Opens the journal in a folder, making both if need be. `inputs` is the hash over what determines the results of
    /// a sweep of so many points and runs of each; `fresh` forgets what is there.
    ///
    /// # Errors
    /// If files fail, or the journal is another sweep's.
    pub fn open(folder: &Path, inputs: u64, size: (usize, u32), fresh: bool) -> Result<Self, JournalError> {
        let path = folder.join(NAME);
        let failed = |what: &'static str| {
            let path = path.clone();
            move |error: io::Error| JournalError::File { what, path, error }
        };
        std::fs::create_dir_all(folder).map_err(failed("make the folder of"))?;
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.map_err(failed("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::Busy { path }),
            // Where files cannot be locked, there is nothing better to do than to trust the user.
            Err(TryLockError::Error(_)) => {}
        }
        let mut bytes = Vec::new();
        if !fresh {
            file.read_to_end(&mut bytes).map_err(failed("read"))?;
        }
        let header = Header {
            sweep_journal: FORMAT,
            brownout: env!("CARGO_PKG_VERSION").to_string(),
            inputs: format!("{inputs:016x}"),
        };
        let mut known = Known::new();
        let mut whole = 0;
        for (number, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
            let Some(content) = checked(line) else { break };
            if number == 0 {
                if serde_json::from_slice::<Header>(content).ok().is_none_or(|found| found != header) {
                    return Err(JournalError::Other { path });
                }
            } else {
                let Ok(record) = serde_json::from_slice::<Record>(content) else { break };
                if record.point >= size.0 || record.run >= size.1 {
                    break;
                }
                let in_flight =
                    record.in_flight.iter().map(|(e, l)| (f64::from_bits(*e), f64::from_bits(*l)));
                let values = record.values.into_iter().map(SubjectValue::from).collect();
                known.insert((record.point, record.run), Found { values, in_flight: in_flight.collect() });
            }
            whole += line.len();
        }
        file.set_len(whole as u64).map_err(failed("write to"))?;
        file.seek(SeekFrom::End(0)).map_err(failed("write to"))?;
        let mut journal = Self { path: path.clone(), file, known };
        if whole == 0 {
            journal.append(&header)?;
        }
        Ok(journal)
    }

    /// How many runs are known.
    pub fn known(&self) -> usize {
        self.known.len()
    }

    /// Hands over the runs that are known.
    pub fn take_known(&mut self) -> Known {
        std::mem::take(&mut self.known)
    }

    /// Keeps what was found of a run.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep(&mut self, point: usize, run: u32, found: &Found) -> Result<(), JournalError> {
        let values = found.values.iter().copied().map(Saved::from).collect();
        let in_flight =
            found.in_flight.iter().map(|(early, late)| (early.to_bits(), late.to_bits())).collect();
        self.append(&Record { point, run, values, in_flight })
    }

    fn append(&mut self, record: &impl Serialize) -> Result<(), JournalError> {
        let content = serde_json::to_vec(record).unwrap_or_default();
        let mut line = format!("{:016x} ", xxh64(&content, 0)).into_bytes();
        line.extend(content);
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.flush());
        written.map_err(|error| JournalError::File { what: "write to", path: self.path.clone(), error })
    }

    /// Removes the journal of a sweep that is done.
    ///
    /// # Errors
    /// If that cannot be done.
    pub fn remove(self) -> Result<(), JournalError> {
        drop(self.file);
        std::fs::remove_file(&self.path).map_err(|error| JournalError::File {
            what: "remove",
            path: self.path.clone(),
            error,
        })
    }
}

/// The content of a line that is whole and as it was written.
fn checked(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_suffix(b"\n")?;
    let (sum, content) = line.split_at_checked(17)?;
    (sum == format!("{:016x} ", xxh64(content, 0)).as_bytes()).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(value: f64) -> Found {
        let values = vec![
            SubjectValue::Number(Some(value)),
            SubjectValue::Number(None),
            SubjectValue::Absent,
            SubjectValue::Happened(true),
            SubjectValue::Number(Some(f64::INFINITY)),
        ];
        Found { values, in_flight: vec![(0.1, value)] }
    }

    #[test]
    fn what_was_kept_is_there_to_the_bit_and_what_was_torn_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Journal::open(folder.path(), 7, (10, 4), false);
        let mut journal = open().unwrap();
        for run in 0..3 {
            journal.keep(2, run, &found(1.0 / f64::from(run + 3))).unwrap();
        }
        assert!(matches!(open(), Err(JournalError::Busy { .. })));
        drop(journal);
        let path = folder.path().join(NAME);
        let whole = std::fs::read(&path).unwrap();
        // Cut anywhere: what is whole before the cut is there, and more can be added behind it.
        for cut in (0..=whole.len()).rev() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let lines = whole[..cut].iter().filter(|b| **b == b'\n').count();
            let mut journal = open().unwrap();
            let known = journal.take_known();
            assert_eq!(known.len(), lines.saturating_sub(1), "cut at {cut}");
            assert!(
                known.iter().all(|((point, run), f)| *point == 2 && *f == found(1.0 / f64::from(run + 3)))
            );
            journal.keep(3, 3, &found(0.5)).unwrap();
            drop(journal);
            assert_eq!(open().unwrap().known(), known.len() + 1);
        }
        // A flipped bit is found, too.
        let mut flipped = whole.clone();
        let at = whole.len() - 5;
        flipped[at] ^= 1;
        std::fs::write(&path, &flipped).unwrap();
        assert_eq!(open().unwrap().known(), 2);
    }

    #[test]
    fn another_sweep_is_refused_unless_told_to_forget() {
        let folder = tempfile::tempdir().unwrap();
        let open = |inputs, fresh| Journal::open(folder.path(), inputs, (10, 4), fresh);
        open(7, false).unwrap().keep(1, 1, &found(1.0)).unwrap();
        let error = open(8, false).unwrap_err();
        assert!(error.to_string().contains("--fresh"), "{error}");
        assert_eq!(open(7, false).unwrap().known(), 1);
        assert_eq!(open(8, true).unwrap().known(), 0);
        assert!(open(7, false).is_err());
        let journal = open(8, false).unwrap();
        let path = journal.path.clone();
        journal.remove().unwrap();
        assert!(!path.exists());
    }
}
