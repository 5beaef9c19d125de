//! What databases are made of: their disks, their contention, their locks.

use super::count::NumberDistribution;
use super::dist::Distribution;
use super::quantity::{Ratio, Seconds, Size};
use super::source::Spanned;
use super::topology::Step;
use crate::{choice, record};

record! {
    /// Amazon's gp2: 3 operations per second and GiB (at least 100, at most 16,000), bursts of 3,000 as long as its 5.4
    /// million credits last; 128 MiB per second up to 170 GiB, 250 above (EBS user guide, 2023). Full of credits at the
    /// start: a 100 GiB volume bursts for 2,000 seconds.
    pub struct Gp2 [size] {
        /// Its size.
        size: Size,
        /// The share of its credits that are there at the start.
        credits: Ratio = 1,
        /// The time of an operation beside its time in line.
        latency: Seconds = "1ms",
    }
}
record! {
    /// Amazon's gp3: as many operations and bytes per second as are paid for, whatever its size (EBS user guide, 2023).
    pub struct Gp3 {
        /// Operations per second.
        iops: u32 = 3000,
        /// Bytes per second.
        throughput: Size = "125MiB",
        /// The time of an operation beside its time in line.
        latency: Seconds = "1ms",
    }
}
record! {
    /// A disk of so many operations per second.
    pub struct Disk [iops] {
        /// Operations per second.
        iops: u32,
        /// Bytes per second.
        throughput: Size = "1GiB",
        /// The time of an operation beside its time in line.
        latency: Seconds = "100us",
    }
}
choice! {
    /// What `Io` steps are served by. Operations wait in one line and are served in order; running out of them shows as
    /// latency, not as errors. A volume outlives its database's process.
    pub enum Storage {
        /// A disk without credits.
        Disk(Disk),
        /// Amazon's gp2, with credits for bursts.
        Gp2(Gp2),
        /// Amazon's gp3.
        Gp3(Gp3),
    }
}

record! {
    /// How queries that run at once slow each other down (the universal scalability law: Gunther, Guerrilla Capacity
    /// Planning, 2007): with n running, each takes 1 + sigma (n - 1) + kappa n (n - 1) times as long as alone, beside
    /// their sharing of the cores. Throughput is highest at n = sqrt((1 - sigma) / kappa) and falls beyond.
    pub struct Contention {
        /// The part of the work that only one can do at a time.
        sigma: f64 = 0,
        /// The price of keeping each informed of every other.
        kappa: f64 = 0,
    }
}

record! {
    /// Reads from or writes to the storage, and waits until that is done.
    pub struct Io [operations] {
        /// How many operations, of at most 256 KiB each.
        operations: NumberDistribution = 1,
        /// The bytes of each.
        size: Size = "8KiB",
    }
}

record! {
    /// Takes a lock, does something, and gives it back. Who holds a lock makes all others wait that want the same row,
    /// in order of arrival. Rows are told apart by the request's key, or at random if it has none.
    pub struct Lock [name, steps] {
        /// What is locked: steps with the same name in one component share their locks.
        name: String,
        /// How many rows there are; one is a hot row, or a mutex.
        rows: u32 = 1,
        /// What is done under the lock. It has no lock of its own inside.
        steps: Vec<Step>,
    }
}

record! {
    /// Makes a database the read replicas of another one. What is written there is sent to each of them and applied one
    /// write after the other; reads see what has been applied. Calls are spread over the replicas that run, one after
    /// the other, as a reader endpoint does; connections are counted over all of them.
    pub struct Replication [of] {
        /// The database that is written to.
        of: Spanned<String>,
        /// How many replicas there are.
        count: u32 = 1,
        /// How long a write is on its way to a replica.
        delay: Distribution = "1ms",
        /// How long a replica takes to apply one; while writes come faster than that, the replicas fall behind.
        apply: Distribution = "0s",
    }
}

record! {
    /// Patroni with its defaults (dynamic configuration settings, 2023): the leader renews its key every `loop_wait`;
    /// once the key has expired, `ttl` after its last renewal, a replica finds out in its own loop and is promoted. A
    /// crash of the process alone is restarted in place for up to `primary_start_timeout` first. Without
    /// `synchronous_mode` writes are lost that no replica had received.
    pub struct Patroni {
        /// How long the leader's key lives.
        ttl: Seconds = "30s",
        /// From one look to the next.
        loop_wait: Seconds = "10s",
        /// How long a crashed process may take to start again before a replica is promoted.
        primary_start_timeout: Seconds = "300s",
        /// How long the promotion takes.
        promote: Distribution = "2s",
        /// Whether a write waits until it has arrived at a replica (the first database that follows), so that none is
        /// lost.
        synchronous_mode: bool = false,
    }
}
record! {
    /// Amazon RDS Multi-AZ with one standby that cannot be read (RDS user guide, 2023: 60 to 120 seconds typically).
    /// The standby has every write. AWS publishes ranges, not distributions: the shape is ours.
    pub struct RdsMultiAz {
        /// The shortest time from the loss of the primary until the standby answers.
        min: Seconds = "60s",
        /// The longest; any time between them is as likely as any other.
        max: Seconds = "120s",
    }
}
record! {
    /// Amazon Aurora (user guide, 2023: usually less than 60 seconds, often less than 30). Readers share the storage
    /// with the writer, so no write is lost. AWS publishes ranges, not distributions: the shape is ours.
    pub struct Aurora {
        /// The shortest time from the loss of the writer until a reader has taken over.
        min: Seconds = "20s",
        /// The longest; any time between them is as likely as any other.
        max: Seconds = "60s",
    }
}
choice! {
    /// What happens when the server that is written to is lost: another takes over its name. All connections are lost.
    /// A replica that is promoted no longer serves reads until the lost server is back and takes its place.
    pub enum Failover {
        /// PostgreSQL with Patroni.
        Patroni(Patroni),
        /// Amazon RDS with a standby.
        RdsMultiAz(RdsMultiAz),
        /// Amazon Aurora.
        Aurora(Aurora),
        /// Nobody takes over until somebody says so.
        Manual(ManualFailover),
        /// A new server is set up from the last backup when somebody says so.
        Restore(RestoreFailover),
    }
}

record! {
    /// There is no other server: when an operator or a runbook says so (`FailOver`), a new one is set up and the last
    /// backup restored to it. All writes since that backup are lost.
    pub struct RestoreFailover as "Restore" {
        /// From one backup to the next; the first is at the start of the run.
        every: Seconds,
        /// How long setting up and restoring take.
        takes: Distribution,
    }
}

record! {
    /// Replicas follow, and nobody takes over by itself: an operator or a runbook does it by `FailOver`, as with a
    /// replica in another region (`pg_ctl promote`; RDS: promote a read replica). Writes are lost that the replica had
    /// not received.
    pub struct ManualFailover as "Manual" {
        /// How long the promotion takes.
        promote: Distribution = "10s",
    }
}
