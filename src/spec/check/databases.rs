//! What databases are made of.

use super::each_step;
use super::values::{MANY, at_least_one, positive, positive_time};
use crate::spec::database::{Failover, Io, Lock, Storage};
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::quantity::Seconds;
use crate::spec::source::Span;
use crate::spec::topology::{Database, Service, Step, Topology};

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

/// Who follows whom.
pub(super) fn replication(topology: &Topology, cx: &mut Context) {
    for (name, d) in topology.databases.iter() {
        if let Some(r) = &d.replication {
            at_least_one(r.count, "count", r.place("count"), cx);
            not_too_many(r.count, "count", r.place("count"), cx);
            match topology.databases.get(&r.of.value) {
                None => {
                    let error =
                        Diagnostic::error(r.of.span, format!("there is no database `{}`", r.of.value));
                    cx.diagnostics.push(error.nearest(&r.of.value, topology.databases.names()));
                }
                Some(primary) if primary.replication.is_some() => {
                    cx.fail::<()>(r.of.span, "replicas follow a primary, not other replicas");
                }
                Some(primary) if primary.writes.is_empty() => {
                    let message = format!("`{}` has no `writes`: there is nothing to replicate", r.of.value);
                    cx.fail::<()>(r.of.span, message);
                }
                Some(_) => {}
            }
            if !d.writes.is_empty() {
                cx.fail::<()>(d.place("writes"), "replicas cannot be written to");
            }
            if d.shards > 1 {
                cx.fail::<()>(d.place("shards"), "replicas have no shards of their own");
            }
        }
        for query in &d.writes {
            if d.queries.get(&query.value).is_none() {
                let error = Diagnostic::error(query.span, format!("there is no query `{}`", query.value));
                cx.diagnostics.push(error.nearest(&query.value, d.queries.names()));
            }
        }
        at_least_one(d.shards, "shards", d.place("shards"), cx);
        not_too_many(d.shards, "shards", d.place("shards"), cx);
        let Some(failover) = &d.failover else { continue };
        let has_replicas = topology
            .databases
            .iter()
            .any(|(_, r)| r.replication.as_ref().is_some_and(|r| r.of.value == name));
        let span = d.place("failover");
        match failover {
            Failover::Patroni(p) => {
                positive_time(p.ttl, "ttl", p.place("ttl"), cx);
                positive_time(p.loop_wait, "loop_wait", p.place("loop_wait"), cx);
            }
            Failover::Manual(_) => {}
            Failover::Restore(r) => positive_time(r.every, "every", r.place("every"), cx),
            Failover::RdsMultiAz(r) => range(r.min, r.max, r.place("max"), cx),
            Failover::Aurora(a) => range(a.min, a.max, a.place("max"), cx),
        }
        if matches!(failover, Failover::Patroni(_) | Failover::Manual(_)) && !has_replicas {
            let error = Diagnostic::error(span, format!("`{name}` has no replica to promote"));
            let help = format!("give another database `replication: Replication(of: \"{name}\")`");
            cx.diagnostics.push(error.help(help));
        }
        if d.shards > 1 || d.replication.is_some() {
            cx.fail::<()>(span, "only a database of one server fails over");
        }
    }
}

fn not_too_many(value: u32, what: &str, span: Span, cx: &mut Context) {
    if value > MANY {
        cx.fail::<()>(span, format!("`{what}` must be at most {MANY}"));
    }
}

fn range(min: Seconds, max: Seconds, span: Span, cx: &mut Context) {
    if min.0 > max.0 {
        cx.fail::<()>(span, "`max` must be at least `min`");
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
