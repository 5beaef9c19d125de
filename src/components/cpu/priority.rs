//! Cores for those who matter most: preemptive priorities, where interrupted work resumes where it was.
//!
//! Intuition: every job has a *turn*, one number: its priority first, then its place among all that came. Those whose
//! turn is first have the cores, at any moment. Who comes with an earlier turn takes the core of the one whose turn is
//! last; that one keeps what it has got, and is ahead of all of its priority that came later.
//!
//! Each job has one core at most. A job with less than a nanosecond to go is done, and is not interrupted any more: it
//! leaves at this very instant. An interrupted job's alarm rings in vain, as the alarm of any job that is slowed down.
//! An interruption costs no time; it searches the running jobs, of which there are no more than cores.
//!
//! Source: preemptive resume priority queues (Cobham, Priority assignment in waiting line problems, 1954; White and
//! Christie, Queuing with preemptive priorities or with breakdown, 1958).

use super::running::Running;
use super::{Cpu, float};
use crate::base::SimDuration;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Bits of a turn that count the jobs that came; the priority is above them.
const COUNT_BITS: u32 = 56;

/// Who waits for a core, first turn first.
#[derive(Clone, Debug)]
pub(super) struct Ranked<J> {
    heap: BinaryHeap<Interrupted<J>>,
}

/// A job without a core, now. Greater is earlier, since the heap gives out its greatest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interrupted<J> {
    /// Smaller comes first.
    turn: u64,
    /// Core-nanoseconds to go, at speed 1.
    left: f64,
    /// The job.
    pub job: J,
}

impl<J: Copy + PartialEq> Ranked<J> {
    pub fn new() -> Self {
        Self { heap: BinaryHeap::new() }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    pub fn pop(&mut self) -> Option<Interrupted<J>> {
        self.heap.pop()
    }

    /// Takes a job out; false if it does not wait here.
    pub fn remove(&mut self, job: J) -> bool {
        let count = self.heap.len();
        self.heap.retain(|waiting| waiting.job != job);
        self.heap.len() < count
    }
}

impl<J: Copy + PartialEq> Cpu<J> {
    /// A job comes, and has a core at once if its turn is before that of one who has.
    pub(super) fn start_ranked(&mut self, job: J, work: SimDuration, priority: u8) {
        let turn = (u64::from(u8::MAX - priority) << COUNT_BITS) | self.started;
        self.started += 1;
        self.ranked.heap.push(Interrupted { turn, left: float(work), job });
        self.settle();
        self.update_rate();
    }

    /// Gives the cores to those whose turn is first.
    pub(super) fn settle(&mut self) {
        while self.running.len() > self.slots as usize {
            let Some(last) = self.last_turn() else { break };
            self.interrupt(last);
        }
        while self.running.len() < self.slots as usize {
            let Some(next) = self.ranked.heap.pop() else { return };
            self.resume(next);
        }
        while let Some(next) = self.ranked.heap.peek().copied()
            && let Some(last) = self.last_turn()
            && next.turn < last
        {
            self.ranked.heap.pop();
            self.interrupt(last);
            self.resume(next);
        }
    }

    /// The last turn of those who have a core and are not done.
    fn last_turn(&self) -> Option<u64> {
        let servers = f64::from(self.slots);
        let rate = self.speed * if self.cores >= servers { 1.0 } else { self.cores / servers };
        let at_work = self.running.iter().filter(|r| r.done_at() - self.progress >= rate);
        at_work.map(|r| r.sequence).max()
    }

    /// Takes the core from the job of this turn.
    fn interrupt(&mut self, turn: u64) {
        let (progress, heap) = (self.progress, &mut self.ranked.heap);
        self.running.retain(|r| {
            let stays = r.sequence != turn;
            if !stays {
                heap.push(Interrupted { turn, left: r.done_at() - progress, job: r.job });
            }
            stays
        });
    }

    fn resume(&mut self, next: Interrupted<J>) {
        let done_at = self.progress + next.left;
        self.running.push(Running::at(done_at, next.turn, next.job));
    }
}

impl<J> PartialEq for Interrupted<J> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl<J> Eq for Interrupted<J> {}
impl<J> PartialOrd for Interrupted<J> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<J> Ord for Interrupted<J> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.turn.cmp(&self.turn)
    }
}

#[cfg(test)]
mod tests {
    use super::super::CpuDiscipline;
    use super::*;
    use crate::base::SimTime;
    use proptest::prelude::*;

    /// What happens to a processor from outside.
    #[derive(Clone, Copy, Debug)]
    enum Change {
        /// A job comes, with work in ns and a priority.
        Start(u64, u8),
        Speed(f64),
        Cores(f64),
        Cancel(usize),
    }

    /// A job as the test sees it.
    #[derive(Clone, Copy, Debug)]
    struct Job {
        work: f64,
        priority: u8,
        /// Core-nanoseconds that it has got.
        got: f64,
        is_here: bool,
    }

    /// Drives a processor, and asserts at every event what always holds.
    struct Driver {
        cpu: Cpu<usize>,
        jobs: Vec<Job>,
        now: u64,
        alarms: Vec<u64>,
        done: Vec<(usize, u64)>,
    }

    impl Driver {
        fn new(cores: f64) -> Self {
            let cpu = Cpu::new(cores, CpuDiscipline::Priority);
            Self { cpu, jobs: Vec::new(), now: 0, alarms: Vec::new(), done: Vec::new() }
        }

        /// Time goes by: those who run get their share.
        fn until(&mut self, ns: u64) {
            for running in self.cpu.running.iter() {
                self.jobs[running.job].got += self.cpu.rate * (ns - self.now) as f64;
            }
            self.now = ns;
        }

        fn ring(&mut self, ns: u64) {
            self.until(ns);
            let now = SimTime::from_ns(ns);
            self.cpu.on_alarm(now);
            while let Some(job) = self.cpu.complete(now) {
                self.jobs[job].is_here = false;
                self.done.push((job, ns));
            }
            self.look();
        }

        fn change(&mut self, ns: u64, change: Change) {
            while let Some(alarm) = self.alarms.iter().copied().min().filter(|alarm| *alarm <= ns) {
                self.alarms.retain(|a| *a != alarm);
                self.ring(alarm);
            }
            self.until(ns);
            let now = SimTime::from_ns(ns);
            match change {
                Change::Start(work, priority) => {
                    let job = self.jobs.len();
                    self.jobs.push(Job { work: work as f64, priority, got: 0.0, is_here: true });
                    self.cpu.start(now, job, SimDuration::from_ns(work), priority);
                }
                Change::Speed(speed) => self.cpu.set_speed(now, speed),
                Change::Cores(cores) => self.cpu.set_cores(now, cores),
                Change::Cancel(job) => {
                    let is_here = self.jobs.get(job).is_some_and(|j| j.is_here);
                    assert_eq!(self.cpu.cancel(now, job), is_here);
                    if is_here {
                        self.jobs[job].is_here = false;
                    }
                }
            }
            self.look();
        }

        fn finish(&mut self) {
            while let Some(alarm) = self.alarms.iter().copied().min() {
                self.alarms.retain(|a| *a != alarm);
                self.ring(alarm);
            }
        }

        /// What holds after every event.
        fn look(&mut self) {
            self.alarms.extend(self.cpu.alarm().map(SimTime::ns));
            let here = self.jobs.iter().filter(|j| j.is_here).count();
            assert_eq!(self.cpu.running() + self.cpu.waiting(), here, "nobody is lost");
            let slots = self.cpu.slots as usize;
            let rate = self.cpu.rate;
            let is_done = |r: &&Running<usize>| r.done_at() - self.cpu.progress < rate;
            let at_work: Vec<usize> =
                self.cpu.running.iter().filter(|r| !is_done(r)).map(|r| r.job).collect();
            assert!(at_work.len() <= slots, "no more run than there are cores");
            assert!(self.cpu.running() >= here.min(slots), "no core idles while somebody waits");
            // The turn as the test knows it: priority, then order of coming.
            let turn = |job: &usize| (u8::MAX - self.jobs[*job].priority, *job);
            let last = at_work.iter().map(turn).max();
            let first = self.cpu.ranked.heap.iter().map(|w| turn(&w.job)).min();
            if let (Some(last), Some(first)) = (last, first) {
                assert!(last < first, "{last:?} runs while {first:?} waits");
            }
        }
    }

    /// The same by brute force: every nanosecond the first turns get their share.
    fn integrate(mut cores: f64, changes: &[(u64, Change)]) -> Vec<(usize, u64)> {
        let (mut jobs, mut done) = (Vec::<((u8, usize), f64)>::new(), Vec::new());
        let (mut speed, mut started) = (1.0, 0);
        let mut changes = changes.iter().copied().peekable();
        for ns in 0.. {
            jobs.retain(|((_, job), left)| {
                let is_done = *left <= 1e-6;
                if is_done {
                    done.push((*job, ns));
                }
                !is_done
            });
            while changes.peek().is_some_and(|(at, _)| *at == ns) {
                match changes.next().unwrap().1 {
                    Change::Start(work, priority) => {
                        jobs.push(((u8::MAX - priority, started), work as f64));
                        started += 1;
                    }
                    Change::Speed(now) => speed = now,
                    Change::Cores(now) => cores = now,
                    Change::Cancel(job) => jobs.retain(|((_, other), _)| *other != job),
                }
            }
            if jobs.is_empty() && changes.peek().is_none() {
                return done;
            }
            jobs.sort_by_key(|(turn, _)| *turn);
            let share = speed * (cores / cores.ceil()).min(1.0);
            jobs.iter_mut().take(cores.ceil() as usize).for_each(|(_, left)| *left -= share);
        }
        done
    }

    fn play(cores: f64, changes: &[(u64, Change)]) -> Driver {
        let mut driver = Driver::new(cores);
        changes.iter().for_each(|(ns, change)| driver.change(*ns, *change));
        driver.finish();
        driver
    }

    use Change::{Cancel, Cores, Speed, Start};

    #[test]
    fn the_higher_interrupts_and_the_lower_resumes_where_it_was() {
        let changes = [(0, Start(100, 0)), (30, Start(50, 5)), (40, Start(10, 0)), (50, Start(20, 9))];
        // 30 done; 5 runs 30..50 and 70..100, 9 runs 50..70; then the rest in order of coming.
        assert_eq!(play(1.0, &changes).done, [(3, 70), (1, 100), (0, 170), (2, 180)]);
    }

    #[test]
    fn several_cores_serve_the_first_turns() {
        let changes = [(0, Start(100, 1)), (0, Start(100, 1)), (10, Start(20, 2)), (20, Start(5, 0))];
        // The second loses its core, not the first; the last comes when one of them is done.
        assert_eq!(play(2.0, &changes).done, [(2, 30), (0, 100), (3, 105), (1, 120)]);
    }

    #[test]
    fn who_is_done_at_this_instant_is_not_interrupted() {
        let mut cpu = Cpu::new(1.0, CpuDiscipline::Priority);
        cpu.start(SimTime::ZERO, 'a', SimDuration::from_ns(10), 0);
        let now = SimTime::from_ns(10);
        cpu.start(now, 'b', SimDuration::from_ns(7), 1);
        assert_eq!((cpu.complete(now), cpu.complete(now)), (Some('a'), None));
        assert_eq!(cpu.next_completion(), Some(SimTime::from_ns(17)));
    }

    #[test]
    fn fewer_cores_leave_the_last_turns_waiting() {
        let changes =
            [(0, Start(100, 0)), (0, Start(100, 3)), (0, Start(100, 2)), (50, Cores(1.0)), (200, Cores(2.0))];
        assert_eq!(play(3.0, &changes).done, [(1, 100), (2, 150), (0, 200)]);
        // Hung for 100, half a core until 220; the interrupted is called off.
        let changes =
            [(0, Start(50, 0)), (10, Start(20, 1)), (15, Speed(0.0)), (115, Speed(0.5)), (120, Cancel(0))];
        assert_eq!(play(1.0, &changes).done, [(1, 145)]);
    }

    #[test]
    fn who_is_done_slows_nobody_down_when_cores_go() {
        // At 8 ns the second and the third have less than a nanosecond to go: they keep their cores and leave.
        let changes =
            [(0, Start(13, 0)), (0, Start(7, 0)), (5, Start(3, 0)), (8, Cores(1.0)), (8, Speed(1.0))];
        assert_eq!(play(2.5, &changes).done.len(), 3);
    }

    #[test]
    fn a_crash_hands_back_all() {
        let mut cpu = Cpu::new(1.0, CpuDiscipline::Priority);
        for (job, priority) in [(0, 1), (1, 5), (2, 3)] {
            cpu.start(SimTime::ZERO, job, SimDuration::from_ns(5), priority);
        }
        let mut out = Vec::new();
        cpu.drain(SimTime::from_ns(1), &mut out);
        assert_eq!(out, [1, 2, 0]);
        assert_eq!((cpu.running(), cpu.waiting(), cpu.next_completion()), (0, 0, None));
    }

    /// Changes at rising times; the last sets the speed to 1.
    fn changes(speeds: &'static [f64], cores: &'static [f64]) -> impl Strategy<Value = Vec<(u64, Change)>> {
        let what = prop_oneof![
            8 => (1u64..60, 0u8..3).prop_map(|(work, priority)| Start(work, priority)),
            1 => prop::sample::select(speeds).prop_map(Speed),
            1 => prop::sample::select(cores).prop_map(Cores),
            1 => (0usize..10).prop_map(Cancel),
        ];
        prop::collection::vec((0u64..25, what), 0..12).prop_map(|mut changes| {
            let mut now = 0;
            for (ns, _) in &mut changes {
                now += *ns;
                *ns = now;
            }
            changes.push((now, Speed(1.0)));
            changes
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn the_first_turns_run_and_all_get_what_they_asked_for(
            cores in prop_oneof![Just(0.5), Just(1.0), Just(2.5), Just(3.0)],
            changes in changes(&[0.0, 0.3, 1.0, 1.7], &[0.5, 1.0, 2.5]),
        ) {
            let driver = play(cores, &changes);
            prop_assert!(driver.jobs.iter().all(|j| !j.is_here), "all are done in the end");
            for (job, _) in &driver.done {
                // Off by the part of the last nanosecond, at the highest speed.
                let Job { work, got, .. } = driver.jobs[*job];
                prop_assert!((got - work).abs() < 1.7 + 1e-6, "job {}: {} of {}", job, got, work);
            }
        }

        #[test]
        fn agrees_with_brute_force(
            cores in prop_oneof![Just(1.0), Just(2.0), Just(3.0)],
            changes in changes(&[0.0, 1.0], &[1.0, 2.0, 3.0]),
        ) {
            let (mut fast, mut slow) = (play(cores, &changes).done, integrate(cores, &changes));
            fast.sort_unstable();
            slow.sort_unstable();
            prop_assert_eq!(fast, slow, "exact to the nanosecond");
        }

        #[test]
        fn with_one_priority_it_is_first_come_first_served(
            cores in prop_oneof![Just(1.0), Just(2.0), Just(3.0)],
            works in prop::collection::vec((0u64..40, 0u64..80), 0..20),
        ) {
            let mut plain = Cpu::new(cores, CpuDiscipline::Fifo);
            let mut ranked = Cpu::new(cores, CpuDiscipline::Priority);
            let (mut now, mut out) = (0, [Vec::new(), Vec::new()]);
            for (job, (pause, work)) in works.into_iter().enumerate() {
                now += pause;
                for (cpu, out) in [&mut plain, &mut ranked].into_iter().zip(&mut out) {
                    while let Some(at) = cpu.next_completion().filter(|at| at.ns() <= now) {
                        out.extend(cpu.complete(at).map(|job| (job, at)));
                    }
                    cpu.start(SimTime::from_ns(now), job, SimDuration::from_ns(work), 4);
                }
            }
            prop_assert_eq!(&out[0], &out[1]);
            prop_assert_eq!(plain.next_completion(), ranked.next_completion());
        }
    }
}
