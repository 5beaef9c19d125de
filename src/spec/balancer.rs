//! What load balancers are by product: what they believe of their targets, and what they answer themselves.

use super::quantity::Seconds;
use super::source::Spanned;
use crate::{choice, record};

choice! {
    /// Whose load balancer it is: how it comes to believe a target healthy, what it does if it believes none to be, and
    /// what it answers itself.
    ///
    /// Of what a balancer answers itself it counts 502, 503 and 504, as `balancers.NAME.http_502` and so on.
    ///
    /// - `Alb`: 502 if a target refuses or breaks the connection, or is cut off at the end of its deregistration delay;
    ///   503 if no target is registered, which is *not* the same as all being unhealthy; 504 after `idle_timeout`.
    /// - `Envoy`: 503 if there is no healthy host (`UH`), if a host refuses (`UF`) or breaks (`UC`) the connection; 504
    ///   after `timeout` (`UT`).
    /// - `Nginx`: 502 if there are no live upstreams, or the last server that was tried refuses or breaks the
    ///   connection; 504 if it does not answer within `proxy_read_timeout`.
    /// - `Haproxy`: 503 if no server is up, if the last try is refused, and for who has waited `timeout_queue` or
    ///   would be one too many in a server's line; 502 if a server breaks the connection; 504 after `timeout_server`.
    pub enum BalancerProduct {
        /// AWS's Application Load Balancer, user guide of June 2023: `health_check`, `when_none_healthy` and
        /// `idle_timeout` say the rest. It never tries another target.
        Alb(Alb),
        /// Envoy 1.40.0.
        Envoy(Envoy),
        /// nginx 1.22.1.
        Nginx(Nginx),
        /// HAProxy 2.6.12.
        Haproxy(Haproxy),
    }
}

record! {
    /// The health of an ALB's target group (`target_group_health.unhealthy_state_routing` of Elastic Load Balancing,
    /// 2026): with fewer healthy targets than either says, it fails open, if `when_none_healthy` lets it.
    pub struct Alb {
        /// The fewest healthy targets.
        minimum_healthy_targets_count: u32 = 1,
        /// The smallest share of healthy targets, in whole percent; 0 is off.
        minimum_healthy_targets_percentage: u32 = 0,
    }
}

record! {
    /// An Envoy cluster (Envoy 1.40.0), with Envoy's names and defaults.
    ///
    /// Changes of health do not reach the balancer at once: see `update_merge_window`.
    pub struct Envoy {
        /// How long it waits for a host's whole answer before it gives up (a 504): the route's timeout. 0 for ever.
        timeout: Seconds = "15s",
        /// How it ejects hosts that answer badly; without it none is.
        outlier_detection: Option<OutlierDetection> = None,
        /// How it checks hosts; without it all are healthy unless ejected.
        health_check: Option<EnvoyHealthCheck> = None,
        /// Below so many percent of healthy hosts it *panics*: it sends to all hosts, whatever is believed of them.
        /// Strictly below: with 50, half of the hosts healthy is no reason to panic. 0 for never. Hosts that are
        /// healthy are taken to carry 1.4 times their share, so that from 71.43 % on there is no panic, whatever is
        /// said here.
        healthy_panic_threshold: u32 = 50,
        /// Whether it answers everything with a 503 in a panic.
        fail_traffic_on_panic: bool = false,
        /// Changes of health are gathered for so long. The first after a quiet time takes effect at once; while one has
        /// taken effect within this time, the next ones wait for a whole window, so that an ejected host goes on to get
        /// traffic. Hosts that are added or removed take effect at once.
        update_merge_window: Seconds = "1s",
    }
}

record! {
    /// Envoy's outlier detection (1.40.0, `outlier_detection.proto`): a host that answers badly gets no traffic for a
    /// while.
    ///
    /// An answer counts by its status: an error as 500, what was turned away or had no target as 503, a timeout as 504.
    /// Where there is no answer, a refused or broken connection counts as 503, and giving up as 504.
    ///
    /// By default at most 10 % of the hosts may be ejected, so that with fewer than ten hosts nothing ever is.
    ///
    /// Ejections end at a sweep, so they last up to an `interval` longer. The more often a host is ejected, the
    /// longer it stays out; but each sweep at which it has been back for an `interval` takes one from that count
    /// again, so that with a short interval it never grows.
    pub struct OutlierDetection {
        /// From one sweep to the next.
        interval: Seconds = "10s",
        /// How long a host is ejected, times the number of its ejections.
        base_ejection_time: Seconds = "30s",
        /// The longest ejection; if not given, 300 seconds, or `base_ejection_time` if that is longer.
        max_ejection_time: Option<Seconds> = None,
        /// The most that is added to an ejection at random, in whole milliseconds.
        max_ejection_time_jitter: Seconds = "0s",
        /// The most hosts that may be ejected, in percent of all.
        max_ejection_percent: u32 = 10,
        /// Whether one host may be ejected, whatever its percentage.
        always_eject_one_host: bool = false,
        /// 5xx in a row that eject a host.
        consecutive_5xx: u32 = 5,
        /// The chance in percent that they do.
        enforcing_consecutive_5xx: u32 = 100,
        /// 502, 503 and 504 in a row that eject a host. Another 5xx ends the row.
        consecutive_gateway_failure: u32 = 5,
        /// The chance in percent that they do: by default, they do not.
        enforcing_consecutive_gateway_failure: u32 = 0,
        /// Hosts with enough requests in an interval for success rates to be compared.
        success_rate_minimum_hosts: u32 = 5,
        /// Requests in an interval that are enough.
        success_rate_request_volume: u32 = 100,
        /// How far below the mean of the hosts' success rates a host is ejected: in thousandths of a standard
        /// deviation.
        success_rate_stdev_factor: u32 = 1900,
        /// The chance in percent that it is.
        enforcing_success_rate: u32 = 100,
        /// The failures in percent of a host's requests in an interval from which on it is ejected.
        failure_percentage_threshold: u32 = 85,
        /// The chance in percent that it is: by default, it is not.
        enforcing_failure_percentage: u32 = 0,
        /// Hosts with enough requests in an interval for this.
        failure_percentage_minimum_hosts: u32 = 5,
        /// Requests in an interval that are enough.
        failure_percentage_request_volume: u32 = 50,
        /// Whether a passed check lets an ejected host back at once.
        successful_active_health_check_uneject_host: bool = true,
    }
}

record! {
    /// Envoy's HTTP health check (1.40.0, `health_check.proto`): requests like any other, through the same workers.
    ///
    /// An answer with the wrong status makes a host unhealthy at once: `unhealthy_threshold` is for timeouts and
    /// connections that are refused or break. A host that was just added is unhealthy until its first check, and one
    /// passed check is enough then. The next check is sent an interval after the answer to the last.
    pub struct EnvoyHealthCheck {
        /// The endpoint that is asked.
        endpoint: Spanned<String>,
        /// The longest wait for an answer. Envoy has no default.
        timeout: Seconds = "1s",
        /// From an answer to the next check. Envoy has no default.
        interval: Seconds = "5s",
        /// The most that is added to each interval at random.
        interval_jitter: Seconds = "0s",
        /// Timeouts and failed connections in a row that make a host unhealthy. Envoy has no default.
        unhealthy_threshold: u32 = 3,
        /// Passed checks in a row that make a host healthy. Envoy has no default.
        healthy_threshold: u32 = 2,
        /// The interval as long as the cluster has never had a request.
        no_traffic_interval: Seconds = "60s",
        /// The interval after a failed check; `interval` if not given.
        unhealthy_interval: Option<Seconds> = None,
        /// The interval after a failed check that has not yet made the host unhealthy; `unhealthy_interval` if not
        /// given.
        unhealthy_edge_interval: Option<Seconds> = None,
        /// The interval after a passed check that has not yet made the host healthy; `interval` if not given.
        healthy_edge_interval: Option<Seconds> = None,
    }
}

record! {
    /// An upstream of nginx (1.22.1, one worker process), with nginx's names and defaults.
    ///
    /// nginx sends no checks: it learns from the requests that fail. `RoundRobin` and `WeightedRoundRobin` are
    /// nginx's own: a server that fails gets less for a while (its *effective weight*). A server that has failed is
    /// left out, and comes back with one request of a user; that this one fails, too, is hidden from the user by the
    /// next try.
    ///
    /// If all servers are left out there are *no live upstreams*, and everything is answered with a 502 until the
    /// time is over: nginx does not fail open. A single server is never left out.
    pub struct Nginx {
        /// Failures within `fail_timeout` that leave a server out; 0 for none.
        max_fails: u32 = 1,
        /// For how long failures count, and a server is left out, in whole seconds. nginx's clock has whole seconds,
        /// and more than so many must have passed: a server is out for up to a second longer.
        fail_timeout: Seconds = "10s",
        /// Which failures go on to another server: each is tried at most once. Listed or not, `Error` and `Timeout`
        /// always count against a server; a bad status counts only if it is listed, and if another server is left to
        /// try. Requests are taken to be idempotent.
        proxy_next_upstream: Vec<NextUpstream> = [Error, Timeout],
        /// The most servers tried for a request; 0 for all of them.
        proxy_next_upstream_tries: u32 = 0,
        /// How long after a request came another server may be tried; 0 for ever.
        proxy_next_upstream_timeout: Seconds = "0s",
        /// How long it waits for a server's answer; 0 for ever.
        proxy_read_timeout: Seconds = "60s",
    }
}

choice! {
    /// A failure that nginx may try another server for.
    pub enum NextUpstream {
        /// The connection was refused, or broke before the answer.
        Error,
        /// The server did not answer in time.
        Timeout,
        /// It answered 500: with an error.
        Http500,
        /// It answered 503: it turned the request away, or had nobody to ask.
        Http503,
        /// It answered 504: a timeout of its own.
        Http504,
    }
}

record! {
    /// A backend of HAProxy (2.6.12, one thread), with HAProxy's names and defaults; the settings of servers are
    /// those of all of them.
    ///
    /// If no server is up, everything is answered with a 503: HAProxy does not fail open.
    pub struct Haproxy {
        /// How servers are checked; without it all are up.
        check: Option<HaproxyCheck> = None,
        /// Whether requests tell of a server's health as well: `error_limit` failed ones in a row do what `on_error`
        /// says.
        observe: Option<HaproxyObserve> = None,
        /// Failed requests in a row that are too many.
        error_limit: u32 = 10,
        /// What they do.
        on_error: HaproxyOnError = FailCheck,
        /// Requests that a server has at once; 0 for any number. More wait in HAProxy for the first server that has
        /// room, or, with `RingHash`, for their own server.
        maxconn: u32 = 0,
        /// Fewer requests at once, while the backend has fewer than `fullconn`: in proportion to these, but at least
        /// so many.
        minconn: u32 = 0,
        /// Requests in the backend, waiting or not, from which on servers get `maxconn`.
        fullconn: u32 = 0,
        /// The most that may wait for one server alone; 0 for any number.
        maxqueue: u32 = 0,
        /// How long a request waits for a server before it is answered with a 503; `timeout_connect` if not given.
        timeout_queue: Option<Seconds> = None,
        /// How long a connection may take. Those that are modelled stand or are refused at once: it is the longest wait
        /// before another try, and in the queue. HAProxy has no default.
        timeout_connect: Seconds = "5s",
        /// How long it waits for a server's answer; without it for ever, as HAProxy does.
        timeout_server: Option<Seconds> = None,
        /// How often a connection that is refused is tried again: with the same server, after a second or
        /// `timeout_connect` if that is shorter. Broken connections and timeouts are not tried again.
        retries: u32 = 3,
        /// Whether another server may be tried (`option redispatch`): at once where servers take turns and several
        /// are up, and otherwise if the server is down or for the last try.
        redispatch: bool = false,
    }
}

record! {
    /// HAProxy's check of a server (2.6.12): requests like any other, through the same workers. The first are spread
    /// over one `inter`; the next follows so long after the end of the last.
    ///
    /// One counter is all there is. At the start a server is up, but the first failed check takes it down; one
    /// passed check gives it all its lives.
    pub struct HaproxyCheck {
        /// The endpoint that is asked.
        endpoint: Spanned<String>,
        /// From the end of a check to the next.
        inter: Seconds = "2s",
        /// The same while the server is neither up nor down for sure; `inter` if not given.
        fastinter: Option<Seconds> = None,
        /// The same while it is down for sure; `inter` if not given.
        downinter: Option<Seconds> = None,
        /// Passed checks in a row that bring a server up.
        rise: u32 = 2,
        /// Failed checks in a row that take it down.
        fall: u32 = 3,
        /// The longest wait for an answer (`timeout check`); `inter` if not given.
        timeout_check: Option<Seconds> = None,
    }
}

choice! {
    /// Which requests tell of a server's health.
    pub enum HaproxyObserve {
        /// Connections: refused ones have failed.
        Layer4,
        /// Answers: errors, timeouts and connections that were refused or broke have failed.
        Layer7,
    }
}

choice! {
    /// What too many failed requests in a row do. All of them make the next check come after `fastinter`.
    pub enum HaproxyOnError {
        /// Nothing else.
        Fastinter,
        /// They count as a failed check.
        FailCheck,
        /// One more failed check takes the server down.
        SuddenDeath,
        /// They take the server down.
        MarkDown,
    }
}
