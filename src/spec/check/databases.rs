//! What databases are made of.

use super::each_step;
use super::values::{at_least_one, positive, positive_time};
use crate::spec::database::{Io, Lock, Storage};
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::topology::{Database, Service, Step};

/// The largest operation of Amazon's SSD volumes, in bytes.
const OPERATION_BYTES_MAX: u64 = 256 * 1024;

pub(super) fn database(d: &Database, cx: &mut Context) {
    if let Some(limit) = d.statement_timeout {
        positive_time(limit, "statement_timeout", d.place("statement_timeout"), cx);
    }
    if let Some(limit) = d.lock_timeout {
        positive_time(limit, "lock_timeout", d.place("lock_timeout"), cx);
    }
    if let Some(contention) = &d.contention {
        for (name, value) in [("sigma", contention.sigma), ("kappa", contention.kappa)] {
            if !(0.0..=1.0).contains(&value) {
                cx.fail::<()>(contention.place(name), format!("`{name}` must be from 0 to 1"));
            }
        }
    }
    match &d.storage {
        Some(Storage::Disk(disk)) => {
            at_least_one(disk.iops, "iops", disk.place("iops"), cx);
            positive(disk.throughput.0 as f64, "throughput", disk.place("throughput"), cx);
        }
        Some(Storage::Gp3(gp3)) => {
            at_least_one(gp3.iops, "iops", gp3.place("iops"), cx);
            positive(gp3.throughput.0 as f64, "throughput", gp3.place("throughput"), cx);
        }
        Some(Storage::Gp2(gp2)) => positive(gp2.size.0 as f64, "size", gp2.place("size"), cx),
        None => {
            for (_, program) in d.queries.iter() {
                each_step(program, &mut |step| {
                    if let Step::Io(io) = step {
                        let message = "there is no `storage` for this";
                        let error = Diagnostic::error(io.span, message);
                        cx.diagnostics.push(error.help("give the database a `storage`"));
                    }
                });
            }
        }
    }
}

/// What only a database has.
pub(super) fn service(s: &Service, cx: &mut Context) {
    for (_, program) in s.endpoints.iter() {
        each_step(program, &mut |step| {
            if let Step::Io(io) = step {
                let error = Diagnostic::error(io.span, "a service has no `storage`");
                cx.diagnostics.push(error.help("`Io` is a step of a database's queries"));
            }
        });
    }
}

pub(super) fn io(io: &Io, cx: &mut Context) {
    if io.size.0 == 0 || io.size.0 > OPERATION_BYTES_MAX {
        cx.fail::<()>(
            io.place("size"),
            "`size` must be from 1 B to 256 KiB: larger ones are several operations",
        );
    }
}

pub(super) fn lock(lock: &Lock, cx: &mut Context) {
    at_least_one(lock.rows, "rows", lock.place("rows"), cx);
    if lock.name.is_empty() {
        cx.fail::<()>(lock.place("name"), "a lock needs a name");
    }
    each_step(&lock.steps, &mut |step| {
        if let Step::Lock(inner) = step {
            let error = Diagnostic::error(inner.span, "a lock inside a lock");
            cx.diagnostics.push(error.help("two of them could wait for each other for ever"));
        }
    });
}
