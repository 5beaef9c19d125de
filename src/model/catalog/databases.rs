//! The metrics of locks and disks.

use super::{Builder, FailoverMeters, LambdaMeters, LockMeters, ReplicationMeters, VolumeMeters};
use crate::base::units::Unit;
use crate::metrics::Source;
use crate::model::{GroupKind, Model};

impl Builder {
    /// Locks and volumes of all groups, as far as any settings have them.
    pub(super) fn databases(&mut self, model: &Model) {
        for lock in &model.locks {
            let group = &model.groups[lock.group as usize];
            let family = if group.kind == GroupKind::Service { "services" } else { "databases" };
            self.lock(&format!("{family}.{}.locks.{}", group.name, lock.name));
        }
        for (index, group) in model.groups.iter().enumerate() {
            let has_volume = model.epochs.iter().any(|epoch| epoch.groups[index].volume.is_some());
            let meters = if has_volume {
                self.volume(&format!("databases.{}.storage", group.name))
            } else {
                VolumeMeters::default()
            };
            self.catalog.volumes.push(meters);
            let is_lambda = model.epochs.iter().any(|epoch| epoch.groups[index].lambda.is_some());
            let lambda = is_lambda.then(|| self.lambda(&format!("services.{}", group.name)));
            self.catalog.lambdas.push(lambda.unwrap_or_default());
            let path = format!("databases.{}", group.name);
            let replication = group.replicates.map(|_| self.replication(&path));
            self.catalog.replication.push(replication.unwrap_or_default());
            let fails_over = model.epochs.iter().any(|epoch| epoch.groups[index].failover.is_some());
            let failover = fails_over.then(|| self.failover(&path));
            self.catalog.failovers.push(failover.unwrap_or_default());
        }
    }

    fn lambda(&mut self, path: &str) -> LambdaMeters {
        let meters =
            LambdaMeters { environments: self.gauge(), cold: self.counter(), throttled: self.counter() };
        let unit = Unit::Count("environments");
        let meaning = "execution environments, busy and idle, as of the last request";
        self.level(format!("{path}.environments"), unit, meaning, meters.environments, 1.0);
        let counted = [
            ("cold_starts", "requests that waited for a new environment", meters.cold),
            ("throttled", "requests turned away by the limits of Lambda", meters.throttled),
        ];
        for (name, meaning, counter) in counted {
            self.add(format!("{path}.{name}"), Unit::PerSecond, meaning, Source::CounterRate(counter));
        }
        meters
    }

    fn replication(&mut self, path: &str) -> ReplicationMeters {
        let meters = ReplicationMeters { backlog: self.gauge(), lag: self.timer(), stale: self.counter() };
        let unit = Unit::Count("writes");
        let meaning = "writes that are not applied yet, all replicas";
        self.level(format!("{path}.replication_backlog"), unit, meaning, meters.backlog, 1.0);
        self.timer_metrics(
            &format!("{path}.replication_lag"),
            meters.lag,
            "from a commit until it is applied",
        );
        let rate = Source::CounterRate(meters.stale);
        let meaning = "reads at a replica that had not applied every write";
        self.add(format!("{path}.stale_reads"), Unit::PerSecond, meaning, rate);
        meters
    }

    fn failover(&mut self, path: &str) -> FailoverMeters {
        let meters = FailoverMeters { failovers: self.counter(), lost: self.counter(), rpo: self.timer() };
        let counted = [
            ("failovers", "failovers", "how often another server took over", meters.failovers),
            (
                "lost_writes",
                "writes",
                "writes that no replica had received when the server was lost",
                meters.lost,
            ),
        ];
        for (name, unit, meaning, counter) in counted {
            let total = Source::CounterTotal(counter);
            self.add(format!("{path}.{name}"), Unit::Count(unit), meaning, total);
        }
        self.add(
            format!("{path}.rpo"),
            Unit::Seconds,
            "age of the oldest write that was acknowledged and lost, when the server was lost",
            Source::TimerMax(meters.rpo),
        );
        meters
    }

    fn lock(&mut self, path: &str) {
        let meters = LockMeters { wait: self.timer(), waiting: self.gauge(), timeouts: self.counter() };
        self.catalog.locks.push(meters);
        self.timer_metrics(&format!("{path}.wait"), meters.wait, "waiting for the lock, zero included");
        let unit = Unit::Count("requests");
        let meaning = "requests that wait for the lock, all rows";
        self.level(format!("{path}.waiting"), unit, meaning, meters.waiting, 1.0);
        let rate = Source::CounterRate(meters.timeouts);
        let meaning = "requests that waited too long for the lock";
        self.add(format!("{path}.timeouts"), Unit::PerSecond, meaning, rate);
    }

    fn volume(&mut self, path: &str) -> VolumeMeters {
        let meters = VolumeMeters { time: self.timer(), operations: self.counter(), credits: self.gauge() };
        let meaning = "reading and writing, time in line included";
        self.timer_metrics(&format!("{path}.time"), meters.time, meaning);
        let rate = Source::CounterRate(meters.operations);
        self.add(format!("{path}.operations"), Unit::PerSecond, "operations of the disk", rate);
        let meaning =
            "share of the burst credits left, as of the last operation; of a disk without credits, 1";
        self.level(format!("{path}.credits"), Unit::Ratio, meaning, meters.credits, 1e-6);
        meters
    }
}
