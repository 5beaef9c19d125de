//! Faults of the network between components, and of dependencies as their callers meet them.

use super::Instances;
use crate::spec::dist::Distribution;
use crate::spec::quantity::{Rate, Ratio, Seconds};
use crate::spec::source::{Span, Spanned};
use crate::{choice, record};

choice! {
    /// Which messages between two sides a fault strikes.
    pub enum Ways {
        /// Those of either side.
        Both,
        /// Those from `from` to `to` only. Without `from`: those that come to `to`.
        OneWay,
    }
}

record! {
    /// Cuts two sides off from each other. What crosses the cut is lost in silence: nobody gets an error, and whoever
    /// waits for an answer waits for his own timeout. A message that was sent on an open connection is repeated as TCP
    /// does it (200 ms later, then 400 ms, 800 ms, up to 120 s), so it gets through some time after the end; after 15
    /// repetitions (924.6 s, or `Connect`'s limits) the kernel gives up and the call fails with `Error`. New
    /// connections (`Connect`, pools) send SYN after SYN. Health checks between the two sides are lost as well;
    /// replicas do not hear of writes; publishers and consumers do not reach their queue. One way: requests are worked
    /// on and their answers are lost, or they never arrive.
    pub struct Partition {
        /// One side: a client population, balancer, service, database, external dependency or message queue. If it is
        /// not given, `to` is cut off from everybody, who watches over it included: a database's failover begins.
        from: Option<Spanned<String>> = None,
        /// The other side.
        to: Spanned<String>,
        /// Whether messages of both sides are lost, or only those from `from` to `to`.
        ways: Ways = Both,
        /// Which instances: of `to`, or of `from` if `to` is no service.
        instances: Instances = All,
        /// For how long; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// What to call the fault; `to` if not given.
        name: Option<String> = None,
    }
}
record! {
    /// Makes messages between components take longer, as `tc netem` does: those of requests, answers, health checks
    /// and handshakes. A message here is a whole request or answer.
    pub struct LatencyFault as "Latency fault" {
        /// Who calls; everybody who calls `to` if not given.
        from: Option<Spanned<String>> = None,
        /// Who is called: a balancer, service, database or external dependency.
        to: Spanned<String>,
        /// What each message takes longer.
        latency: Distribution = "0s",
        /// So much more or less, each as probable; no message takes less time than without the fault.
        jitter: Seconds = "0s",
        /// Whether messages of both sides are struck, or only those from `from` to `to`.
        ways: Ways = Both,
        /// Which instances: of `to`, or of `from` if `to` is no service.
        instances: Instances = All,
        /// For how long; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// What to call the fault; `to` if not given.
        name: Option<String> = None,
    }
}
record! {
    /// Loses messages between components: requests, answers, health checks, SYNs. What is lost is sent again after a
    /// time that doubles with each loss, up to 120 s, as TCP does; a SYN is repeated after a second.
    pub struct LossFault as "Loss fault" {
        /// Who calls; everybody who calls `to` if not given.
        from: Option<Spanned<String>> = None,
        /// Who is called: a balancer, service, database or external dependency.
        to: Spanned<String>,
        /// The share of messages.
        ratio: Ratio,
        /// The first time after which a lost message is sent again; 200 ms is the least that Linux takes.
        retransmission: Seconds = "200ms",
        /// Whether messages of both sides are struck, or only those from `from` to `to`.
        ways: Ways = Both,
        /// Which instances: of `to`, or of `from` if `to` is no service.
        instances: Instances = All,
        /// For how long; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// What to call the fault; `to` if not given.
        name: Option<String> = None,
    }
}
record! {
    /// Resets connections: calls fail with `Error` before they reach the callee, and a pool loses the connection that
    /// it had lent to such a call.
    pub struct ResetsFault as "Resets fault" {
        /// Who calls; everybody who calls `to` if not given.
        from: Option<Spanned<String>> = None,
        /// Who is called: a balancer, service, database or external dependency.
        to: Spanned<String>,
        /// The share of calls.
        ratio: Ratio = 1,
        /// Which instances: of `to`, or of `from` if `to` is no service.
        instances: Instances = All,
        /// For how long; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// What to call the fault; `to` if not given.
        name: Option<String> = None,
    }
}
choice! {
    /// What becomes of a lookup that fails.
    pub enum DnsAnswer {
        /// The resolver says that there is no such name, after the usual time.
        NxDomain,
        /// The resolver says that it cannot tell, after the usual time.
        ServFail,
        /// The resolver does not answer: each attempt takes the whole timeout.
        Timeout,
    }
}
record! {
    /// Makes lookups of a component's name fail, for callers whose policy has `Connect` with `dns`. Who still has an
    /// open connection, or keeps the address, goes on.
    pub struct DnsFailure {
        /// The component as it is called: a balancer, service, database or external dependency.
        target: Spanned<String>,
        /// How lookups fail.
        answer: DnsAnswer = Timeout,
        /// For how long; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
    }
}
record! {
    /// Makes a component answer 429: `Rejected`, at once and without work.
    pub struct Throttling {
        /// The service, database or external dependency.
        target: Spanned<String>,
        /// Requests beyond so many per second, all instances together, are turned away (a token bucket).
        rate: Option<Rate> = None,
        /// The most tokens that can be saved up; those of a second if not given.
        burst: Option<u32> = None,
        /// Or such a share of requests is turned away.
        ratio: Option<Ratio> = None,
        /// What `Retry-After` tells those who are turned away; nothing if not given.
        retry_after: Option<Seconds> = None,
        /// For how long; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
    }
}
record! {
    /// Makes answers wrong that look right. They count as successes everywhere; who uses one gives a wrong answer, too,
    /// and caches keep it until it expires. The metric `clients.NAME.wrong` counts those that reached clients.
    pub struct WrongAnswers {
        /// The service, database or external dependency.
        target: Spanned<String>,
        /// The share of its answers.
        ratio: Ratio = 1,
        /// Which instances.
        instances: Instances = All,
        /// For how long; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
    }
}
record! {
    /// Lets a component's certificate expire: new connections fail at the end of the handshake. Connections that are
    /// open go on until they are closed, so the failure creeps in as they age. It strikes callers whose policy has
    /// `Connect` with TLS, and connections of pools, which are taken to use TLS.
    pub struct CertificateExpiry {
        /// The component as it is called: a balancer, service, database or external dependency.
        target: Spanned<String>,
        /// For how long; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
    }
}
record! {
    /// Limits the connections that a component's host keeps in mind (conntrack, file descriptors). While the table is
    /// full, SYNs are dropped in silence, so that connecting times out; connections that are open go on. It counts and
    /// strikes connections of `Connect` layers and pools.
    pub struct FullConnectionTable {
        /// The component as it is called: a balancer, service, database or external dependency.
        target: Spanned<String>,
        /// The most connections, all instances together.
        max: u32,
        /// For how long; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
    }
}
record! {
    /// Makes clients read slowly: an answer that succeeds keeps its worker until it is read. Answers of services that
    /// clients reach directly or through a balancer, but for nginx, which keeps answers until they are read.
    pub struct SlowClients {
        /// The client population.
        target: Spanned<String>,
        /// How long they take to read an answer.
        reads: Distribution,
        /// The share of requests.
        ratio: Ratio = 1,
        /// For how long; to the end of the run if not given.
        lasts: Option<Seconds> = None,
        /// What to call the fault; its target if not given.
        name: Option<String> = None,
    }
}

/// Which of the two ends of a fault are meant, for those that have two.
#[derive(Clone, Copy, Debug)]
pub struct Between<'a> {
    /// One side.
    pub from: Option<&'a Spanned<String>>,
    /// The other.
    pub to: &'a Spanned<String>,
    /// Which instances.
    pub instances: &'a Instances,
    /// Where those were written.
    pub instances_at: Span,
    /// Whether both ways are struck.
    pub both: bool,
    /// Whether the fault is a partition: then any side may be on either end.
    pub is_partition: bool,
}

impl super::Action {
    /// The two sides of a fault between components.
    pub fn between(&self) -> Option<Between<'_>> {
        let both = |ways: &Ways| matches!(ways, Ways::Both);
        let (from, to, instances, both) = match self {
            Self::Partition(f) => (&f.from, &f.to, &f.instances, both(&f.ways)),
            Self::Latency(f) => (&f.from, &f.to, &f.instances, both(&f.ways)),
            Self::Loss(f) => (&f.from, &f.to, &f.instances, both(&f.ways)),
            Self::Resets(f) => (&f.from, &f.to, &f.instances, false),
            _ => return None,
        };
        Some(Between {
            from: from.as_ref(),
            to,
            instances,
            instances_at: self.place("instances"),
            both,
            is_partition: matches!(self, Self::Partition(_)),
        })
    }
}

impl crate::spec::experiment::Experiment {
    /// Whether any of its faults makes answers wrong, whatever the variant, or an expectation asks for wrong answers.
    pub fn has_wrong_answers(&self) -> bool {
        let mut expected = self.expect.iter().flat_map(|(_, all)| all);
        if expected.any(|one| one.value.contains(".wrong") || one.value.contains(".right")) {
            return true;
        }
        let variants = || self.variants.iter().map(|(_, variant)| &variant.0);
        let timeline = self.timeline.iter().chain(variants().flat_map(|v| &v.timeline)).map(|at| &at.action);
        let when = self.when.iter().chain(variants().flat_map(|v| &v.when)).map(|when| &when.action);
        let runbooks = self.runbooks.iter().chain(variants().flat_map(|v| v.runbooks.iter()));
        let steps = runbooks.flat_map(|(_, runbook)| &runbook.steps).map(|step| &step.action);
        let mut all = timeline.chain(when).chain(steps);
        all.any(|action| matches!(action, super::Action::WrongAnswers(_)))
    }
}
