//! How settings change during a run: by the timeline, in its order, and by what reacts, at any time.
//!
//! All settings that a run can come to are compiled beforehand. They are found by trying out every change at every
//! state: a state is the list of changes that count, so that changes of different components lead to the same state in
//! whatever order they happen, and undoing one leads back.

use crate::sim::script::Script;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::load::{Loader, Override};
use crate::spec::node::Node;
use crate::spec::source::{Span, Spanned};
use crate::spec::topology::Topology;
use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

/// The most states that the settings of one variant can have.
const STATES_MAX: usize = 512;

/// A change of settings.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// What it does.
    pub what: Op,
    /// What the log says of it.
    pub text: String,
    /// Where it was written.
    pub span: Span,
}

/// What a change does.
#[derive(Clone, Debug)]
pub(super) enum Op {
    /// Sets something.
    Apply(Vec<Override>),
    /// Undoes another change, by number.
    Undo(u32),
    /// Undoes all that was set at a path.
    Revert(Spanned<String>),
}

/// Changes that happen one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    /// The changes, by number.
    pub changes: Vec<u32>,
    /// Whether it may begin anew at any time.
    pub repeats: bool,
}

/// All changes of a variant.
#[derive(Clone, Debug, Default)]
pub(super) struct Changing {
    pub changes: Vec<Change>,
    /// Those of the timeline, in order.
    pub timeline: Chain,
    /// Those of what reacts.
    pub reactions: Vec<Chain>,
}

/// The states that settings can have, and what leads from one to the other.
pub(super) struct States<'n> {
    pub topologies: Vec<Topology>,
    /// The same as trees.
    pub nodes: Vec<Cow<'n, Node>>,
    /// The change that first led to each state but the first.
    pub led_by: Vec<u32>,
}

/// Where somebody stands: the changes that count, and how far each chain has come.
type Place = (Vec<u32>, Vec<u16>);

impl Changing {
    /// Adds a change and returns its number.
    pub fn push(&mut self, what: Op, text: String, span: Span) -> u32 {
        self.changes.push(Change { what, text, span });
        self.changes.len() as u32 - 1
    }

    fn overrides(&self, change: u32) -> &[Override] {
        match &self.changes[change as usize].what {
            Op::Apply(overrides) => overrides,
            Op::Undo(_) | Op::Revert(_) => &[],
        }
    }

    /// The changes that count once another has happened.
    fn after(&self, counting: &[u32], change: u32) -> Vec<u32> {
        let mut all = counting.to_vec();
        match &self.changes[change as usize].what {
            Op::Apply(_) => {
                all.retain(|c| *c != change);
                all.push(change);
            }
            Op::Undo(other) => all.retain(|c| c != other),
            Op::Revert(path) => {
                all.retain(|c| !self.overrides(*c).iter().any(|o| overlap(&o.path.value, &path.value)))
            }
        }
        if !self.reactions.is_empty() {
            self.sort(&mut all);
        }
        all
    }

    /// Leaves out what a later change overwrites, and puts changes of different components in order of number.
    fn sort(&self, all: &mut Vec<u32>) {
        let covers = |later: u32, earlier: u32| {
            let covered =
                |o: &Override| self.overrides(later).iter().any(|l| lies_at(&o.path.value, &l.path.value));
            self.overrides(earlier).iter().all(covered)
        };
        let mut at = 0;
        while at < all.len() {
            match all[at + 1..].iter().any(|later| covers(*later, all[at])) {
                true => drop(all.remove(at)),
                false => at += 1,
            }
        }
        let commute = |a: u32, b: u32| {
            let apart =
                |x: &Override| self.overrides(b).iter().all(|y| are_apart(&x.path.value, &y.path.value));
            self.overrides(a).iter().all(apart)
        };
        let mut has_moved = true;
        while has_moved {
            has_moved = false;
            for at in 1..all.len() {
                if all[at - 1] > all[at] && commute(all[at - 1], all[at]) {
                    all.swap(at - 1, at);
                    has_moved = true;
                }
            }
        }
    }

    /// Finds all states; fills in the script's transitions. Mistakes are left in the loader's diagnostics.
    ///
    /// `known` is the topology of `base`, if that has been decoded and checked before.
    pub fn states<'n>(
        &self,
        loader: &mut Loader,
        base: Cow<'n, Node>,
        known: Option<Topology>,
        script: &mut Script,
    ) -> Option<States<'n>> {
        let chains: Vec<&Chain> = [&self.timeline].into_iter().chain(&self.reactions).collect();
        let topology = known.or_else(|| loader.topology(&base))?;
        let mut found = States { topologies: vec![topology], nodes: vec![base], led_by: vec![0] };
        let mut numbers: BTreeMap<Vec<u32>, u32> = BTreeMap::from([(Vec::new(), 0)]);
        let mut known: BTreeMap<Place, ()> = BTreeMap::new();
        let start: Place = (Vec::new(), vec![0; chains.len()]);
        let mut open = VecDeque::from([start.clone()]);
        known.insert(start, ());
        script.transitions = vec![vec![0; self.changes.len()]];
        while let Some((counting, progress)) = open.pop_front() {
            let from = numbers[&counting];
            for (at, chain) in chains.iter().enumerate() {
                let next = usize::from(progress[at]);
                let mut ways = vec![next];
                if chain.repeats && next > 0 {
                    ways.push(0);
                }
                for way in ways {
                    let Some(change) = chain.changes.get(way) else { continue };
                    let after = self.after(&counting, *change);
                    let to = match numbers.get(&after) {
                        Some(to) => *to,
                        None => {
                            let number = found.topologies.len() as u32;
                            let node = self.node(loader, &found.nodes[0], &after);
                            found.topologies.push(loader.topology(&node)?);
                            found.nodes.push(Cow::Owned(node));
                            found.led_by.push(*change);
                            script.transitions.push(vec![number; self.changes.len()]);
                            numbers.insert(after.clone(), number);
                            number
                        }
                    };
                    if found.topologies.len() > STATES_MAX {
                        let span = self.changes[*change as usize].span;
                        let message = format!("settings can come to more than {STATES_MAX} different states");
                        let help = "fewer runbooks that set something at the same time, or steps that set less often";
                        loader.diagnostics.push(Diagnostic::error(span, message).help(help));
                        return None;
                    }
                    script.transitions[from as usize][*change as usize] = to;
                    let mut progress = progress.clone();
                    progress[at] = way as u16 + 1;
                    if known.insert((after.clone(), progress.clone()), ()).is_none() {
                        open.push_back((after, progress));
                    }
                }
            }
        }
        Some(found)
    }

    fn node(&self, loader: &mut Loader, base: &Node, counting: &[u32]) -> Node {
        let mut node = base.clone();
        for change in counting {
            loader.apply(&mut node, self.overrides(*change));
        }
        node
    }
}

/// Whether two paths lead to settings that have nothing to do with each other. Layers of a policy have several names.
fn are_apart(a: &str, b: &str) -> bool {
    let part = |path: &str| {
        let segments = if path.starts_with("policies.") { 2 } else { 3 };
        path.split('.').take(segments).map(str::to_string).collect::<Vec<String>>()
    };
    part(a) != part(b) && !overlap(a, b)
}

/// Whether a path is another or lies beneath it.
fn lies_at(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether one of two paths lies at the other.
fn overlap(a: &str, b: &str) -> bool {
    lies_at(a, b) || lies_at(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changing(paths: &[&str]) -> Changing {
        let mut all = Changing { reactions: vec![Chain::default()], ..Changing::default() };
        for path in paths {
            let path = Spanned { value: (*path).to_string(), span: Span::default() };
            let value = Node { kind: crate::spec::node::Kind::Bool(true), span: Span::default() };
            all.push(Op::Apply(vec![Override { path, value }]), String::new(), Span::default());
        }
        all
    }

    #[test]
    fn what_has_nothing_to_do_with_each_other_is_in_order_and_the_rest_as_it_came() {
        let all = changing(&["services.a.workers", "services.b.workers", "services.a.workers.x"]);
        assert_eq!(all.after(&[1], 0), [0, 1]);
        assert_eq!(all.after(&all.after(&[0], 1), 2), [0, 1, 2]);
        let all = changing(&["policies.p.Retry.max", "policies.p.0", "services.a"]);
        assert_eq!(all.after(&[1], 0), [1, 0], "the layer may be the same");
        assert_eq!(all.after(&[2, 1], 0), [1, 0, 2]);
    }

    #[test]
    fn a_change_that_is_overwritten_does_not_count() {
        let all = changing(&["services.a.queue.capacity", "services.a.queue", "services.a.queues"]);
        assert_eq!(all.after(&[0], 1), [1]);
        assert_eq!(all.after(&[1], 0), [1, 0]);
        assert_eq!(all.after(&[0], 2), [0, 2]);
        assert_eq!(all.after(&[0, 2], 0), [0, 2]);
    }

    #[test]
    fn undoing_leads_back() {
        let mut all = changing(&["services.a.queue", "services.b.queue"]);
        let undo = all.push(Op::Undo(0), String::new(), Span::default());
        let path = Spanned { value: "services.b".to_string(), span: Span::default() };
        let revert = all.push(Op::Revert(path), String::new(), Span::default());
        assert_eq!(all.after(&[0, 1], undo), [1]);
        assert_eq!(all.after(&[0, 1], revert), [0]);
        assert_eq!(all.after(&[], undo), [] as [u32; 0]);
    }
}
