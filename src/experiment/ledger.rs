//! Ledgers: files that keep runs, each as it was played, so that others can go on with them.
//!
//! A ledger is a mark with the version of the format, then frames: a header, runs in any order, and an end. A frame is
//! its kind (one byte), the length of what it holds (eight bytes, little-endian), that, and the XXH64 of all three.
//! The end holds how many runs there are and the SHA-256 of all bytes before it. Headers and runs are written with
//! `postcard`, which keeps the bits of every number, NaN included.
//!
//! Runs are appended as they finish. A ledger without an end was interrupted; what stands before the first frame that
//! is cut or damaged can be trusted. The header carries all texts that the experiment was made of, so a ledger needs
//! no other file to be made sense of.

use super::fold::RunData;
use super::plan::Plan;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use xxhash_rust::xxh64::xxh64;

/// What every ledger begins with; the number is the version of the format.
const MARK: &[u8; 16] = b"brownout runs 4\n";

/// How runs draw their random numbers. Changes when the same seed gives other runs.
pub const RANDOM: &str = "xoshiro256++ keyed by (seed, run, path, purpose), variates by libm 0.2.16";

const HEADER: u8 = b'H';
const RUN: u8 = b'R';
const END: u8 = b'E';

/// Kind and length.
const HEAD_BYTES: usize = 9;
const SUM_BYTES: usize = 8;

/// Why a ledger cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The disk says no.
    #[error("{0}")]
    Disk(String),
    /// It is something else.
    #[error("this is no file of runs")]
    NoLedger,
    /// Its format is another.
    #[error("its format is that of another version of brownout")]
    OtherFormat,
    /// It ends before its end.
    #[error("it is cut short: nothing whole stands after byte {0}")]
    Cut(u64),
    /// Something in it is not as it was written.
    #[error("it is damaged: what stands from byte {0} on is not as it was written")]
    Damaged(u64),
}

impl From<io::Error> for LedgerError {
    fn from(error: io::Error) -> Self {
        Self::Disk(error.to_string())
    }
}

/// The warm-up that was asked for, if any: its nanoseconds, or none if it is to be found.
pub type AskedWarmup = Option<Option<u64>>;

/// The precision that was asked for, as a share, and of what.
pub type AskedPrecision = Option<(f64, Vec<String>)>;

/// What was asked: all that determines the runs and how they are reported, beside seed and number of runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The file, as it was named.
    pub file: String,
    /// Settings of the command line, each `PATH=VALUE`.
    pub sets: Vec<String>,
    /// The simulated time of each run in nanoseconds, if the command line gave it.
    pub duration_ns: Option<u64>,
    /// The warm-up, if the command line gave it: its nanoseconds, or none if it is to be found.
    pub warmup_ns: AskedWarmup,
    /// The precision that the command line wants, as a share, and of what.
    pub precision: AskedPrecision,
    /// The share of requests that is traced, if the command line gave it.
    pub traces: Option<f64>,
    /// Every file that was read: path and bytes, in order of path.
    pub texts: Vec<(String, Vec<u8>)>,
}

/// What a ledger is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The version of brownout that played.
    pub brownout: String,
    /// How random numbers were drawn.
    pub random: String,
    /// The experiment's name.
    pub name: String,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Runs of each variant, in all.
    pub runs: u32,
    /// The variants, in order of name.
    pub variants: Vec<String>,
    /// The simulated time of each run in nanoseconds, and that of its warm-up.
    pub times_ns: (u64, u64),
    /// What was asked.
    pub asked: Asked,
    /// The SHA-256 over all of the above: runs of the same digest belong together.
    pub digest: [u8; 32],
    /// The runs that this ledger is to keep.
    pub range: Range<u32>,
    /// Which shard it is and of how many, both counted from 1; none if it keeps all runs.
    pub shard: Option<(u32, u32)>,
}

impl Header {
    /// The header of all runs of a plan.
    pub fn new(plan: &Plan, asked: Asked) -> Self {
        let mut header = Self {
            brownout: env!("CARGO_PKG_VERSION").to_string(),
            random: RANDOM.to_string(),
            name: plan.name.clone(),
            seed: plan.seed,
            runs: plan.runs,
            variants: plan.variants.iter().map(|v| v.name.clone()).collect(),
            times_ns: (plan.end.ns(), plan.warmup.ns()),
            asked,
            digest: [0; 32],
            range: 0..0,
            shard: None,
        };
        // Range and digest are still empty: they are not part of it.
        header.digest = Sha256::digest(bytes(&header)).into();
        header.range = 0..plan.runs;
        header
    }

    /// What differs between the inputs of two ledgers, for people: `seed 7 instead of seed 42`.
    pub fn difference(&self, expected: &Self) -> String {
        let (a, b) = (&self.asked, &expected.asked);
        let sets = |asked: &Asked| match asked.sets.as_slice() {
            [] => "no --set".to_string(),
            sets => format!("--set {}", sets.join(" --set ")),
        };
        let duration = |asked: &Asked| match asked.duration_ns {
            Some(ns) => format!("--duration {ns}ns"),
            None => "the duration of the file".to_string(),
        };
        let warmup = |asked: &Asked| match asked.warmup_ns {
            Some(Some(ns)) => format!("--warmup {ns}ns"),
            Some(None) => "--warmup auto".to_string(),
            None => "the warm-up of the file".to_string(),
        };
        let precision = |asked: &Asked| match &asked.precision {
            Some((within, of)) => format!("--precision {within} of `{}`", of.join("` `")),
            None => "the runs of the file".to_string(),
        };
        let traces = |asked: &Asked| match asked.traces {
            Some(share) => format!("--traces {share}"),
            None => "the traces of the file".to_string(),
        };
        let differs = |found: String, expected: String| (found != expected).then_some((found, expected));
        let found = [
            differs(format!("brownout {}", self.brownout), format!("brownout {}", expected.brownout)),
            differs(self.random.clone(), expected.random.clone()),
            differs(format!("name {}", self.name), format!("name {}", expected.name)),
            differs(format!("seed {}", self.seed), format!("seed {}", expected.seed)),
            differs(format!("{} runs", self.runs), format!("{} runs", expected.runs)),
            differs(duration(a), duration(b)),
            differs(warmup(a), warmup(b)),
            differs(precision(a), precision(b)),
            differs(traces(a), traces(b)),
            differs(sets(a), sets(b)),
            differs(format!("file {}", a.file), format!("file {}", b.file)),
        ];
        if let Some((found, expected)) = found.into_iter().flatten().next() {
            return format!("{found} instead of {expected}");
        }
        let text_of = |asked: &Asked, path: &String| {
            asked.texts.iter().find(|(other, _)| other == path).map(|(_, text)| text.clone())
        };
        let paths = a.texts.iter().chain(&b.texts).map(|(path, _)| path);
        match paths.into_iter().find(|path| text_of(a, path) != text_of(b, path)) {
            Some(path) => format!("{path} had another text"),
            None => "the same texts gave another plan".to_string(),
        }
    }
}

fn bytes<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).expect("plain data can always be written to memory")
}

/// One frame, ready to be written.
fn frame(kind: u8, parts: [&[u8]; 2]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let mut frame = Vec::with_capacity(HEAD_BYTES + length + SUM_BYTES);
    frame.push(kind);
    frame.extend((length as u64).to_le_bytes());
    parts.iter().for_each(|part| frame.extend_from_slice(part));
    let sum = xxh64(&frame, 0);
    frame.extend(sum.to_le_bytes());
    frame
}

/// A run of a variant, as the bytes that its frame begins with.
fn key(run: u32, variant: u32) -> [u8; 8] {
    (u64::from(run) << 32 | u64::from(variant)).to_be_bytes()
}

/// A ledger that is being written, each frame in one piece: whoever is killed leaves whole runs behind.
#[derive(Debug)]
pub struct Writer<W> {
    into: W,
    sum: Sha256,
    count: u64,
}

impl<W: Write> Writer<W> {
    /// Begins a ledger.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn new(into: W, header: &Header) -> Result<Self, LedgerError> {
        let mut writer = Self { into, sum: Sha256::new(), count: 0 };
        writer.write(MARK)?;
        writer.write(&frame(HEADER, [&bytes(header), &[]]))?;
        Ok(writer)
    }

    /// Goes on with a ledger that was interrupted, of which `into` is the end. It will have no end.
    pub fn appending(into: W) -> Self {
        Self { into, sum: Sha256::new(), count: 0 }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LedgerError> {
        self.into.write_all(bytes)?;
        self.sum.update(bytes);
        Ok(())
    }

    /// Adds a run.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add(&mut self, run: u32, variant: usize, data: &RunData) -> Result<(), LedgerError> {
        self.count += 1;
        self.write(&frame(RUN, [&key(run, variant as u32), &bytes(data)]))
    }

    /// Ends the ledger.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn end(mut self) -> Result<W, LedgerError> {
        let sum = self.sum.clone().finalize();
        self.write(&frame(END, [&self.count.to_le_bytes(), &sum]))?;
        self.into.flush()?;
        Ok(self.into)
    }
}

/// A ledger that is read.
#[derive(Debug)]
pub struct Ledger<R> {
    from: R,
    /// What it is about.
    pub header: Header,
    /// Where the runs are: by run and variant, the first byte of what their frame holds and its length.
    runs: BTreeMap<(u32, u32), (u64, u64)>,
    /// How many bytes can be trusted.
    trusted: u64,
    fault: Option<LedgerError>,
}

/// A frame that is whole.
struct Frame {
    kind: u8,
    holds: Vec<u8>,
}

impl<R: Read + Seek> Ledger<R> {
    /// Reads a ledger through once and remembers where its runs are.
    ///
    /// # Errors
    /// If it cannot be read, is no ledger, or has no header that can be trusted.
    pub fn open(mut from: R) -> Result<Self, LedgerError> {
        let length = from.seek(SeekFrom::End(0))?;
        from.seek(SeekFrom::Start(0))?;
        let mut mark = [0; MARK.len()];
        let got = read_up_to(&mut from, &mut mark)?;
        if got < mark.len() {
            return Err(if MARK.starts_with(&mark[..got]) {
                LedgerError::Cut(0)
            } else {
                LedgerError::NoLedger
            });
        }
        if mark != *MARK {
            let is_other = mark.starts_with(b"brownout runs ");
            return Err(if is_other { LedgerError::OtherFormat } else { LedgerError::NoLedger });
        }
        let (mut at, mut sum) = (mark.len() as u64, Sha256::new());
        sum.update(mark);
        let first = next(&mut from, at, length, &mut sum)?.ok_or(LedgerError::Cut(at))?;
        let header = match (first.kind, postcard::from_bytes(&first.holds)) {
            (HEADER, Ok(header)) => header,
            _ => return Err(LedgerError::Damaged(at)),
        };
        at += first.length();
        let mut ledger = Self { from, header, runs: BTreeMap::new(), trusted: at, fault: None };
        ledger.fault = ledger.index(length, sum).err();
        Ok(ledger)
    }

    /// Finds all runs up to the end, or to what cannot be trusted.
    fn index(&mut self, length: u64, mut sum: Sha256) -> Result<(), LedgerError> {
        loop {
            let at = self.trusted;
            let before = sum.clone();
            let frame = next(&mut self.from, at, length, &mut sum)?.ok_or(LedgerError::Cut(at))?;
            match frame.kind {
                RUN => {
                    let key = frame.holds.first_chunk::<8>().ok_or(LedgerError::Damaged(at))?;
                    let key = u64::from_be_bytes(*key);
                    let (run, variant) = ((key >> 32) as u32, key as u32);
                    let place = (at + HEAD_BYTES as u64, frame.holds.len() as u64);
                    let is_known = run < self.header.runs && (variant as usize) < self.header.variants.len();
                    if !is_known || self.runs.insert((run, variant), place).is_some() {
                        return Err(LedgerError::Damaged(at));
                    }
                    self.trusted += frame.length();
                }
                END => {
                    let mut wanted = (self.runs.len() as u64).to_le_bytes().to_vec();
                    wanted.extend(before.finalize());
                    if frame.holds != wanted || at + frame.length() != length {
                        return Err(LedgerError::Damaged(at));
                    }
                    return Ok(());
                }
                _ => return Err(LedgerError::Damaged(at)),
            }
        }
    }

    /// What is wrong with it; nothing if it is whole, from its mark to its end.
    pub fn fault(&self) -> Option<&LedgerError> {
        self.fault.as_ref()
    }

    /// The number of bytes that can be trusted; the end is not among them.
    pub fn trusted(&self) -> u64 {
        self.trusted
    }

    /// The runs that it keeps, in order of run and variant.
    pub fn runs(&self) -> impl Iterator<Item = (u32, usize)> {
        self.runs.keys().map(|(run, variant)| (*run, *variant as usize))
    }

    /// Whether it keeps a run of a variant.
    pub fn has(&self, run: u32, variant: usize) -> bool {
        self.runs.contains_key(&(run, variant as u32))
    }

    /// The bytes of a run; none if it is not here.
    ///
    /// # Errors
    /// If they cannot be read again.
    pub fn bytes(&mut self, run: u32, variant: usize) -> Result<Option<Vec<u8>>, LedgerError> {
        let Some((at, length)) = self.runs.get(&(run, variant as u32)).copied() else { return Ok(None) };
        let (start, end) = (at - HEAD_BYTES as u64, at + length + SUM_BYTES as u64);
        self.from.seek(SeekFrom::Start(start))?;
        match next(&mut self.from, start, end, &mut Sha256::new())? {
            Some(frame) => Ok(Some(frame.holds)),
            None => Err(LedgerError::Cut(start)),
        }
    }

    /// A run; none if it is not here.
    ///
    /// # Errors
    /// If it cannot be read again.
    pub fn run(&mut self, run: u32, variant: usize) -> Result<Option<RunData>, LedgerError> {
        let Some(bytes) = self.bytes(run, variant)? else { return Ok(None) };
        let damaged = || LedgerError::Damaged(self.runs[&(run, variant as u32)].0);
        postcard::from_bytes(&bytes[key(0, 0).len()..]).map(Some).map_err(|_| damaged())
    }
}

impl Frame {
    fn length(&self) -> u64 {
        (HEAD_BYTES + self.holds.len() + SUM_BYTES) as u64
    }
}

/// The frame that begins at byte `at`; none if the file ends before it does.
fn next(from: &mut impl Read, at: u64, end: u64, sum: &mut Sha256) -> Result<Option<Frame>, LedgerError> {
    let left = end.saturating_sub(at);
    let mut head = [0; HEAD_BYTES];
    if left < (HEAD_BYTES + SUM_BYTES) as u64 || read_up_to(from, &mut head)? < HEAD_BYTES {
        return Ok(None);
    }
    let [kind, length @ ..] = head;
    let length = u64::from_le_bytes(length);
    if length > left - (HEAD_BYTES + SUM_BYTES) as u64 {
        return Ok(None);
    }
    // What is read at once is never longer than the file.
    let mut whole = vec![0; HEAD_BYTES + length as usize + SUM_BYTES];
    whole[..HEAD_BYTES].copy_from_slice(&head);
    if read_up_to(from, &mut whole[HEAD_BYTES..])? < whole.len() - HEAD_BYTES {
        return Ok(None);
    }
    sum.update(&whole);
    let (content, written) = whole.split_at(HEAD_BYTES + length as usize);
    if xxh64(content, 0).to_le_bytes() != written {
        return Err(LedgerError::Damaged(at));
    }
    Ok(Some(Frame { kind, holds: content[HEAD_BYTES..].to_vec() }))
}

/// Reads until the buffer is full or the file is over.
fn read_up_to(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match from.read(&mut buffer[got..]) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}
