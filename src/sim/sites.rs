//! Sites: what a name leads to, and who has heard of it.

use super::World;
use super::event::Event;
use crate::base::{SimTime, mix, uniform_of};
use crate::engine::Rank;
use crate::metrics::{Change, Observer};
use crate::model::Model;
use crate::model::sites::SiteRouting;

/// The salts of a client's draws: how old its answer is, whether it keeps it for good, and which region it got.
const AGE: u64 = 71;
const STALE: u64 = 72;
const REGION: u64 = 73;

/// What a name leads to: the regions that answers name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Answer(Vec<bool>);

/// A site in the world.
#[derive(Clone, Debug)]
pub(super) struct SiteState {
    /// Which regions are taken for healthy, and for how many looks they have looked otherwise.
    healthy: Vec<(bool, u32)>,
    /// The region that an operator has chosen.
    chosen: Option<u32>,
    /// What is answered now, since when, and what was answered before.
    now: Answer,
    since: SimTime,
    before: Answer,
    /// What was answered at the start: who keeps an answer for good has that.
    first: Answer,
}

impl SiteState {
    pub fn all(model: &Model) -> Vec<Self> {
        let one = |shape: &crate::model::sites::SiteShape| Self {
            healthy: vec![(true, 0); shape.regions.len()],
            chosen: None,
            now: Answer::default(),
            since: SimTime::ZERO,
            before: Answer::default(),
            first: Answer::default(),
        };
        model.sites.iter().map(one).collect()
    }
}

impl<O: Observer> World<'_, O> {
    pub(super) fn start_sites(&mut self, now: SimTime) {
        for site in 0..self.sites.len() as u32 {
            let answer = self.site_answer(site);
            let state = &mut self.sites[site as usize];
            state.now = answer.clone();
            state.before = answer.clone();
            state.first = answer;
            let meters = self.model.catalog.sites[site as usize];
            let regions = self.sites[site as usize].healthy.len();
            self.observer.moved(now, meters.healthy, regions as i64);
            let every = self.settings().sites[site as usize].interval;
            self.queue.schedule(now + every, Rank::Probe, Event::SiteCheck { site });
        }
    }

    /// The regions that the name leads to.
    fn site_answer(&self, site: u32) -> Answer {
        let state = &self.sites[site as usize];
        let regions = state.healthy.len();
        let only = |at: usize| Answer((0..regions).map(|region| region == at).collect());
        if let Some(chosen) = state.chosen {
            return only(chosen as usize);
        }
        let any = state.healthy.iter().any(|(is, _)| *is);
        let counts = |region: usize| !any || state.healthy[region].0;
        match &self.settings().sites[site as usize].routing {
            SiteRouting::Manual => only(0),
            SiteRouting::Failover => only((0..regions).find(|region| counts(*region)).unwrap_or(0)),
            SiteRouting::Weighted(_) => Answer((0..regions).map(counts).collect()),
        }
    }

    /// Looks at all regions of a site.
    pub(super) fn on_site_check(&mut self, now: SimTime, site: u32) {
        let model = self.model;
        let settings = &model.epochs[self.epoch].sites[site as usize];
        for (region, balancer) in model.sites[site as usize].regions.iter().enumerate() {
            let is_up = self.balancers[*balancer as usize].has_healthy();
            let (is_healthy, looks) = &mut self.sites[site as usize].healthy[region];
            if *is_healthy == is_up {
                *looks = 0;
                continue;
            }
            *looks += 1;
            if *looks >= settings.failures {
                (*is_healthy, *looks) = (is_up, 0);
                self.observer.moved(
                    now,
                    model.catalog.sites[site as usize].healthy,
                    if is_up { 1 } else { -1 },
                );
            }
        }
        self.answer_anew(now, site);
        self.queue.schedule(now + settings.interval, Rank::Probe, Event::SiteCheck { site });
    }

    /// An operator has a site lead elsewhere.
    pub(super) fn switch_site(&mut self, now: SimTime, site: u32, region: u32) {
        self.sites[site as usize].chosen = Some(region);
        self.answer_anew(now, site);
    }

    fn answer_anew(&mut self, now: SimTime, site: u32) {
        let answer = self.site_answer(site);
        let state = &mut self.sites[site as usize];
        if answer == state.now {
            return;
        }
        state.before = std::mem::replace(&mut state.now, answer);
        state.since = now;
        self.observer.count(self.model.catalog.sites[site as usize].switches);
        self.note(now, Change::SiteSwitched { site });
    }

    /// The region that a request goes to; `key` is its own.
    pub(super) fn region_of(&self, now: SimTime, site: u32, key: u64) -> usize {
        let state = &self.sites[site as usize];
        let settings = &self.settings().sites[site as usize];
        let has_expired = now.since(state.since).seconds() >= settings.ttl_s * uniform_of(mix(key, AGE));
        let is_stale = settings.stale > 0.0 && uniform_of(mix(key, STALE)) < settings.stale;
        let answer = match (is_stale, has_expired) {
            (true, _) => &state.first,
            (false, true) => &state.now,
            (false, false) => &state.before,
        };
        let weight = |region: usize| match &settings.routing {
            SiteRouting::Weighted(weights) => weights.get(region).copied().unwrap_or(0.0),
            _ => 1.0,
        };
        let named = || answer.0.iter().enumerate().filter(|(_, is)| **is).map(|(region, _)| region);
        let sum: f64 = named().map(weight).sum();
        let mut left = uniform_of(mix(key, REGION)) * sum;
        for region in named() {
            left -= weight(region);
            if left < 0.0 {
                return region;
            }
        }
        named().next_back().unwrap_or(0)
    }
}
