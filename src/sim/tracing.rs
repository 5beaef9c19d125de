//! Traces of sampled requests.
//!
//! Everything that waits is a frame, so a trace follows from where frames are put and taken out ([`Frames`] sees both),
//! from the answers that reach them, and from the steps that programs begin. The wait of a layer needs no word of its
//! own: it begins when the layer's frame is put in place or has an answer that it keeps to itself, and ends when
//! something is put below it or it is taken out; what takes no time leaves no span.
//!
//! What is not sampled pays for one branch at each of these places: whether any frame alive belongs to a sampled
//! request. With traces at 0.1 % there is seldom one, and where there always is one, a look into a table tells those
//! frames from the others. Whether a request is sampled follows from its key: no stream of random numbers is touched,
//! and nothing here is ever asked by the simulation.

use super::frame::{Frame, Kind, LayerState};
use super::layers::sample;
use super::{FrameId, World};
use crate::base::{Arena, Outcome, SimTime, mix};
use crate::metrics::Observer;
use crate::metrics::trace::{End, NO_SPAN, Note, Noted, Span, Traces, Wait, What};
use crate::model::{LayerKind, Model, Step};
use std::ops::{Deref, DerefMut};

/// The salt of what is sampled: `traces`, as ASCII has it.
const TRACES: u64 = 0x7472_6163_6573;

/// No entry.
const NONE: u32 = u32::MAX;

/// All frames, and what is traced of them.
#[derive(Debug)]
pub(super) struct Frames {
    arena: Arena<Frame>,
    /// Frames alive that belong to sampled requests.
    traced: u32,
    /// The instant that is played.
    pub now: SimTime,
    tracer: Tracer,
}

/// Frames of sampled requests, and the spans so far.
#[derive(Debug, Default)]
struct Tracer {
    /// Requests whose number is not above are sampled; none if it is 0.
    below: u64,
    /// The entry of each frame, by its place in the arena.
    index: Vec<u32>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// What the layers do to spans.
    layers: Vec<Class>,
    traces: Traces,
}

/// What happens to a frame.
enum Happening {
    Answered(Outcome),
    Ends(Outcome),
    Waits(Wait),
    Noted(u32, Noted),
}

/// What spans make of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Class {
    /// A client's request.
    Request,
    /// A layer, or something else on the way, that may hold a call up.
    Way,
    /// A retry: each attempt is a span.
    Retry,
    /// A fallback: what it calls is a span.
    Fallback,
    /// A hedge: its attempts are frames.
    Hedge,
    /// A program: its steps are spans.
    Program,
    /// Branches at once.
    Parallel,
    /// A program that runs several times.
    Repeat,
    /// A program that may fail.
    Optional,
    /// A program under a lock.
    Lock,
}

/// A frame of a sampled request.
#[derive(Clone, Copy, Debug)]
struct Entry {
    id: FrameId,
    class: Class,
    /// The request's span.
    root: u32,
    /// The span of the frame, or the one that it is in.
    span: u32,
    /// Whether the span is its own.
    owns: bool,
    /// The part of it that is under way and has spans below it: a call of a program, an attempt of a retry.
    part: u32,
    /// The part that has none: a wait or a step, and since when. It becomes a span when it is over.
    leaf: Option<What>,
    since: SimTime,
    /// What it waits for while nothing is below it.
    wait: Option<Wait>,
    /// Whether something was put below it, or it was answered.
    is_past: bool,
    /// The layer; `NONE` if it is none.
    layer: u32,
    /// Attempts, branches or rounds so far.
    count: u32,
}

impl Deref for Frames {
    type Target = Arena<Frame>;

    #[inline]
    fn deref(&self) -> &Arena<Frame> {
        &self.arena
    }
}

impl DerefMut for Frames {
    #[inline]
    fn deref_mut(&mut self) -> &mut Arena<Frame> {
        &mut self.arena
    }
}

impl Frames {
    /// No frames, and nothing to be traced.
    pub fn new() -> Self {
        Self { arena: Arena::new(), traced: 0, now: SimTime::ZERO, tracer: Tracer::default() }
    }

    /// Puts a frame in.
    #[inline(always)]
    pub fn insert(&mut self, frame: Frame) -> FrameId {
        let parent = frame.parent;
        let id = self.arena.insert(frame);
        if self.traced != 0 {
            self.put_in(parent, id);
        }
        id
    }

    /// Puts a frame in, below its parent.
    #[inline(always)]
    pub fn push(&mut self, frame: Frame) -> FrameId {
        let parent = frame.parent;
        let id = self.insert(frame);
        if let Some(parent) = self.arena.get_mut(parent) {
            parent.child = id;
        }
        id
    }

    /// Takes a frame out; `None` if it is gone already.
    #[inline]
    pub fn remove(&mut self, id: FrameId) -> Option<Frame> {
        if self.traced != 0 {
            self.taken_out(id);
        }
        self.arena.remove(id)
    }

    /// Takes a frame out, and leaves it to be looked at; `None` if it is gone already.
    #[inline(always)]
    pub fn free(&mut self, id: FrameId) -> Option<&Frame> {
        if self.traced != 0 {
            self.taken_out(id);
        }
        self.arena.free(id)
    }

    /// An answer reaches a frame.
    #[inline]
    pub fn answered(&mut self, id: FrameId, outcome: Outcome) {
        if self.traced != 0 {
            self.watch(id, Happening::Answered(outcome));
        }
    }

    /// A program ends; its frame may stay.
    #[inline]
    pub fn ends(&mut self, id: FrameId, outcome: Outcome) {
        if self.traced != 0 {
            self.watch(id, Happening::Ends(outcome));
        }
    }

    /// A frame begins to wait for something else.
    #[inline]
    pub fn waits(&mut self, id: FrameId, wait: Wait) {
        if self.traced != 0 {
            self.watch(id, Happening::Waits(wait));
        }
    }

    /// A layer turned a call away that came from below `id`, answered it, or stopped waiting.
    #[inline]
    pub fn noted(&mut self, id: FrameId, layer: u32, what: Noted) {
        if self.traced != 0 {
            self.watch(id, Happening::Noted(layer, what));
        }
    }

    /// Out of line, so that nothing but a branch stands where requests pass that are not traced.
    #[inline(never)]
    fn watch(&mut self, id: FrameId, happening: Happening) {
        let Some(at) = self.tracer.find(id) else { return };
        let now = self.now;
        match happening {
            Happening::Answered(outcome) => self.tracer.answered(now, at, outcome),
            Happening::Ends(outcome) => self.tracer.ends(now, at, End::of(outcome)),
            Happening::Waits(wait) => self.tracer.leaf(now, at, Some(What::Wait(wait))),
            Happening::Noted(layer, what) => self.tracer.note(now, at, layer, what),
        }
    }

    /// Whether a frame belongs to a request that is sampled.
    #[inline]
    pub fn is_traced(&self, id: FrameId) -> bool {
        self.traced != 0 && self.knows(id)
    }

    #[inline(never)]
    fn knows(&self, id: FrameId) -> bool {
        self.tracer.find(id).is_some()
    }

    /// Whether the request of a key is sampled.
    #[inline]
    pub fn samples(&self, key: u64) -> bool {
        self.tracer.below != 0 && mix(key, TRACES) <= self.tracer.below
    }

    /// A sampled request begins.
    #[cold]
    #[inline(never)]
    pub fn begin_trace(&mut self, id: FrameId) {
        let Some(Frame { kind: Kind::Request(request), .. }) = self.arena.get(id) else { return };
        let what = What::Request {
            client: request.client,
            request: request.request,
            tenant: request.tenant,
            key: request.key,
        };
        let traces = &mut self.tracer.traces;
        traces.sampled += 1;
        let root = traces.spans.len() as u32;
        let from_ns = self.now.ns();
        let span = Span { root, parent: NO_SPAN, from_ns, to_ns: from_ns, what, end: End::Open };
        if traces.open(span) == NO_SPAN {
            traces.left_out += 1;
            traces.cut -= 1;
            return;
        }
        let entry = Entry { root, span: root, owns: true, ..Entry::new(id, Class::Request) };
        self.tracer.enter(entry);
        self.traced += 1;
    }

    #[inline(never)]
    fn put_in(&mut self, parent: FrameId, id: FrameId) {
        let Some(at) = self.tracer.find(parent) else { return };
        let Some(frame) = self.arena.get(id) else { return };
        self.tracer.put_below(self.now, at, id, &frame.kind);
        self.traced += 1;
    }

    #[inline(never)]
    fn taken_out(&mut self, id: FrameId) {
        if let Some(at) = self.tracer.find(id) {
            self.tracer.taken_out(self.now, at);
            self.traced -= 1;
        }
    }
}

impl Entry {
    fn new(id: FrameId, class: Class) -> Self {
        Self {
            id,
            class,
            root: NO_SPAN,
            span: NO_SPAN,
            owns: false,
            part: NO_SPAN,
            leaf: None,
            since: SimTime::ZERO,
            wait: None,
            is_past: false,
            layer: NONE,
            count: 0,
        }
    }

    /// The span that what happens now belongs to.
    fn over(&self) -> u32 {
        if self.part == NO_SPAN { self.span } else { self.part }
    }
}

impl Tracer {
    #[inline]
    fn find(&self, id: FrameId) -> Option<usize> {
        let at = *self.index.get(id.slot() as usize)? as usize;
        self.entries.get(at).is_some_and(|entry| entry.id == id).then_some(at)
    }

    fn enter(&mut self, entry: Entry) {
        let slot = entry.id.slot() as usize;
        if slot >= self.index.len() {
            self.index.resize(slot + 1, NONE);
        }
        match self.free.pop() {
            Some(at) => {
                self.entries[at as usize] = entry;
                self.index[slot] = at;
            }
            None => {
                self.index[slot] = self.entries.len() as u32;
                self.entries.push(entry);
            }
        }
    }

    /// Begins a span below another.
    fn open(&mut self, now: SimTime, root: u32, parent: u32, what: What) -> u32 {
        let (from_ns, to_ns) = (now.ns(), now.ns());
        self.traces.open(Span { root, parent, from_ns, to_ns, what, end: End::Open })
    }

    /// Ends a span, unless it has ended.
    fn close(&mut self, now: SimTime, span: u32, end: End) {
        if let Some(span) = self.traces.spans.get_mut(span as usize)
            && span.end == End::Open
        {
            (span.to_ns, span.end) = (now.ns(), end);
        }
    }

    /// What took time becomes a span, and something else begins.
    fn leaf(&mut self, now: SimTime, at: usize, next: Option<What>) {
        let entry = self.entries[at];
        (self.entries[at].leaf, self.entries[at].since) = (next, now);
        if let Some(what) = entry.leaf
            && now > entry.since
        {
            let (from_ns, to_ns) = (entry.since.ns(), now.ns());
            self.traces.open(Span {
                root: entry.root,
                parent: entry.over(),
                from_ns,
                to_ns,
                what,
                end: End::Over,
            });
        }
    }

    /// A part of a frame with spans below it begins.
    fn part(&mut self, now: SimTime, at: usize, what: What) {
        let entry = self.entries[at];
        self.entries[at].part = self.open(now, entry.root, entry.span, what);
    }

    fn end_part(&mut self, now: SimTime, at: usize, end: End) {
        let part = std::mem::replace(&mut self.entries[at].part, NO_SPAN);
        self.close(now, part, end);
    }

    /// Something is about to happen below a frame: it waits no more. Answers with the span that this belongs to.
    fn goes_on(&mut self, now: SimTime, at: usize) -> u32 {
        let entry = self.entries[at];
        self.entries[at].is_past = true;
        match entry.class {
            Class::Retry => {
                self.leaf(now, at, None);
                if entry.part == NO_SPAN {
                    self.entries[at].count += 1;
                    self.part(now, at, What::Attempt { layer: entry.layer, number: entry.count + 1 });
                }
            }
            Class::Fallback if entry.count > 0 && entry.part == NO_SPAN => {
                self.part(now, at, What::Fallback { layer: entry.layer });
            }
            Class::Way | Class::Lock => self.leaf(now, at, None),
            _ => {}
        }
        self.entries[at].over()
    }

    fn put_below(&mut self, now: SimTime, at: usize, id: FrameId, kind: &Kind) {
        let over = self.goes_on(now, at);
        let above = self.entries[at];
        let (mut wait, mut own, mut layer_of) = (None, None, NONE);
        let number = above.count + 1;
        let class = match kind {
            Kind::Layer { layer, state: LayerState::Attempt { .. }, .. } => {
                own = Some(What::Attempt { layer: *layer, number });
                Class::Way
            }
            Kind::Layer { layer, .. } => {
                layer_of = *layer;
                let class = self.layers[*layer as usize];
                wait = (class == Class::Way).then_some(Wait::Layer(*layer));
                class
            }
            Kind::Balanced(balanced) => {
                wait = Some(Wait::Balancer(balanced.balancer));
                Class::Way
            }
            Kind::Wire(_) => {
                wait = Some(Wait::Network);
                Class::Way
            }
            Kind::Exec(exec) => {
                let (instance, endpoint, balancer) = (exec.instance, exec.endpoint, exec.balancer);
                own = Some(What::Exec { instance, endpoint, balancer, version: u16::MAX });
                wait = Some(Wait::Queue);
                Class::Program
            }
            Kind::Branch(_) => {
                own = match above.class {
                    Class::Parallel => Some(What::Branch { number }),
                    Class::Repeat => Some(What::Round { number }),
                    Class::Optional => Some(What::Optional),
                    _ => None,
                };
                Class::Program
            }
            Kind::Join { .. } => {
                own = Some(What::Parallel);
                Class::Parallel
            }
            Kind::Repeat { .. } => {
                own = Some(What::Repeat);
                Class::Repeat
            }
            Kind::Optional => Class::Optional,
            Kind::Lock { lock, .. } => {
                own = Some(What::Lock { lock: *lock });
                wait = Some(Wait::Lock(*lock));
                Class::Lock
            }
            // An attempt of a balancer, which holds nothing up. The others are nobody's children.
            _ => Class::Way,
        };
        let mut entry =
            Entry { root: above.root, span: over, wait, layer: layer_of, ..Entry::new(id, class) };
        if let Some(What::Attempt { .. } | What::Branch { .. } | What::Round { .. }) = own {
            self.entries[at].count = number;
        }
        if let Some(what) = own {
            entry.span = self.open(now, above.root, over, what);
            entry.owns = true;
        }
        (entry.leaf, entry.since) = (wait.map(What::Wait), now);
        self.enter(entry);
    }

    fn answered(&mut self, now: SimTime, at: usize, outcome: Outcome) {
        let end = End::of(outcome);
        let entry = self.entries[at];
        match entry.class {
            Class::Retry => {
                // What was turned away at once had no frame.
                self.goes_on(now, at);
                self.end_part(now, at, end);
                self.leaf(now, at, Some(What::Wait(Wait::Backoff(entry.layer))));
            }
            Class::Fallback => {
                self.end_part(now, at, end);
                self.entries[at].count += 1;
            }
            Class::Way => {
                if !entry.is_past && entry.layer != NONE && !outcome.is_success() {
                    // Nothing was below it yet: a pool got no connection, say.
                    self.note(now, at, entry.layer, Noted::Failed);
                }
                self.leaf(now, at, entry.wait.map(What::Wait));
                if entry.owns {
                    self.close(now, entry.span, end);
                }
            }
            Class::Program => self.end_part(now, at, end),
            Class::Request => self.close(now, entry.span, end),
            Class::Hedge | Class::Parallel | Class::Repeat | Class::Optional | Class::Lock => {}
        }
        self.entries[at].is_past = true;
    }

    fn ends(&mut self, now: SimTime, at: usize, end: End) {
        self.leaf(now, at, None);
        self.end_part(now, at, End::Left);
        let entry = self.entries[at];
        if entry.owns {
            self.close(now, entry.span, end);
        }
    }

    fn taken_out(&mut self, now: SimTime, at: usize) {
        let entry = self.entries[at];
        let before = self.traces.spans.len();
        let is_group = matches!(entry.class, Class::Parallel | Class::Repeat | Class::Lock);
        self.ends(now, at, if is_group { End::Over } else { End::Left });
        if !entry.is_past
            && entry.class == Class::Way
            && let Some(wait) = self.traces.spans.get_mut(before)
        {
            // It went while it waited.
            wait.end = End::Left;
        }
        self.index[entry.id.slot() as usize] = NONE;
        self.entries[at].id = FrameId::NONE;
        self.free.push(at as u32);
    }

    fn note(&mut self, now: SimTime, at: usize, layer: u32, what: Noted) {
        let span = self.goes_on(now, at);
        self.traces.note(Note { span, at_ns: now.ns(), what, layer });
    }

    /// The run is over, and with it what is under way.
    fn finish(&mut self, end: SimTime) -> Traces {
        for at in 0..self.entries.len() {
            if !self.entries[at].id.is_none() {
                let before = self.traces.spans.len();
                self.leaf(end, at, None);
                self.traces.spans[before..].iter_mut().for_each(|span| span.end = End::Open);
            }
        }
        let open = self.traces.spans.iter_mut().filter(|span| span.end == End::Open);
        open.for_each(|span| span.to_ns = end.ns());
        std::mem::take(&mut self.traces)
    }
}

impl<O: Observer> World<'_, O> {
    /// Traces a share of the requests, from 0 to 1.
    #[must_use]
    pub fn traced(mut self, share: f64) -> Self {
        if share > 0.0 {
            // The cast saturates: 1 is everybody.
            self.frames.tracer.below = (share * 18_446_744_073_709_551_616.0) as u64;
            self.frames.tracer.layers = classes(self.model);
        }
        self
    }

    /// What was traced, once the run has come to its end.
    pub(super) fn finish_traces(&mut self) -> Traces {
        self.frames.tracer.finish(self.script.end)
    }

    /// A program begins a step.
    #[inline]
    pub(super) fn trace_step(&mut self, id: FrameId, pc: u32, key: u64) {
        if self.frames.traced != 0 {
            self.trace_step_of(id, pc, key);
        }
    }

    #[inline(never)]
    fn trace_step_of(&mut self, id: FrameId, pc: u32, key: u64) {
        let Some(at) = self.frames.tracer.find(id) else { return };
        let now = self.frames.now;
        let instance = match self.frames.get(id).map(|frame| &frame.kind) {
            Some(Kind::Exec(exec)) => Some(exec.instance),
            Some(Kind::Branch(branch)) => Some(branch.instance),
            _ => None,
        };
        let leaf = match &self.model.steps[pc as usize] {
            // A pure function of the key: drawing it once more changes nothing.
            Step::Work(draw) => {
                let slow = instance.map_or(1.0, |i| self.instances[i as usize].slow * self.cold(i));
                Some(What::Work { work_ns: sample(draw, key).scaled(slow).ns() })
            }
            Step::Wait(_) => Some(What::Pause),
            Step::Io { .. } => Some(What::Io),
            Step::Publish { queue, .. } => Some(What::Publish { queue: *queue }),
            _ => None,
        };
        let tracer = &mut self.frames.tracer;
        tracer.leaf(now, at, leaf);
        tracer.end_part(now, at, End::Left);
        if let Step::Call(route) = &self.model.steps[pc as usize] {
            tracer.part(now, at, What::Call { route: *route });
        }
        // Who waited may be served by an instance that was updated meanwhile.
        let span = tracer.entries[at].span;
        if let (Some(instance), Some(span)) = (instance, tracer.traces.spans.get_mut(span as usize))
            && let What::Exec { version, .. } = &mut span.what
        {
            *version = self.instances[instance as usize].version;
        }
    }
}

/// What the layers of a model do to spans.
fn classes(model: &Model) -> Vec<Class> {
    let class = |kind: &LayerKind| match kind {
        LayerKind::Retry { .. } => Class::Retry,
        LayerKind::Fallback { .. } => Class::Fallback,
        LayerKind::Hedge { .. } => Class::Hedge,
        _ => Class::Way,
    };
    model.layers.iter().map(|layer| class(&layer.kind)).collect()
}
