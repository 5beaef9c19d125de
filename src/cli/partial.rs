//! What an interrupted `run` leaves: the runs that were finished, in the folder of the results.
//!
//! Every run is appended as it finishes, in one piece, so that even a process that is killed loses no more than the
//! runs under way. The file goes when all runs are there and the results are written.

use super::files;
use super::message;
use crate::experiment::fold::RunData;
use crate::experiment::ledger::{Header, Ledger, LedgerError, Writer};
use crate::experiment::run::{Keep, RunError};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

/// The file, or none.
pub struct Partial {
    path: PathBuf,
    /// Locked as long as it is open, so that two processes do not write to one file.
    writer: Option<Writer<File>>,
    known: Option<Ledger<File>>,
    /// Folders that were made for it, the innermost first.
    made: Vec<PathBuf>,
}

impl Partial {
    /// Keeps nothing.
    pub fn nowhere() -> Self {
        Self { path: PathBuf::new(), writer: None, known: None, made: Vec::new() }
    }

    /// Begins the file, or goes on with it if it is there and that is wanted.
    ///
    /// # Errors
    /// If that cannot be done, or the runs in it are of another experiment; in words.
    pub fn begin(folder: &Path, header: &Header, resume: bool) -> Result<Self, String> {
        let path = folder.join(format!("{}.partial", files::stem(&header.name)));
        let shown = path.display().to_string();
        let cannot = |error: &dyn std::fmt::Display| format!("{shown}: {error}");
        let is_new = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
        let made: Vec<PathBuf> = folder.ancestors().take_while(is_new).map(Path::to_path_buf).collect();
        std::fs::create_dir_all(folder)
            .map_err(|e| format!("cannot make the folder {}: {e}", folder.display()))?;
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(|e| cannot(&e))?;
        match file.try_lock() {
            // Some file systems have no locks.
            Ok(()) | Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) if resume => {
                return Err(cannot(&"another process is at it"));
            }
            Err(TryLockError::WouldBlock) => {
                message(&format!(
                    "note: another process keeps its runs in {shown}; those of this one are not kept\n"
                ));
                return Ok(Self::nowhere());
            }
        }
        let is_empty = file.metadata().map_err(|e| cannot(&e))?.len() == 0;
        let known = match (is_empty, resume) {
            (true, _) => None,
            (false, true) => match File::open(&path).map_err(LedgerError::from).and_then(Ledger::open) {
                Ok(known) => Some(known),
                // Killed before its first run.
                Err(LedgerError::Cut(_)) => None,
                Err(error) => return Err(format!("{}; without --resume it is replaced", cannot(&error))),
            },
            (false, false) => {
                message(&format!(
                    "note: {shown} of an interrupted run is replaced; --resume goes on with it\n"
                ));
                None
            }
        };
        let Some(known) = known else {
            if resume {
                message(&format!("note: there are no runs in {shown}: all are played\n"));
            }
            file.set_len(0).map_err(|e| cannot(&e))?;
            let writer = Some(Writer::new(file, header).map_err(|e| cannot(&e))?);
            return Ok(Self { path, writer, known: None, made });
        };
        if known.header.digest != header.digest {
            let difference = known.header.difference(header);
            return Err(format!("{shown} is of other inputs: {difference}; without --resume it is replaced"));
        }
        // A run that was cut off by the interruption goes; one that was damaged takes those behind it along.
        file.set_len(known.trusted()).map_err(|e| cannot(&e))?;
        let (kept, total) = (known.runs().count(), header.runs as usize * header.variants.len());
        message(&format!("going on after {kept} of {total} runs\n"));
        Ok(Self { path, writer: Some(Writer::appending(file)), known: Some(known), made })
    }

    /// Where the runs are, if any are kept.
    pub fn path(&self) -> Option<&Path> {
        (!self.path.as_os_str().is_empty()).then_some(&self.path)
    }

    /// Takes the file away, and the folders that were made for it if nothing else is in them.
    pub fn remove(self) {
        if self.path().is_some() {
            // Who cannot take it away has it in the way of nothing: the next run replaces it.
            let _ = std::fs::remove_file(&self.path);
            for folder in &self.made {
                let _ = std::fs::remove_dir(folder);
            }
        }
    }
}

impl Keep for Partial {
    fn has(&self, run: u32, variant: usize) -> bool {
        self.known.as_ref().is_some_and(|known| known.has(run, variant))
    }

    fn recall(&mut self, run: u32, variant: usize) -> Result<RunData, RunError> {
        let error = |what: &dyn std::fmt::Display| RunError::Kept(format!("{}: {what}", self.path.display()));
        let found = match &mut self.known {
            Some(known) => known.run(run, variant).map_err(|e| error(&e))?,
            None => None,
        };
        found.ok_or_else(|| error(&format!("run {run} is no longer there")))
    }

    fn keep(&mut self, run: u32, variant: usize, data: &RunData) -> Result<(), RunError> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        if let Err(error) = writer.add(run, variant, data) {
            // Results matter more than being able to go on with them later.
            let path = self.path.display();
            message(&format!(
                "warning: {path}: {error}; an interruption would lose this run and those after it\n"
            ));
            self.writer = None;
        }
        Ok(())
    }
}
