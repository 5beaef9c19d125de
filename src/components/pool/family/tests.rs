//! Pools of all makes, played by scripts and at random.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeSet, VecDeque};

fn ms(ms: u64) -> SimDuration {
    SimDuration::from_ms(ms)
}

/// A world around one pool: it keeps time, timers and connections, and writes down what the pool wants.
struct Bench {
    pool: AnyPool<u32>,
    now: SimTime,
    timers: BTreeSet<SimTime>,
    /// All connections, in order of their making.
    conns: Vec<ConnId>,
    creating: VecDeque<ConnId>,
    lent: Vec<(u32, ConnId)>,
    waiting: VecDeque<u32>,
    gone: usize,
    told: Vec<String>,
    out: Vec<PoolAction<u32>>,
}

impl Bench {
    fn new(config: AnyPoolConfig) -> Self {
        let (pool, now) = (AnyPool::new(config), SimTime::ZERO);
        let (conns, creating, lent, waiting) = (Vec::new(), VecDeque::new(), Vec::new(), VecDeque::new());
        let (timers, told, out) = (BTreeSet::new(), Vec::new(), Vec::new());
        let mut bench = Self { pool, now, timers, conns, creating, lent, waiting, gone: 0, told, out };
        bench.does(|p, now, out| p.start(now, out));
        bench
    }

    fn number(&self, conn: ConnId) -> usize {
        self.conns.iter().rposition(|c| *c == conn).unwrap()
    }

    fn does(&mut self, what: impl FnOnce(&mut AnyPool<u32>, SimTime, &mut Vec<PoolAction<u32>>)) {
        let mut out = std::mem::take(&mut self.out);
        what(&mut self.pool, self.now, &mut out);
        let mut at = 0;
        while at < out.len() {
            let action = out[at];
            at += 1;
            match action {
                PoolAction::Create { conn } => {
                    self.told.push(format!("+{}", self.conns.len()));
                    self.conns.push(conn);
                    self.creating.push_back(conn);
                }
                PoolAction::Lend { waiter, conn } => {
                    self.told.push(format!("{waiter}<-{}", self.number(conn)));
                    let place = self.waiting.iter().position(|w| *w == waiter).expect("it waited");
                    if !matches!(self.pool, AnyPool::Pg(_)) {
                        assert_eq!(place, 0, "first come, first served");
                    }
                    self.waiting.remove(place);
                    let streams = match self.pool.config() {
                        AnyPoolConfig::Http(c) => c.streams as usize,
                        _ => 1,
                    };
                    let carried = self.lent.iter().filter(|(_, c)| *c == conn).count();
                    assert!(carried < streams, "lent too often");
                    assert!(!self.creating.contains(&conn));
                    self.lent.push((waiter, conn));
                }
                PoolAction::Close { conn } => {
                    self.told.push(format!("-{}", self.number(conn)));
                    self.lent.retain(|(_, c)| *c != conn);
                    self.gone += 1;
                    self.pool.on_closed(self.now, conn, &mut out);
                }
                PoolAction::Fail { waiter } => {
                    self.told.push(format!("!{waiter}"));
                    self.waiting.retain(|w| *w != waiter);
                }
                PoolAction::Refuse { waiter } => {
                    self.told.push(format!("x{waiter}"));
                    self.waiting.retain(|w| *w != waiter);
                }
                PoolAction::ArmReaper { at } => {
                    assert!(at >= self.now);
                    self.timers.insert(at);
                }
            }
        }
        out.clear();
        self.out = out;
    }

    /// Lets time pass, with the timers in it.
    fn until(&mut self, time: SimTime) {
        let mut rings = 0;
        while let Some(at) = self.timers.first().copied().filter(|at| *at <= time) {
            self.timers.remove(&at);
            self.now = at;
            self.does(|p, now, out| p.on_reap(now, out));
            rings += 1;
            assert!(rings < 1_000_000, "time stands still");
        }
        self.now = time;
    }

    fn acquire(&mut self, waiter: u32) {
        self.waiting.push_back(waiter);
        self.does(|p, now, out| p.acquire(now, waiter, out));
    }

    fn created(&mut self, at: usize) {
        if let Some(conn) = self.creating.remove(at) {
            self.does(|p, now, out| p.on_created(now, conn, 0.5, out));
        }
    }

    fn failed(&mut self, at: usize) {
        if let Some(conn) = self.creating.remove(at) {
            self.gone += 1;
            self.does(|p, now, out| p.on_create_failed(now, conn, out));
        }
    }

    fn release(&mut self, waiter: u32) {
        if let Some(at) = self.lent.iter().position(|(w, _)| *w == waiter) {
            let (_, conn) = self.lent.remove(at);
            self.does(|p, now, out| p.release(now, conn, out));
        }
    }

    fn gives_up(&mut self, waiter: u32) {
        let mut waited = false;
        self.does(|p, now, out| waited = p.on_acquire_timeout(now, waiter, out));
        assert_eq!(waited, self.waiting.contains(&waiter));
        self.waiting.retain(|w| *w != waiter);
        // A connection that was torn down with its waiter is under way no more.
        let pool = &self.pool;
        let before = self.creating.len();
        self.creating.retain(|conn| pool.is_creating(*conn));
        self.gone += before - self.creating.len();
    }

    fn agrees(&self) {
        let pool = &self.pool;
        assert_eq!(pool.in_use(), self.lent.len());
        assert_eq!(pool.waiting(), self.waiting.len());
        assert_eq!(pool.size() + pool.closing() + self.gone, self.conns.len(), "no connection is lost");
        let carrying = self.lent.iter().map(|(_, c)| self.number(*c)).collect::<BTreeSet<_>>().len();
        assert_eq!(pool.size(), self.creating.len() + carrying + pool.available());
        assert!(pool.size() <= pool.config().max() as usize);
        let in_line = of_store!(pool, p => p.waiting(), store => store.waiters.len());
        assert!(in_line == 0 || pool.available() == 0, "nobody waits while a connection lies idle");
        let is_serial = match pool {
            AnyPool::Hikari(_) => true,
            AnyPool::Proxy(p) => p.config().attempts == 1,
            _ => false,
        };
        assert!(!is_serial || self.creating.len() <= 1, "one connection is made at a time");
    }

    /// Serves everybody: connections come to stand, and calls end.
    fn finish(&mut self) {
        for _ in 0..10_000 {
            if self.waiting.is_empty() && self.lent.is_empty() {
                return;
            }
            self.created(0);
            if let Some((waiter, _)) = self.lent.first().copied() {
                self.release(waiter);
            }
            self.until(self.now + ms(500));
        }
        panic!("{:?} wait for ever, {:?} lent, {:?}", self.waiting, self.lent, self.creating);
    }
}

/// Plays `time command` pairs: `a1` acquires for 1, `c` or `f` ends the oldest attempt, `r1` returns what 1 has, `t1`
/// ends the patience of 1, `k` kills the server, `w` only waits. Times are in milliseconds.
fn replay(config: AnyPoolConfig, script: &str) -> String {
    let mut bench = Bench::new(config);
    for step in script.split(", ") {
        let (time, command) = step.split_once(' ').unwrap();
        bench.until(SimTime::ZERO + ms(time.parse().unwrap()));
        let who = || command[1..].parse::<u32>().unwrap();
        match &command[..1] {
            "a" => bench.acquire(who()),
            "c" => bench.created(0),
            "f" => bench.failed(0),
            "r" => bench.release(who()),
            "t" => bench.gives_up(who()),
            "k" => bench.does(|p, now, out| p.on_server_gone(now, out)),
            "w" => {}
            other => panic!("{other}"),
        }
        bench.told.push(format!("|{time}"));
    }
    bench.told.join(" ")
}

fn hikari(max: u32, idle: u32) -> HikariConfig {
    HikariConfig {
        maximum_pool_size: max,
        minimum_idle: idle,
        connection_timeout: ms(30_000),
        idle_timeout: Some(ms(600_000)),
        max_lifetime: Some(ms(1_800_000)),
        keepalive_time: None,
    }
}

fn pg(max: u32) -> PgConfig {
    PgConfig {
        max,
        min: 0,
        idle_timeout: Some(ms(10_000)),
        connection_timeout: None,
        max_uses: None,
        max_lifetime: None,
    }
}

fn bouncer(size: u32) -> ProxyConfig {
    ProxyConfig {
        pool_size: size,
        reserve_pool_size: 0,
        reserve_pool_timeout: Some(ms(5_000)),
        min_pool_size: 0,
        max_db_connections: None,
        attempts: 1,
        server_login_retry: ms(15_000),
        server_connect_timeout: Some(ms(15_000)),
        server_lifetime: Some(ms(3_600_000)),
        server_idle_timeout: Some(ms(600_000)),
        max_idle: None,
        query_wait_timeout: Some(ms(120_000)),
        server_round_robin: false,
        fails_fast: true,
    }
}

fn http(connections: u32, pending: u32) -> HttpConfig {
    HttpConfig {
        max_connections: connections,
        max_pending_requests: pending,
        max_requests: u32::MAX,
        streams: 1,
        connect_timeout: None,
        idle_timeout: None,
        keep_alive: None,
        race: SimDuration::ZERO,
    }
}

#[test]
fn envoy_turns_away_what_would_be_too_much_and_has_room_at_once() {
    let told = replay(AnyPoolConfig::Http(http(1, 1)), "0 a1, 0 c, 1 a2, 1 a3, 2 r1, 2 a4");
    assert_eq!(told, "+0 |0 1<-0 |0 |1 x3 |1 2<-0 |2 |2");
    let requests = HttpConfig { max_requests: 1, ..http(9, 9) };
    assert_eq!(
        replay(AnyPoolConfig::Http(requests), "0 a1, 0 a2, 0 c, 0 c, 0 a3, 1 r1, 1 a4"),
        "+0 |0 +1 |0 1<-0 |0 x2 |0 x3 |0 |1 4<-0 |1"
    );
}

#[test]
fn envoy_counts_those_who_wait_for_their_own_connection_as_pending() {
    let told = replay(AnyPoolConfig::Http(http(9, 2)), "0 a1, 0 a2, 0 a3, 1 c, 1 a4");
    assert_eq!(told, "+0 |0 +1 |0 x3 |0 1<-0 |1 +2 |1");
}

#[test]
fn envoy_makes_one_connection_even_if_there_may_be_none() {
    assert_eq!(replay(AnyPoolConfig::Http(http(0, 9)), "0 a1, 0 a2, 1 c, 2 r1"), "+0 |0 |0 1<-0 |1 2<-0 |2");
}

#[test]
fn envoy_fails_all_who_wait_if_a_connection_cannot_be_made() {
    assert_eq!(replay(AnyPoolConfig::Http(http(1, 9)), "0 a1, 0 a2, 1 f, 2 a3"), "+0 |0 |0 !1 !2 |1 +1 |2");
}

#[test]
fn http2_carries_many_requests_on_one_connection() {
    let two = HttpConfig { streams: 2, ..http(2, 9) };
    let told = replay(AnyPoolConfig::Http(two), "0 a1, 0 a2, 0 a3, 1 c, 2 a4, 3 c, 4 r1, 5 a5");
    // The third is more than the first connection will carry, so a second one is made; it carries the fourth, too.
    assert_eq!(told, "+0 |0 |0 +1 |0 1<-0 2<-0 |1 |2 3<-1 4<-1 |3 |4 5<-0 |5");
}

#[test]
fn a_request_that_meets_the_end_of_a_kept_connection_is_lost() {
    let short = HttpConfig { keep_alive: Some(ms(5_000)), race: ms(2), ..http(1, 9) };
    let at = |time: u64| replay(AnyPoolConfig::Http(short), &format!("0 a1, 0 c, 0 r1, {time} a2"));
    assert!(at(4_998).ends_with("|0 2<-0 |4998"), "{}", at(4_998));
    assert!(at(4_999).ends_with("|0 -0 !2 |4999"), "{}", at(4_999));
    assert!(at(5_001).ends_with("|0 -0 !2 |5001"), "{}", at(5_001));
    // Then the client knows, and makes another.
    assert!(at(5_002).ends_with("|0 -0 +1 |5002"), "{}", at(5_002));
    // A client that gives up its connections first never meets that.
    let wise = HttpConfig { idle_timeout: Some(ms(4_000)), ..short };
    assert!(replay(AnyPoolConfig::Http(wise), "0 a1, 0 c, 0 r1, 4999 a2").ends_with("-0 +1 |4999"));
}

#[test]
fn hikari_adds_one_connection_at_a_time_with_a_pause_of_30_ms() {
    let told =
        replay(AnyPoolConfig::Hikari(hikari(4, 0)), "0 a1, 0 a2, 0 a3, 10 c, 39 w, 40 w, 50 c, 79 w, 80 w");
    assert_eq!(told, "+0 |0 |0 |0 1<-0 |10 |39 +1 |40 2<-1 |50 |79 +2 |80");
}

#[test]
fn hikari_backs_off_after_failures_and_tells_nobody() {
    let told =
        replay(AnyPoolConfig::Hikari(hikari(4, 0)), "0 a1, 0 f, 9 w, 10 f, 29 w, 30 f, 69 w, 70 w, 71 c");
    assert_eq!(told, "+0 |0 |0 |9 +1 |10 |29 +2 |30 |69 +3 |70 1<-3 |71");
}

#[test]
fn hikari_fills_from_its_start_on() {
    let told = replay(AnyPoolConfig::Hikari(hikari(3, 3)), "0 c, 99 w, 100 w, 101 c, 131 c, 500 w");
    assert_eq!(told, "+0 |0 |99 +1 |100 |101 +2 |131 |500");
}

#[test]
fn hikari_drops_a_request_that_nobody_needs_any_more() {
    // The second waiter gets the first connection back before the adding thread has rested.
    let told = replay(AnyPoolConfig::Hikari(hikari(4, 0)), "0 a1, 0 a2, 1 c, 2 r1, 3 r2, 40 w");
    assert_eq!(told, "+0 |0 |0 1<-0 |1 2<-0 |2 |3 |40");
}

#[test]
fn hikari_lends_a_connection_unasked_within_half_a_second() {
    let config = AnyPoolConfig::Hikari(hikari(2, 0));
    // 500 ms after its last use the dead connection is lent; later it is found out, and another is made.
    assert_eq!(replay(config, "0 a1, 0 c, 5 r1, 6 k, 505 a2"), "+0 |0 1<-0 |0 |5 |6 2<-0 |505");
    assert_eq!(replay(config, "0 a1, 0 c, 5 r1, 6 k, 506 a2"), "+0 |0 1<-0 |0 |5 |6 -0 +1 |506");
}

#[test]
fn hikari_closes_idle_connections_only_above_the_minimum() {
    let mut config = HikariConfig { idle_timeout: Some(ms(10_000)), ..hikari(2, 1) };
    let two = "0 a1, 0 a2, 0 c, 50 c, 60 r1, 60 r2, 70000 w";
    let told = replay(AnyPoolConfig::Hikari(config), two);
    assert!(told.ends_with("|60 -0 |70000"), "{told}");
    config.minimum_idle = 2;
    let told = replay(AnyPoolConfig::Hikari(config), two);
    assert!(told.ends_with("|60 |70000"), "{told}");
}

#[test]
fn hikari_never_kills_a_connection_in_use() {
    let config = HikariConfig { max_lifetime: Some(ms(5_000)), ..hikari(1, 0) };
    let told = replay(AnyPoolConfig::Hikari(config), "0 a1, 0 c, 6000 w, 6001 r1");
    assert_eq!(told, "+0 |0 1<-0 |0 |6000 -0 |6001");
    let idle = replay(AnyPoolConfig::Hikari(config), "0 a1, 0 c, 1 r1, 4999 w, 5000 w");
    assert_eq!(idle, "+0 |0 1<-0 |0 |1 |4999 -0 |5000");
    // Longer lives are shortened by up to 2.5 %; here by half of that.
    let config = HikariConfig { max_lifetime: Some(ms(100_000)), ..hikari(1, 0) };
    let varied = replay(AnyPoolConfig::Hikari(config), "0 a1, 0 c, 1 r1, 98749 w, 98750 w");
    assert_eq!(varied, "+0 |0 1<-0 |0 |1 |98749 -0 |98750");
}

#[test]
fn hikari_finds_the_dead_by_signs_of_life() {
    let config = HikariConfig { keepalive_time: Some(ms(2_000)), ..hikari(1, 0) };
    let told = replay(AnyPoolConfig::Hikari(config), "0 a1, 0 c, 1 r1, 2500 k, 3999 w, 4000 w");
    assert_eq!(told, "+0 |0 1<-0 |0 |1 |2500 |3999 -0 |4000");
}

#[test]
fn pg_fails_the_call_that_the_connection_was_made_for() {
    let told = replay(AnyPoolConfig::Pg(pg(2)), "0 a1, 0 a2, 0 a3, 1 f, 2 c, 3 c");
    assert_eq!(told, "+0 |0 +1 |0 |0 +2 !1 |1 2<-1 |2 3<-2 |3");
}

#[test]
fn pg_call_waits_for_its_own_connection() {
    // What comes back meanwhile lies idle, and is there for the next call.
    let told = replay(AnyPoolConfig::Pg(pg(2)), "0 a1, 1 c, 2 a2, 3 r1, 4 a3, 5 c");
    assert_eq!(told, "+0 |0 1<-0 |1 +1 |2 |3 3<-0 |4 2<-1 |5");
}

#[test]
fn pg_reuses_the_last_returned_and_notices_the_dead_at_once() {
    let two = "0 a1, 0 a2, 0 c, 0 c, 1 r2, 2 r1";
    assert!(replay(AnyPoolConfig::Pg(pg(2)), &format!("{two}, 3 a3")).ends_with("3<-0 |3"));
    assert!(replay(AnyPoolConfig::Pg(pg(2)), &format!("{two}, 3 k")).ends_with("|2 -0 -1 |3"));
    assert!(
        replay(AnyPoolConfig::Pg(pg(2)), &format!("{two}, 10001 w, 10002 w"))
            .ends_with("-1 |10001 -0 |10002")
    );
}

#[test]
fn pg_keeps_the_connection_of_one_who_gave_up_in_line() {
    let one = PgConfig { connection_timeout: Some(ms(100)), ..pg(1) };
    // 2 stood in line, 1 did not.
    assert_eq!(
        replay(AnyPoolConfig::Pg(one), "0 a1, 0 c, 1 a2, 50 k, 60 r1, 101 t2, 120 c, 130 a3"),
        "+0 |0 1<-0 |0 |1 |50 -0 +1 |60 |101 |120 3<-1 |130"
    );
    assert_eq!(replay(AnyPoolConfig::Pg(one), "0 a1, 100 t1, 120 a2"), "+0 |0 |100 +1 |120");
}

#[test]
fn pgbouncer_makes_one_connection_at_a_time_without_a_pause() {
    let told = replay(AnyPoolConfig::Proxy(bouncer(3)), "0 a1, 0 a2, 0 a3, 10 c, 20 c, 30 c");
    assert_eq!(told, "+0 |0 |0 |0 1<-0 +1 |10 2<-1 +2 |20 3<-2 |30");
    let rds = ProxyConfig { attempts: u32::MAX, ..bouncer(3) };
    assert_eq!(replay(AnyPoolConfig::Proxy(rds), "0 a1, 0 a2, 0 a3, 0 a4"), "+0 |0 +1 |0 +2 |0 |0");
}

#[test]
fn pgbouncer_rests_after_a_failure_from_the_start_of_the_attempt() {
    let told = replay(AnyPoolConfig::Proxy(bouncer(3)), "0 a1, 100 f, 14999 w, 15000 w, 15001 c");
    assert_eq!(told, "+0 |0 |100 |14999 +1 |15000 1<-1 |15001");
}

#[test]
fn pgbouncer_turns_new_clients_away_while_no_server_can_be_reached() {
    let mut bench = Bench::new(AnyPoolConfig::Proxy(bouncer(3)));
    let connects = |bench: &mut Bench| {
        let mut taken = false;
        bench.does(|p, now, out| taken = p.on_client(now, out));
        taken
    };
    assert!(connects(&mut bench));
    bench.acquire(1);
    bench.failed(0);
    assert!(!connects(&mut bench));
    bench.until(SimTime::ZERO + ms(15_000));
    bench.created(0);
    assert!(connects(&mut bench));
}

#[test]
fn pgbouncer_opens_its_reserve_after_a_long_wait_only() {
    let config = AnyPoolConfig::Proxy(ProxyConfig { reserve_pool_size: 1, ..bouncer(1) });
    assert_eq!(replay(config, "0 a1, 0 c, 10 a2, 5009 w, 5010 w"), "+0 |0 1<-0 |0 |10 |5009 +1 |5010");
    let capped = ProxyConfig { reserve_pool_size: 1, max_db_connections: Some(1), ..bouncer(1) };
    assert_eq!(replay(AnyPoolConfig::Proxy(capped), "0 a1, 0 c, 10 a2, 6000 w"), "+0 |0 1<-0 |0 |10 |6000");
}

#[test]
fn pgbouncer_spreads_the_ends_of_lives() {
    let config = ProxyConfig { server_lifetime: Some(ms(1_000)), ..bouncer(2) };
    let two = "0 a1, 0 a2, 0 c, 0 c, 1 r1, 2 r2";
    let told = replay(AnyPoolConfig::Proxy(config), &format!("{two}, 999 w, 1000 w, 1499 w, 1500 w"));
    assert!(told.ends_with("|999 -0 |1000 |1499 -1 |1500"), "{told}");
}

#[test]
fn pgbouncer_lends_the_last_returned_unless_it_is_to_go_round() {
    let two = "0 a1, 0 a2, 0 c, 0 c, 1 r2, 2 r1, 3 a3";
    assert!(replay(AnyPoolConfig::Proxy(bouncer(2)), two).ends_with("3<-0 |3"));
    let round = ProxyConfig { server_round_robin: true, ..bouncer(2) };
    assert!(replay(AnyPoolConfig::Proxy(round), two).ends_with("3<-1 |3"));
}

#[test]
fn pgbouncer_restores_its_minimum_one_by_one() {
    let config = AnyPoolConfig::Proxy(ProxyConfig { min_pool_size: 2, ..bouncer(4) });
    let told = replay(config, "0 a1, 1 c, 2 r1, 333 w, 334 w, 340 c, 700 w");
    assert_eq!(told, "+0 |0 1<-0 |1 |2 |333 +1 |334 |340 |700");
}

#[test]
fn rds_proxy_closes_what_lies_idle_beyond_its_share() {
    let config =
        ProxyConfig { attempts: u32::MAX, max_idle: Some(1), server_idle_timeout: None, ..bouncer(4) };
    let told =
        replay(AnyPoolConfig::Proxy(config), "0 a1, 0 a2, 0 c, 0 c, 1 r1, 2 r2, 60000 w, 60001 w, 999999 w");
    assert!(told.ends_with("|60000 -0 |60001 |999999"), "{told}");
}

fn any_config() -> impl Strategy<Value = AnyPoolConfig> {
    let off = |from: u64| prop_oneof![Just(None), (from..from + 100).prop_map(|t| Some(ms(t)))];
    let hikari = (1u32..6, 0u32..6, off(1), off(1), off(1)).prop_map(|(max, idle, i, l, k)| {
        AnyPoolConfig::Hikari(HikariConfig {
            maximum_pool_size: max,
            minimum_idle: idle.min(max),
            connection_timeout: ms(250),
            idle_timeout: i,
            max_lifetime: l,
            keepalive_time: k,
        })
    });
    let uses = || prop_oneof![Just(None), (1u32..4).prop_map(Some)];
    let pg = (1u32..6, 0u32..6, off(1), off(1), uses(), off(1)).prop_map(|(max, min, i, c, u, l)| {
        AnyPoolConfig::Pg(PgConfig {
            max,
            min: min.min(max),
            idle_timeout: i,
            connection_timeout: c,
            max_uses: u,
            max_lifetime: l,
        })
    });
    let proxy = ((1u32..6, 0u32..3, 0u32..4, uses()), any::<bool>(), (off(1), off(1), off(1)), any::<bool>());
    let proxy = proxy.prop_map(|((size, reserve, min, most), serial, (life, idle, wait), round)| {
        AnyPoolConfig::Proxy(ProxyConfig {
            pool_size: size,
            reserve_pool_size: reserve,
            reserve_pool_timeout: wait,
            min_pool_size: min.min(size),
            max_db_connections: most,
            attempts: if serial { 1 } else { u32::MAX },
            server_login_retry: ms(50),
            server_connect_timeout: None,
            server_lifetime: life,
            server_idle_timeout: idle,
            max_idle: (!serial).then_some(reserve),
            query_wait_timeout: None,
            server_round_robin: round,
            fails_fast: serial,
        })
    });
    let limits = (0u32..6, 0u32..6, 1u32..9, 1u32..4);
    let http = (limits, off(1), off(20), 0u64..20).prop_map(
        |((most, pending, requests, streams), idle, keep, race)| {
            AnyPoolConfig::Http(HttpConfig {
                max_connections: most,
                max_pending_requests: pending,
                max_requests: requests,
                streams,
                connect_timeout: None,
                idle_timeout: idle,
                keep_alive: keep,
                race: ms(race),
            })
        },
    );
    prop_oneof![hikari, pg, proxy, http]
}

fn is_same_make(one: &AnyPoolConfig, other: &AnyPoolConfig) -> bool {
    match (one, other) {
        (AnyPoolConfig::Proxy(a), AnyPoolConfig::Proxy(b)) => a.attempts == b.attempts,
        // More on each connection than it may carry is nothing that a test could tell from a mistake.
        (AnyPoolConfig::Http(a), AnyPoolConfig::Http(b)) => a.streams <= b.streams,
        _ => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn pools_lose_nothing_and_serve_everybody_in_order(
        config in any_config(),
        other in any_config(),
        steps in prop::collection::vec((0u8..14, any::<prop::sample::Index>(), 0u64..40), 0..40),
    ) {
        let mut bench = Bench::new(config);
        for (number, (action, index, pause)) in (0u32..).zip(steps) {
            bench.until(bench.now + ms(pause));
            match action {
                0..4 => bench.acquire(number),
                4 | 5 if !bench.creating.is_empty() => bench.created(index.index(bench.creating.len())),
                6 if !bench.creating.is_empty() => bench.failed(index.index(bench.creating.len())),
                7..10 if !bench.lent.is_empty() => {
                    let (waiter, _) = bench.lent[index.index(bench.lent.len())];
                    bench.release(waiter);
                }
                10 if !bench.waiting.is_empty() => bench.gives_up(bench.waiting[index.index(bench.waiting.len())]),
                11 => if let Some(waiter) = bench.waiting.pop_back() {
                    prop_assert!(bench.pool.abandon(waiter));
                },
                12 if index.index(4) == 0 => bench.does(|p, now, out| p.on_server_gone(now, out)),
                13 if is_same_make(&config, &other) && other.max() >= config.max() =>
                {
                    bench.does(|p, now, out| p.reconfigure(now, other, out));
                }
                _ => {}
            }
            bench.agrees();
        }
        bench.finish();
        bench.agrees();
    }
}
