//! Databases: their disks, who follows whom, and who takes over.

use super::draw;
use crate::base::dist::Dist;
use crate::components::replication::FailoverConfig;
use crate::components::volume::VolumeConfig;
use crate::model::{Draw, Failover, GroupKind, GroupShape};
use crate::spec::database as sd;
use crate::spec::quantity::Seconds;
use crate::spec::topology::{Database, Topology};

const GIB: f64 = 1_073_741_824.0;

/// Which groups are shards, and which follow another.
pub(super) fn follow(topology: &Topology, groups: &mut [GroupShape]) {
    let place = |groups: &[GroupShape], name: &str| {
        groups.iter().position(|g| g.kind == GroupKind::Database && g.name == name).map(|at| at as u32)
    };
    for (name, database) in topology.databases.iter() {
        let Some(at) = place(groups, name) else { continue };
        let of = database.replication.as_ref().and_then(|r| place(groups, &r.of.value));
        let shape = &mut groups[at as usize];
        shape.is_sharded = database.shards > 1;
        shape.replicates = of;
    }
}

pub(super) fn volume(storage: &sd::Storage) -> VolumeConfig {
    match storage {
        sd::Storage::Disk(d) => {
            VolumeConfig::provisioned(f64::from(d.iops), d.throughput.0 as f64, d.latency.0)
        }
        sd::Storage::Gp3(g) => {
            VolumeConfig::provisioned(f64::from(g.iops), g.throughput.0 as f64, g.latency.0)
        }
        sd::Storage::Gp2(g) => {
            VolumeConfig { start: g.credits.0, ..VolumeConfig::gp2(g.size.0 as f64 / GIB, g.latency.0) }
        }
    }
}

/// Which queries write, in order of name.
pub(super) fn writes(d: &Database) -> Vec<bool> {
    if d.writes.is_empty() {
        return Vec::new();
    }
    d.queries.names().map(|name| d.writes.iter().any(|write| write.value == name)).collect()
}

pub(super) fn replication(name: &str, d: &Database) -> Option<(Draw, Draw)> {
    let r = d.replication.as_ref()?;
    let path = format!("databases.{name}.replication");
    Some((draw(&r.delay.dist, &format!("{path}.delay")), draw(&r.apply.dist, &format!("{path}.apply"))))
}

pub(super) fn failover(name: &str, d: &Database) -> Option<Failover> {
    let path = format!("databases.{name}.failover.promote");
    let at_once = Dist::Constant(0.0);
    let managed = |min: Seconds, max: Seconds, takes_replica| Failover {
        config: FailoverConfig::Managed { min: min.duration(), max: max.duration() },
        promote: draw(&at_once, &path),
        loses_writes: false,
        takes_replica,
        backup: None,
    };
    Some(match d.failover.as_ref()? {
        sd::Failover::Patroni(p) => Failover {
            config: FailoverConfig::Patroni {
                ttl: p.ttl.duration(),
                loop_wait: p.loop_wait.duration(),
                primary_start_timeout: p.primary_start_timeout.duration(),
            },
            promote: draw(&p.promote.dist, &path),
            loses_writes: !p.synchronous_mode,
            takes_replica: true,
            backup: None,
        },
        sd::Failover::RdsMultiAz(r) => managed(r.min, r.max, false),
        sd::Failover::Aurora(a) => managed(a.min, a.max, true),
        sd::Failover::Restore(r) => Failover {
            config: FailoverConfig::Manual,
            promote: draw(&r.takes.dist, &path),
            loses_writes: true,
            takes_replica: false,
            backup: Some(r.every.duration()),
        },
        sd::Failover::Manual(m) => Failover {
            config: FailoverConfig::Manual,
            promote: draw(&m.promote.dist, &path),
            loses_writes: true,
            takes_replica: true,
            backup: None,
        },
    })
}

/// How long a write waits for a replica to have received it, where it does.
pub(super) fn synchronous<'t>(topology: &'t Topology, name: &str, d: &Database) -> Option<&'t Dist> {
    let Some(sd::Failover::Patroni(p)) = &d.failover else { return None };
    let mut followers = topology.databases.iter().filter_map(|(_, d)| d.replication.as_ref());
    let first = followers.find(|r| r.of.value == name)?;
    p.synchronous_mode.then_some(&first.delay.dist)
}
