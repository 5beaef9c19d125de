//! The processor of an instance: work divided by speed is time, and whoever works beside you costs you some.
//!
//! Intuition: all jobs that run at one moment run equally fast. So one clock serves them all: the *progress* that
//! a job present since the beginning would have made. A job is done when progress has grown by its work. Jobs that
//! come and go, slow processors and hung ones change how fast the clock of progress goes, never the jobs.
//!
//! With `n` jobs running each advances at `speed · min(1, cores / n)`. Two disciplines differ in one number, how many
//! may run at once:
//!
//! - processor sharing: all of them;
//! - first come first served: `ceil(cores)` servers, of which each gets its equal part of the cores, idle or not;
//!   the others wait in line.
//!
//! A third, [`CpuDiscipline::Priority`], has the same servers, and gives them to those who matter most: see
//! `cpu/priority.rs`.
//!
//! **How to drive it.** After every call that changes something ask [`Cpu::alarm`]: if it names a time, schedule a
//! call of [`Cpu::on_alarm`] then. On that call take out what is done with [`Cpu::complete`] until it says `None`,
//! then ask for the next alarm. An alarm that has become too early rings in vain and a later one is named; one that
//! has become too late is forestalled by an earlier one. So nothing is ever cancelled, a change of speed needs no
//! care, and a server that takes jobs one by one costs one event for each.
//!
//! Under first come first served on whole cores at speed 1 the processor is *plain*: it keeps no progress, but the
//! nanosecond at which each job is done. Elsewhere a completion is rounded up to a whole nanosecond, and a job with
//! less than a nanosecond to go counts as done. Only `+ - * /` are used, so that results are the same bits on all
//! platforms.
//!
//! Source: egalitarian processor sharing (Kleinrock, Time-shared Systems, 1967), by virtual time as in fair queueing
//! (Parekh and Gallager, 1993).

mod priority;
pub mod quota;
mod running;

use crate::base::{SimDuration, SimTime};
use priority::Ranked;
use quota::Quota;
use running::{Running, Soonest};
use std::collections::VecDeque;

/// Progress at which it is set back to zero (2^40 ns, 18 minutes): so it stays exact to a thousandth of a
/// nanosecond.
const PROGRESS_MAX: f64 = (1u64 << 40) as f64;

/// Fractions of a nanosecond that are taken for noise: what progress is exact to.
const NOISE_NS: f64 = 1e-3;

/// How jobs share the cores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CpuDiscipline {
    /// All run at once, equally fast (threads under a fair scheduler).
    ProcessorSharing,
    /// As many run as there are cores, the others wait (an event loop, a worker per core).
    Fifo,
    /// As many run as there are cores: those of highest priority, which take the cores from others at once; who was
    /// interrupted goes on later where it was (real-time classes of an operating system).
    Priority,
}

/// A processor and the jobs `J` on it.
#[derive(Clone, Debug)]
pub struct Cpu<J> {
    discipline: CpuDiscipline,
    cores: f64,
    speed: f64,
    /// How much those who run at once slow each other down: Gunther's sigma and kappa.
    contention: (f64, f64),
    /// How many jobs may run at once.
    slots: u32,
    /// When `progress` was last brought up to date.
    updated: SimTime,
    /// Core-nanoseconds that a job running since progress was zero would have got.
    progress: f64,
    /// Growth of progress per nanosecond, with the jobs that run now.
    rate: f64,
    /// Whether it is first come, first served on whole cores at speed 1, without quota and contention, and no more
    /// jobs run than there are cores: then the rate is 1, and stays so, whoever comes and goes. There is no progress
    /// then: jobs have the nanosecond at which they are done.
    is_plain: bool,
    running: Soonest<J>,
    waiting: VecDeque<(J, SimDuration)>,
    /// Who waits under [`CpuDiscipline::Priority`].
    ranked: Ranked<J>,
    /// Jobs ever started to run (by priority: that ever came): breaks ties of completion.
    started: u64,
    /// The earliest alarm that is set and has not rung; `NEVER` if there is none.
    alarm: SimTime,
    /// A limit on what may be used in a period; see `cpu/quota.rs`. Most have none, and stay small.
    quota: Option<Box<Quota>>,
}

impl<J: Copy + PartialEq> Cpu<J> {
    /// An idle processor of `cores` (fractions allowed) at speed 1.
    pub fn new(cores: f64, discipline: CpuDiscipline) -> Self {
        assert!(cores >= 0.0 && cores.is_finite());
        Self {
            discipline,
            cores,
            speed: 1.0,
            contention: (0.0, 0.0),
            slots: slots(discipline, cores),
            updated: SimTime::ZERO,
            progress: 0.0,
            rate: 0.0,
            is_plain: false,
            running: Soonest::new(),
            waiting: VecDeque::new(),
            ranked: Ranked::new(),
            started: 0,
            alarm: SimTime::NEVER,
            quota: None,
        }
    }

    /// Lets jobs that run at once slow each other down: with n running, each takes 1 + sigma (n - 1) + kappa n (n - 1)
    /// times as long, beside their sharing of the cores (Gunther, Guerrilla Capacity Planning, 2007).
    pub fn set_contention(&mut self, now: SimTime, sigma: f64, kappa: f64) {
        assert!(sigma >= 0.0 && kappa >= 0.0 && sigma.is_finite() && kappa.is_finite());
        self.advance(now);
        self.contention = (sigma, kappa);
        self.update_rate();
    }

    /// Limits what may be used in each period, from now on, or lifts the limit.
    pub fn set_quota(&mut self, now: SimTime, quota: Option<Quota>) {
        self.advance(now);
        self.quota = quota.map(Box::new);
        self.update_rate();
    }

    /// Whether all stands still because the quota of this period is used up.
    #[inline]
    pub fn is_throttled(&self) -> bool {
        self.quota.as_ref().is_some_and(|quota| quota.is_throttled())
    }

    /// Changes the speed: 1 is nominal, 0.5 takes twice as long, 0 is hung. Work done stays done.
    pub fn set_speed(&mut self, now: SimTime, speed: f64) {
        assert!(speed >= 0.0 && speed.is_finite());
        self.advance(now);
        self.speed = speed;
        self.fill();
        self.update_rate();
    }

    /// Changes the number of cores. Jobs that run go on, sharing the cores if they are now too many; by priority, the
    /// least of those that are too many wait.
    pub fn set_cores(&mut self, now: SimTime, cores: f64) {
        assert!(cores >= 0.0 && cores.is_finite());
        self.advance(now);
        self.cores = cores;
        self.slots = slots(self.discipline, cores);
        self.fill();
        self.update_rate();
    }

    /// Jobs that run.
    #[inline]
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Jobs that wait for a core.
    #[inline]
    pub fn waiting(&self) -> usize {
        self.waiting.len() + self.ranked.len()
    }

    /// Cores that jobs occupy now, from 0 to all, whatever the speed: a hung job occupies its core.
    #[inline]
    pub fn busy_cores(&self) -> f64 {
        if self.is_plain {
            return self.running.len() as f64;
        }
        if self.is_throttled() {
            return 0.0;
        }
        (self.running.len() as f64 * self.share()).min(self.cores)
    }

    /// The same in whole thousandths of a core.
    #[inline]
    pub fn busy_millicores(&self) -> i64 {
        if self.is_plain { self.running.len() as i64 * 1000 } else { (self.busy_cores() * 1e3) as i64 }
    }

    /// A job comes with `work`, in nanoseconds on one core at speed 1. `priority` counts under
    /// [`CpuDiscipline::Priority`] only. Answers whether the alarm and the cores in use may have changed.
    #[inline(always)]
    pub fn start(&mut self, now: SimTime, job: J, work: SimDuration, priority: u8) -> bool {
        if self.is_plain {
            let runs = self.running.len() < self.slots as usize;
            if runs {
                self.run_plainly(now, job, work);
            } else {
                self.waiting.push_back((job, work));
            }
            return runs;
        }
        self.start_with_care(now, job, work, priority);
        true
    }

    fn start_with_care(&mut self, now: SimTime, job: J, work: SimDuration, priority: u8) {
        self.advance(now);
        if self.discipline == CpuDiscipline::Priority {
            self.start_ranked(job, work, priority);
        } else if self.running.len() < self.slots as usize {
            self.run(job, work);
            self.update_rate();
        } else {
            self.waiting.push_back((job, work));
        }
    }

    /// The earliest completion if nothing changes from now on; `None` if nothing runs or all is hung.
    #[inline(always)]
    pub fn next_completion(&self) -> Option<SimTime> {
        let next = self.running.first()?;
        if self.is_plain {
            return Some(SimTime::from_ns(next.due));
        }
        if self.rate <= 0.0 {
            return None;
        }
        let left = next.done_at() - self.progress;
        let exact = if self.rate == 1.0 { left } else { left / self.rate };
        Some(self.updated + rounded_up(exact))
    }

    /// The time at which the owner must call [`Cpu::on_alarm`], unless an earlier call is due already.
    #[inline(always)]
    pub fn alarm(&mut self) -> Option<SimTime> {
        let mut next = self.next_completion().unwrap_or(SimTime::NEVER);
        if !self.is_plain && self.quota.is_some() {
            next = next.min(self.next_turn_of_quota().unwrap_or(SimTime::NEVER));
        }
        if self.alarm <= next {
            return None;
        }
        self.alarm = next;
        Some(next)
    }

    /// An alarm rings. Answers whether there may be something to do: then jobs that are done must be taken out with
    /// [`Cpu::complete`], and the next alarm asked for.
    #[inline(always)]
    pub fn on_alarm(&mut self, now: SimTime) -> bool {
        // One that was forestalled: nobody is done before the one that is set.
        if self.is_plain && self.alarm > now {
            return false;
        }
        if self.alarm <= now {
            self.alarm = SimTime::NEVER;
        }
        true
    }

    /// Takes out one job that is done by `now`, and lets the next in line run; `None` if there is none.
    #[inline(always)]
    pub fn complete(&mut self, now: SimTime) -> Option<J> {
        if !self.is_plain {
            return self.complete_with_care(now);
        }
        let next = self.running.first()?;
        if next.due > now.ns() {
            return None;
        }
        let job = next.job;
        self.running.pop();
        if let Some((job, work)) = self.waiting.pop_front() {
            self.run_plainly(now, job, work);
        }
        Some(job)
    }

    fn complete_with_care(&mut self, now: SimTime) -> Option<J> {
        self.advance(now);
        // Less than a nanosecond to go: a fraction, or the noise of rounding. Who is not done by this measure has a
        // nanosecond to go at least, so its alarm lies ahead: no alarm rings twice at one instant for nothing.
        let next = self.running.first()?;
        // Who is done at the moment at which the quota is used up is done.
        let rate = if self.is_throttled() { self.speed * self.share() } else { self.rate };
        if next.done_at() - self.progress >= rate {
            return None;
        }
        let job = self.running.pop()?.job;
        self.fill();
        self.update_rate();
        Some(job)
    }

    /// A job is killed, running or waiting; false if it is not here. Searches all jobs.
    pub fn cancel(&mut self, now: SimTime, job: J) -> bool {
        self.advance(now);
        let count = self.running.len();
        self.running.retain(|running| running.job != job);
        let was_running = self.running.len() < count;
        if was_running {
            self.fill();
        }
        self.update_rate();
        was_running || self.leave_line(job) || self.ranked.remove(job)
    }

    fn leave_line(&mut self, job: J) -> bool {
        let place = self.waiting.iter().position(|(waiting, _)| *waiting == job);
        place.and_then(|place| self.waiting.remove(place)).is_some()
    }

    /// A crash: appends all jobs to `out`, the running in order of completion, then the waiting in order of their turn.
    pub fn drain(&mut self, now: SimTime, out: &mut Vec<J>) {
        self.advance(now);
        while let Some(running) = self.running.pop() {
            out.push(running.job);
        }
        while let Some((job, _)) = self.waiting.pop_front() {
            out.push(job);
        }
        while let Some(ranked) = self.ranked.pop() {
            out.push(ranked.job);
        }
        self.update_rate();
    }

    /// Brings progress up to date.
    #[inline]
    fn advance(&mut self, now: SimTime) {
        if self.is_plain {
            return self.begin_progress(now);
        }
        debug_assert!(now >= self.updated);
        if now == self.updated {
            return;
        }
        self.progress += self.rate * float(now.since(self.updated));
        self.updated = now;
        if self.quota.is_some() {
            self.spend(now);
        }
        if self.running.is_empty() {
            self.progress = 0.0;
        } else if self.progress > PROGRESS_MAX {
            self.set_back();
        }
    }

    /// Takes what was used since the last time from the quota.
    fn spend(&mut self, now: SimTime) {
        let used = self.rate * self.running.len() as f64;
        if let Some(quota) = &mut self.quota
            && quota.advance(now, used)
        {
            self.update_rate();
        }
    }

    /// When the quota will be used up, or there is a new one.
    #[inline]
    fn next_turn_of_quota(&self) -> Option<SimTime> {
        self.quota.as_ref()?.next(self.rate * self.running.len() as f64)
    }

    /// Counts progress from zero again. Differences grow more exact by it, so the order of jobs stays.
    #[cold]
    fn set_back(&mut self) {
        let progress = self.progress;
        self.running.change(|job| (job.done_at() - progress).max(0.0).to_bits());
        self.progress = 0.0;
    }

    /// A plain processor is one with progress, from zero, before something changes.
    #[cold]
    fn begin_progress(&mut self, now: SimTime) {
        self.is_plain = false;
        (self.updated, self.progress) = (now, 0.0);
        self.running.change(|job| float(SimTime::from_ns(job.due).since(now)).to_bits());
    }

    /// A processor with progress is plain from now on, if all that it has is whole.
    fn end_progress(&mut self) {
        let (now, progress) = (self.updated, self.progress);
        let left = |job: &Running<J>| job.done_at() - progress;
        if self.running.iter().any(|job| left(job) < 0.0 || left(job).fract() != 0.0) {
            return;
        }
        self.is_plain = true;
        self.running.change(|job| (now + rounded_up(left(job))).ns());
    }

    #[inline(always)]
    fn run(&mut self, job: J, work: SimDuration) {
        let done_at = self.progress + float(work);
        self.running.push(Running::at(done_at, self.started, job));
        self.started += 1;
    }

    #[inline(always)]
    fn run_plainly(&mut self, now: SimTime, job: J, work: SimDuration) {
        self.running.push(Running { due: (now + work).ns(), sequence: self.started, job });
        self.started += 1;
    }

    /// Lets the waiting run while there is room.
    #[inline]
    fn fill(&mut self) {
        if self.discipline == CpuDiscipline::Priority {
            return self.settle();
        }
        while self.running.len() < self.slots as usize {
            let Some((job, work)) = self.waiting.pop_front() else { return };
            self.run(job, work);
        }
    }

    /// The part of a core that each running job gets.
    #[inline]
    fn share(&self) -> f64 {
        let among = match self.discipline {
            CpuDiscipline::ProcessorSharing => self.running.len() as u32,
            CpuDiscipline::Fifo => self.slots.max(self.running.len() as u32),
            // Who is beyond the slots is done and leaves at this instant: the others are not slowed down.
            CpuDiscipline::Priority => self.slots,
        };
        let among = f64::from(among);
        if self.cores >= among { 1.0 } else { self.cores / among }
    }

    fn update_rate(&mut self) {
        self.rate = if self.is_throttled() { 0.0 } else { self.speed * self.share() };
        if self.contention != (0.0, 0.0) {
            let (sigma, kappa) = self.contention;
            let (n, others) = (self.running.len() as f64, self.running.len().saturating_sub(1) as f64);
            self.rate /= 1.0 + sigma * others + kappa * n * others;
        }
        let is_plain = self.discipline == CpuDiscipline::Fifo
            && self.cores == f64::from(self.slots)
            && self.speed == 1.0
            && self.contention == (0.0, 0.0)
            && self.quota.is_none()
            && self.running.len() <= self.slots as usize;
        if is_plain {
            self.end_progress();
        }
    }
}

fn slots(discipline: CpuDiscipline, cores: f64) -> u32 {
    match discipline {
        CpuDiscipline::ProcessorSharing => u32::MAX,
        // The cast cuts off; one server stays where there are no cores at all.
        CpuDiscipline::Fifo | CpuDiscipline::Priority => {
            let whole = cores as u32;
            whole.saturating_add(u32::from(f64::from(whole) < cores)).max(1)
        }
    }
}

/// A length in nanoseconds. Lengths fit a signed number, from which the conversion is one instruction.
#[inline]
fn float(length: SimDuration) -> f64 {
    length.ns() as i64 as f64
}

/// The next whole number of nanoseconds; noise of rounding above a whole number is not counted.
#[inline]
fn rounded_up(ns: f64) -> SimDuration {
    // The cast cuts off, and saturates where the time is beyond all runs.
    let whole = ns.max(0.0) as i64;
    let is_cut = (whole as f64) + NOISE_NS < ns;
    SimDuration::from_ns((whole as u64 + u64::from(is_cut)).min(SimDuration::MAX.ns()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;
    use proptest::prelude::*;

    use CpuDiscipline::{Fifo, ProcessorSharing};

    /// What happens to a processor from outside, at a time in ns.
    #[derive(Clone, Copy, Debug)]
    enum Change {
        Start(u64),
        Speed(f64),
        Cores(f64),
        Cancel(usize),
    }

    /// Plays changes (in order of time) as the world would, with alarms as its only events. Jobs are numbered in
    /// order of starting. Answers with the completions in order, and the number of alarms.
    fn play(mut cpu: Cpu<usize>, changes: &[(u64, Change)]) -> (Vec<(usize, u64)>, usize) {
        let (mut done, mut alarms, mut rung, mut jobs) = (Vec::new(), Vec::new(), 0, 0);
        let mut changes = changes.iter().copied().peekable();
        loop {
            let alarm = alarms.iter().copied().min();
            let change = changes.peek().map(|(ns, _)| *ns);
            match (alarm, change) {
                (None, None) => return (done, rung),
                (Some(ns), change) if change.is_none_or(|change| ns <= change) => {
                    alarms.swap_remove(alarms.iter().position(|alarm| *alarm == ns).unwrap());
                    rung += 1;
                    cpu.on_alarm(SimTime::from_ns(ns));
                    while let Some(job) = cpu.complete(SimTime::from_ns(ns)) {
                        done.push((job, ns));
                    }
                }
                _ => {
                    let (ns, change) = changes.next().unwrap();
                    let now = SimTime::from_ns(ns);
                    match change {
                        Change::Start(work) => {
                            cpu.start(now, jobs, SimDuration::from_ns(work), 0);
                            jobs += 1;
                        }
                        Change::Speed(speed) => cpu.set_speed(now, speed),
                        Change::Cores(cores) => cpu.set_cores(now, cores),
                        Change::Cancel(job) => drop(cpu.cancel(now, job)),
                    }
                }
            }
            alarms.extend(cpu.alarm().map(SimTime::ns));
            let busy = cpu.busy_cores();
            assert!((0.0..=cpu.cores + 1e-9).contains(&busy), "{busy}");
        }
    }

    /// The same by brute force: every nanosecond each running job gets its share. Slow and plainly right.
    fn integrate(discipline: CpuDiscipline, mut cores: f64, changes: &[(u64, Change)]) -> Vec<(usize, u64)> {
        let (mut jobs, mut done, mut speed, mut started) = (Vec::<(usize, f64)>::new(), Vec::new(), 1.0, 0);
        let mut changes = changes.iter().copied().peekable();
        for ns in 0.. {
            jobs.retain(|(job, left)| {
                let is_done = *left <= 1e-6;
                if is_done {
                    done.push((*job, ns));
                }
                !is_done
            });
            while changes.peek().is_some_and(|(at, _)| *at == ns) {
                match changes.next().unwrap().1 {
                    Change::Start(work) => {
                        jobs.push((started, work as f64));
                        started += 1;
                    }
                    Change::Speed(now) => speed = now,
                    Change::Cores(now) => cores = now,
                    Change::Cancel(job) => jobs.retain(|(other, _)| *other != job),
                }
            }
            if jobs.is_empty() && changes.peek().is_none() {
                return done;
            }
            let (running, among) = match discipline {
                ProcessorSharing => (jobs.len(), jobs.len() as f64),
                _ => (jobs.len().min(cores.ceil() as usize), cores.ceil()),
            };
            let share = speed * (cores / among).min(1.0);
            jobs[..running].iter_mut().for_each(|(_, left)| *left -= share);
        }
        done
    }

    fn starts(works: &[(u64, u64)]) -> Vec<(u64, Change)> {
        works.iter().map(|(ns, work)| (*ns, Change::Start(*work))).collect()
    }

    #[test]
    fn shared_jobs_slow_each_other_down() {
        let (done, _) = play(Cpu::new(1.0, ProcessorSharing), &starts(&[(0, 100), (50, 100)]));
        // 50 alone, then 50 at half speed; the other then has 50 left, alone.
        assert_eq!(done, [(0, 150), (1, 200)]);
        let (done, _) = play(Cpu::new(2.0, ProcessorSharing), &starts(&[(0, 100), (50, 100), (50, 100)]));
        assert_eq!(done, [(0, 125), (1, 175), (2, 175)]);
    }

    #[test]
    fn first_come_is_first_served() {
        let (done, alarms) = play(Cpu::new(1.0, Fifo), &starts(&[(0, 100), (50, 10), (60, 0)]));
        assert_eq!((done, alarms), (vec![(0, 100), (1, 110), (2, 110)], 2));
        let (done, _) = play(Cpu::new(1.5, Fifo), &starts(&[(0, 75), (0, 150), (0, 75)]));
        assert_eq!(done, [(0, 100), (1, 200), (2, 200)]);
    }

    #[test]
    fn no_work_is_done_at_once_and_no_cores_do_none() {
        assert_eq!(play(Cpu::new(1.0, ProcessorSharing), &starts(&[(5, 0)])).0, [(0, 5)]);
        assert_eq!(play(Cpu::new(0.0, ProcessorSharing), &starts(&[(5, 1)])).0, []);
        assert_eq!(play(Cpu::new(0.0, Fifo), &starts(&[(5, 0)])).0, []);
        let changes = [(0, Change::Start(10)), (0, Change::Start(10)), (5, Change::Cores(2.0))];
        assert_eq!(play(Cpu::new(0.0, Fifo), &changes).0, [(0, 15), (1, 15)]);
    }

    #[test]
    fn work_done_stays_done_when_the_speed_changes() {
        use Change::{Speed, Start};
        for discipline in [Fifo, ProcessorSharing] {
            // 30 done, hung for 100, 35 done in 70 at half speed, the last 35 at full.
            let changes = [(0, Start(100)), (30, Speed(0.0)), (130, Speed(0.5)), (200, Speed(1.0))];
            assert_eq!(play(Cpu::new(1.0, discipline), &changes).0, [(0, 235)]);
            let hung = [(0, Start(100)), (30, Speed(0.0))];
            assert_eq!(play(Cpu::new(1.0, discipline), &hung).0, []);
        }
    }

    #[test]
    fn the_killed_leave_running_and_waiting() {
        use Change::{Cancel, Start};
        let changes = [(0, Start(100)), (0, Start(9)), (0, Start(10)), (20, Cancel(0)), (20, Cancel(1))];
        assert_eq!(play(Cpu::new(1.0, Fifo), &changes).0, [(2, 30)]);
        let mut cpu = Cpu::new(1.0, Fifo);
        for job in 0..3 {
            cpu.start(SimTime::ZERO, job, SimDuration::from_ns(5), 0);
        }
        assert!(!cpu.cancel(SimTime::ZERO, 7));
        let mut out = Vec::new();
        cpu.drain(SimTime::from_ns(1), &mut out);
        assert_eq!(out, [0, 1, 2]);
        assert_eq!((cpu.running(), cpu.waiting(), cpu.next_completion()), (0, 0, None));
    }

    #[test]
    fn one_alarm_for_each_job_under_first_come_first_served() {
        let mut rng = Rng::from_seed(4);
        let mut ns = 0;
        let mut works = Vec::new();
        for _ in 0..5_000 {
            ns += rng.below(200);
            works.push((ns, 1 + rng.below(180)));
        }
        let (done, alarms) = play(Cpu::new(1.0, Fifo), &starts(&works));
        assert_eq!((done.len(), alarms), (5_000, 5_000));
        // Lindley: begin when you come or when the one before is done, whichever is later.
        let mut free_at = 0;
        for (job, at) in done {
            let (came, work) = works[job];
            free_at = came.max(free_at) + work;
            assert_eq!(at, free_at);
        }
    }

    #[test]
    fn several_servers_agree_with_kiefer_and_wolfowitz() {
        let mut rng = Rng::from_seed(6);
        let mut ns = 0;
        let mut works = Vec::new();
        for _ in 0..5_000 {
            ns += rng.below(60);
            works.push((ns, 1 + rng.below(180)));
        }
        let (mut done, _) = play(Cpu::new(4.0, Fifo), &starts(&works));
        done.sort_unstable();
        let mut free_at = [0; 4];
        for (job, at) in done {
            let (came, work) = works[job];
            free_at.sort_unstable();
            free_at[0] = came.max(free_at[0]) + work;
            assert_eq!(at, free_at[0]);
        }
    }

    #[test]
    fn progress_stays_exact_over_long_times() {
        // Never idle for 30 days: a job of an hour is always present. One of 7 ms comes every minute.
        let (hour, minute) = (3_600_000_000_000u64, 60_000_000_000);
        let mut changes: Vec<(u64, Change)> = (0..720).map(|i| (i * hour / 2, Change::Start(hour))).collect();
        changes.extend((1..43_000).map(|i| (i * minute + 1, Change::Start(7_000_003))));
        changes.sort_by_key(|(ns, _)| *ns);
        let (done, _) = play(Cpu::new(8.0, ProcessorSharing), &changes);
        for (job, at) in &done {
            let (ns, Change::Start(work)) = changes[*job] else { unreachable!() };
            assert_eq!(*at, ns + work);
        }
        assert_eq!(done.len(), changes.len());
    }

    fn change() -> impl Strategy<Value = (u64, Change)> {
        // Not 0: brute force would keep who is done but for the rounding through the whole pause.
        let speed = prop_oneof![Just(0.25), Just(0.5), Just(1.0), Just(1.7)];
        let what = prop_oneof![
            6 => (1u64..600).prop_map(Change::Start),
            1 => speed.prop_map(Change::Speed),
            1 => prop_oneof![Just(0.5), Just(1.0), Just(2.0), Just(3.5)].prop_map(Change::Cores),
            1 => (0usize..30).prop_map(Change::Cancel),
        ];
        (0u64..300, what)
    }

    proptest! {
        #[test]
        fn agrees_with_brute_force(
            discipline in prop_oneof![Just(ProcessorSharing), Just(Fifo)],
            cores in prop_oneof![Just(0.5), Just(1.0), Just(2.0), Just(3.5)],
            mut changes in prop::collection::vec(change(), 0..40),
        ) {
            // Pauses to times. Servers must not outnumber cores, which brute force does not know.
            let mut now = 0;
            changes.retain(|(_, c)| discipline == ProcessorSharing || !matches!(c, Change::Cores(_)));
            for (ns, _) in &mut changes {
                now += *ns;
                *ns = now;
            }
            changes.push((now, Change::Speed(1.0)));
            let (mut fast, _) = play(Cpu::new(cores, discipline), &changes);
            let mut slow = integrate(discipline, cores, &changes);
            fast.sort_unstable();
            slow.sort_unstable();
            prop_assert_eq!(fast.len(), slow.len());
            for ((job, ours), (same, brute)) in fast.iter().zip(&slow) {
                prop_assert_eq!(job, same);
                // Brute force lets a job hold its share to the end of its last nanosecond.
                prop_assert!(ours.abs_diff(*brute) <= 60, "job {}: {} and {}", job, ours, brute);
            }
        }

        #[test]
        fn work_is_conserved(
            discipline in prop_oneof![Just(ProcessorSharing), Just(Fifo)],
            changes in prop::collection::vec((0u64..300, 0u64..600), 1..60),
        ) {
            // One core that is never idle while there is work: the last completion is the same for any discipline.
            let (mut now, mut free_at) = (0, 0);
            let mut works = Vec::new();
            for (pause, work) in changes {
                now += pause;
                free_at = now.max(free_at) + work;
                works.push((now, work));
            }
            let (done, _) = play(Cpu::new(1.0, discipline), &starts(&works));
            prop_assert_eq!(done.len(), works.len());
            let last = done.iter().map(|(_, at)| *at).max().unwrap();
            prop_assert!(last.abs_diff(free_at) <= 1 + done.len() as u64, "{} and {}", last, free_at);
        }
    }
}
