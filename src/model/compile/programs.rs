//! Programs compiled to flat lists of steps.

use super::policies::Spec;
use super::{Compiler, Scope, databases, draw};
use crate::base::salt;
use crate::model::{Caller, LockShape, Step};
use crate::spec::topology as st;

impl Compiler {
    pub(super) fn programs(&mut self, scope: &mut Scope<'_>) {
        let topology = scope.topology;
        for (index, (name, service)) in topology.services.iter().enumerate() {
            for (endpoint, steps) in service.endpoints.iter() {
                let path = format!("services.{name}.endpoints.{endpoint}");
                let start = self.program(scope, Caller::Group(index as u32), steps, &path);
                scope.epoch.programs.push(start);
            }
        }
        for (group, (name, database)) in (topology.services.len() as u32..).zip(topology.databases.iter()) {
            for (query, steps) in database.queries.iter() {
                let path = format!("databases.{name}.queries.{query}");
                let start = self.program(scope, Caller::Group(group), steps, &path);
                let is_write = database.writes.iter().any(|write| write.value == query);
                // The last step of a program is its end: a write that waits for a replica goes on before it.
                if is_write && let Some(dist) = databases::synchronous(topology, name, database) {
                    self.model.steps.pop();
                    let wait = draw(dist, &format!("{path}.synchronous"));
                    self.model.steps.extend([Step::Wait(wait), Step::End]);
                }
                scope.epoch.programs.push(start);
            }
        }
        for (index, (name, external)) in topology.externals.iter().enumerate() {
            for endpoint in self.external_endpoints[index].clone() {
                let (latency, ratio) = match external.endpoints.get(&endpoint) {
                    Some(own) => (&own.latency, own.error_ratio),
                    None => (&external.latency, external.error_ratio),
                };
                let path = format!("externals.{name}.endpoints.{endpoint}");
                let start = self.model.steps.len() as u32;
                self.model.steps.push(Step::Wait(draw(&latency.dist, &format!("{path}.latency"))));
                if ratio.0 > 0.0 {
                    let salt = salt(&format!("{path}.error_ratio"));
                    self.model.steps.push(Step::Fail { ratio: ratio.0, salt });
                }
                self.model.steps.push(Step::End);
                scope.epoch.programs.push(start);
            }
        }
    }

    /// Compiles a program and returns its first step. Programs inside it are compiled first, so that its own steps
    /// lie one after the other.
    fn program(&mut self, scope: &mut Scope<'_>, caller: Caller, steps: &[st::Step], path: &str) -> u32 {
        let mut compiled = Vec::with_capacity(steps.len() + 1);
        for (index, step) in steps.iter().enumerate() {
            let path = format!("{path}.{index}");
            self.step(scope, caller, step, &path, &mut compiled);
        }
        compiled.push(Step::End);
        // Jumps inside `compiled` are relative to its start until here.
        let start = self.model.steps.len() as u32;
        for step in &mut compiled {
            match step {
                Step::Jump(to) => *to += start,
                Step::Choose { ways, .. } => {
                    for way in &mut self.model.ways[ways.start as usize..ways.end as usize] {
                        way.1 += start;
                    }
                }
                _ => {}
            }
        }
        self.model.steps.extend(compiled);
        start
    }

    fn step(
        &mut self,
        scope: &mut Scope<'_>,
        caller: Caller,
        step: &st::Step,
        path: &str,
        out: &mut Vec<Step>,
    ) {
        match step {
            st::Step::Work(w) => out.push(Step::Work(draw(&w.time.dist, path))),
            st::Step::Wait(w) => out.push(Step::Wait(draw(&w.time.dist, path))),
            st::Step::Call(c) => {
                let policy = c.through.as_ref().map_or(String::new(), |p| p.value.clone());
                let route = self.route(scope, caller, &c.to, &policy, path, |s| {
                    s.topology
                        .policies
                        .get(&policy)
                        .cloned()
                        .unwrap_or_default()
                        .into_iter()
                        .map(Spec::Layer)
                        .collect()
                });
                out.push(Step::Call(route));
            }
            st::Step::Parallel(p) => {
                let starts: Vec<u32> = (0..p.branches.len())
                    .map(|i| self.program(scope, caller, &p.branches[i], &format!("{path}.{i}")))
                    .collect();
                let from = self.model.branches.len() as u32;
                let count = starts.len() as u32;
                self.model.branches.extend(starts);
                let need = match &p.need {
                    st::Need::All => count,
                    st::Need::Any => 1,
                    st::Need::AtLeast(n) => n.count,
                };
                out.push(Step::Parallel { branches: from..from + count, need, salt: salt(path) });
            }
            st::Step::Choose(c) => self.choose(scope, caller, c, path, out),
            st::Step::Repeat(r) => {
                let body = self.program(scope, caller, &r.steps, path);
                out.push(Step::Repeat { body, times: r.times, salt: salt(path) });
            }
            st::Step::Optional(o) => {
                let body = self.program(scope, caller, &o.steps, path);
                out.push(Step::Optional { body, salt: salt(path) });
            }
            st::Step::While(w) => {
                let body = self.program(scope, caller, &w.steps, path);
                out.push(Step::While { body, chance: w.chance.0, salt: salt(path) });
            }
            st::Step::Io(io) => {
                let operations = (io.operations.count.clone(), salt(path));
                out.push(Step::Io { operations, bytes: io.size.0 });
            }
            st::Step::Lock(l) => {
                let body = self.program(scope, caller, &l.steps, path);
                let lock = self.lock(caller, &l.name);
                out.push(Step::Lock { lock, rows: l.rows, body, salt: salt(path) });
            }
            st::Step::Publish(p) => self.publish(scope.topology, p, path, out),
            st::Step::Hold(h) => out.push(Step::Hold(h.size.0)),
            st::Step::Fail(f) => out.push(Step::Fail { ratio: f.ratio.0, salt: salt(path) }),
        }
    }

    /// The number of a lock.
    fn lock(&mut self, caller: Caller, name: &str) -> u32 {
        let Caller::Group(group) = caller else { unreachable!("clients have no programs") };
        let locks = &mut self.model.locks;
        let known = locks.iter().position(|lock| lock.group == group && lock.name == name);
        known.unwrap_or_else(|| {
            locks.push(LockShape { name: name.to_string(), group });
            locks.len() - 1
        }) as u32
    }

    fn choose(
        &mut self,
        scope: &mut Scope<'_>,
        caller: Caller,
        c: &st::Choose,
        path: &str,
        out: &mut Vec<Step>,
    ) {
        let total: f64 = c.ways.iter().map(|w| w.weight).sum();
        let from = self.model.ways.len();
        self.model.ways.extend(c.ways.iter().scan(0.0, |sum, way| {
            *sum += way.weight / total;
            Some((*sum, 0))
        }));
        out.push(Step::Choose { ways: from as u32..(from + c.ways.len()) as u32, salt: salt(path) });
        let mut jumps = Vec::new();
        for (index, way) in c.ways.iter().enumerate() {
            // A choice inside a way adds ways of its own, with positions relative to the same `out`.
            self.model.ways[from + index].1 = out.len() as u32;
            for (at, step) in way.steps.iter().enumerate() {
                self.step(scope, caller, step, &format!("{path}.{index}.{at}"), out);
            }
            jumps.push(out.len());
            out.push(Step::Jump(0));
        }
        let end = out.len() as u32;
        for jump in jumps {
            out[jump] = Step::Jump(end);
        }
    }
}
