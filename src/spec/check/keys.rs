//! Keys and caches: their values, and that some request that reaches a cache has a key.

use super::each_call;
use super::names::{Component, resolve};
use crate::spec::decode::Context;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::policy::{Cache, FallbackOption, Layer};
use crate::spec::site::ways;
use crate::spec::source::Spanned;
use crate::spec::topology::{Clients, Keys, Topology};
use std::collections::{BTreeMap, BTreeSet};

/// The most keys of one population: their shares are kept in a table.
const KEYS_MAX: u32 = 10_000_000;

pub(super) fn keys(keys: &Keys, cx: &mut Context) {
    let count = match keys {
        Keys::Zipf(z) => {
            if !(0.0..=20.0).contains(&z.exponent) {
                cx.fail::<()>(z.place("exponent"), "`exponent` must be from 0 to 20");
            }
            Some((z.count, z.place("count")))
        }
        Keys::Uniform(u) => Some((u.count, u.place("count"))),
        Keys::File(_) => None,
    };
    if let Some((count, at)) = count
        && !(1..=KEYS_MAX).contains(&count)
    {
        cx.fail::<()>(at, format!("`count` must be from 1 to {KEYS_MAX}"));
    }
}

pub(super) fn cache(c: &Cache, cx: &mut Context) {
    let times = [
        (c.ttl, "ttl"),
        (c.negative_ttl, "negative_ttl"),
        (c.stale_while_revalidate, "stale_while_revalidate"),
        (c.stale_if_error, "stale_if_error"),
    ];
    for (time, what) in times {
        if let Some(time) = time {
            super::values::positive_time(time, what, c.place(what), cx);
        }
    }
    if let Some(capacity) = c.capacity {
        super::values::at_least_one(capacity, "capacity", c.place("capacity"), cx);
    }
    let need_ttl = [
        (c.renew, "renew"),
        (c.stale_while_revalidate.is_some(), "stale_while_revalidate"),
        (c.stale_if_error.is_some(), "stale_if_error"),
    ];
    for (is_given, what) in need_ttl {
        if is_given && c.ttl.is_none() {
            cx.fail::<()>(c.place(what), format!("`{what}` has no effect without a `ttl`: nothing expires"));
        }
    }
}

/// Who reaches a policy, by name.
type Reached<'t> = BTreeMap<&'t str, BTreeSet<&'t str>>;

/// An error for each cache that only requests without keys ever reach: it would never find anything.
pub(super) fn check(topology: &Topology, cx: &mut Context) {
    let mut layers = topology.policies.iter().flat_map(|(_, layers)| layers);
    if !layers.any(|layer| matches!(layer, Layer::Cache(_))) {
        return;
    }
    let mut reached = Reached::new();
    for (name, clients) in topology.clients.iter() {
        let mut walk = Walk { topology, name, reached: &mut reached, seen: BTreeSet::new() };
        for (request, span, _) in clients.requests.spanned() {
            for way in ways(topology, &Spanned { value: request.to_string(), span }) {
                walk.call(&way, clients.through.as_ref());
            }
        }
    }
    let has_keys = |name: &&str| topology.clients.get(name).is_some_and(|c| c.keys.is_some());
    for (policy, layers) in topology.policies.iter() {
        let Some(callers) = reached.get(policy) else { continue };
        let Some(cache) = layers.iter().find_map(|l| if let Layer::Cache(c) = l { Some(c) } else { None })
        else {
            continue;
        };
        if callers.iter().any(has_keys) {
            continue;
        }
        let names: Vec<String> = callers.iter().map(|n| format!("`{n}`")).collect();
        let mut diagnostic =
            Diagnostic::error(cache.span, "this cache can never find anything: no request has a key")
                .label(format!("reached by {} only", names.join(", ")))
                .help("say what the requests ask for, such as `keys: Zipf(count: 1000, exponent: 0.8)`");
        let clients: Vec<&Clients> = callers.iter().filter_map(|n| topology.clients.get(n)).collect();
        if let [only] = clients[..] {
            diagnostic = diagnostic.context(only.span, "these clients have no `keys`");
        }
        cx.diagnostics.push(diagnostic);
    }
}

/// A walk along all calls that a population's requests lead to.
struct Walk<'t, 'r> {
    topology: &'t Topology,
    name: &'t str,
    reached: &'r mut Reached<'t>,
    /// Endpoints and policies that were walked through already.
    seen: BTreeSet<String>,
}

impl<'t> Walk<'t, '_> {
    fn call(&mut self, to: &Spanned<String>, through: Option<&'t Spanned<String>>) {
        if let Some(policy) = through {
            self.policy(&policy.value);
        }
        let Ok(target) = resolve(self.topology, to) else { return };
        let service = match target.component {
            Component::Service(index) => self.topology.services.at(index),
            Component::Balancer(index) => self.topology.balancers.at(index).and_then(|(_, b)| {
                let name = self.topology.services.position(&b.targets.value)?;
                self.topology.services.at(name)
            }),
            Component::Database(_) | Component::External(_) => None,
        };
        let Some((name, service)) = service else { return };
        if !self.seen.insert(format!("{name}/{}", target.endpoint)) {
            return;
        }
        if let Some(steps) = service.endpoints.get(&target.endpoint) {
            each_call(steps, &mut |c| self.call(&c.to, c.through.as_ref()));
        }
    }

    fn policy(&mut self, name: &'t str) {
        self.reached.entry(name).or_default().insert(self.name);
        if !self.seen.insert(name.to_string()) {
            return;
        }
        for layer in self.topology.policies.get(name).into_iter().flatten() {
            let Layer::Fallback(fallback) = layer else { continue };
            for option in &fallback.options {
                if let FallbackOption::Call(c) = option {
                    self.call(&c.to, c.through.as_ref());
                }
            }
        }
    }
}
