//! Makes a failing case small: drops entries of the timeline and failures, then components, policies and steps, then
//! single settings, and shortens the run. What remains fails in the same way.

use crate::support::ron::Tree;

/// The most cases that are tried.
const TRIES_MAX: u32 = 600;

/// Fields without which everything would go on for ever: a case that ends is not made one that does not.
const KEPT: [&str; 3] = ["lasts", "profile", "duration"];

/// The moment from which the timeline only ends things.
const ENDING: &str = "At(\"50s\"";

/// Where a part of the tree is: the positions on the way down.
type Place = Vec<usize>;

/// How far a part matters: those of lower rank are dropped first.
fn rank(path: &[String]) -> u32 {
    match path.first().map(String::as_str) {
        Some("timeline" | "failures") => u32::from(path.len() > 1),
        Some("topology") if path.len() == 2 => 2,
        Some("topology") if path.len() == 3 => 3,
        Some("topology") => 4,
        _ => 5,
    }
}

/// All parts that can be dropped, with their ranks.
fn parts(tree: &Tree, path: &mut Vec<String>, place: &mut Place, all: &mut Vec<(u32, Place)>) {
    let mut visit = |number: usize, name: String, value: &Tree, droppable: bool| {
        path.push(name);
        place.push(number);
        if droppable {
            all.push((rank(path), place.clone()));
        }
        parts(value, path, place, all);
        path.pop();
        place.pop();
    };
    match tree {
        Tree::Atom(_) => {}
        Tree::List(values) => {
            for (i, value) in values.iter().enumerate() {
                visit(i, "[]".into(), value, !value.write().starts_with(ENDING));
            }
        }
        Tree::Map(entries) => {
            entries.iter().enumerate().for_each(|(i, (k, v))| visit(i, k.write(), v, true));
        }
        Tree::Record(_, fields) => {
            for (i, (name, value)) in fields.iter().enumerate() {
                let name = name.clone().unwrap_or_default();
                let is_kept = name.is_empty() || KEPT.contains(&name.as_str());
                visit(i, name, value, !is_kept);
            }
        }
    }
}

fn without(tree: &Tree, place: &[usize]) -> Tree {
    let mut tree = tree.clone();
    remove(&mut tree, place);
    tree
}

fn remove(tree: &mut Tree, place: &[usize]) {
    let Some((at, rest)) = place.split_first() else { return };
    let is_last = rest.is_empty();
    match tree {
        Tree::Atom(_) => {}
        Tree::List(values) if is_last => drop(values.remove(*at)),
        Tree::List(values) => remove(&mut values[*at], rest),
        Tree::Map(entries) if is_last => drop(entries.remove(*at)),
        Tree::Map(entries) => remove(&mut entries[*at].1, rest),
        Tree::Record(_, fields) if is_last => drop(fields.remove(*at)),
        Tree::Record(_, fields) => remove(&mut fields[*at].1, rest),
    }
}

/// The case with another length, if it is as long as that now.
fn shortened(tree: &Tree, seconds: u64) -> Tree {
    let mut tree = tree.clone();
    if let Tree::Record(_, fields) = &mut tree {
        for (name, value) in fields.iter_mut().filter(|(name, _)| name.as_deref() == Some("duration")) {
            debug_assert!(name.is_some());
            *value = Tree::Atom(format!("\"{seconds}s\""));
        }
    }
    tree
}

/// The smallest case found that still fails as `fails` says, and how many were tried.
///
/// A case whose load has to end first is not `shortened`.
pub fn shrink(text: &str, shortens: bool, mut fails: impl FnMut(&str) -> bool) -> (String, u32) {
    let mut tree = Tree::read(text);
    let mut tries = 0;
    let mut try_it = |tree: &Tree| {
        tries += 1;
        tries <= TRIES_MAX && fails(&tree.write())
    };
    let mut goes_on = true;
    while goes_on {
        goes_on = false;
        let mut all = Vec::new();
        parts(&tree, &mut Vec::new(), &mut Vec::new(), &mut all);
        all.sort();
        // From the back within a rank, so that the places of those still to come stay what they are.
        all.sort_by(|(a, at), (b, other)| a.cmp(b).then(other.cmp(at)));
        let mut at = 0;
        while at < all.len() {
            let smaller = without(&tree, &all[at].1);
            if try_it(&smaller) {
                tree = smaller;
                goes_on = true;
                // Places behind it have moved: begin anew with what is left of this rank and the next ones.
                let rank = all[at].0;
                all.clear();
                parts(&tree, &mut Vec::new(), &mut Vec::new(), &mut all);
                all.retain(|(r, _)| *r >= rank);
                all.sort_by(|(a, at), (b, other)| a.cmp(b).then(other.cmp(at)));
                at = at.min(all.len().saturating_sub(1)) + usize::from(all.is_empty());
                continue;
            }
            at += 1;
        }
        for seconds in [5, 10, 20, 40].into_iter().filter(|_| shortens) {
            let shorter = shortened(&tree, seconds);
            if shorter.write().len() <= tree.write().len() && shorter != tree && try_it(&shorter) {
                tree = shorter;
                break;
            }
        }
    }
    (tree.write(), tries.min(TRIES_MAX))
}
