//! Brownout: a capacity and failure simulator.
//!
//! You describe a system (who asks, what answers, and the policies between them), say what happens to it and what you
//! expect, and see how deep it falls, and when it gets up again. `(topology, experiment, seed) -> results` is a pure
//! function, computed by playing typed events in order of `(time, rank, sequence)`: the same input gives the same
//! bytes, on any number of threads.
//!
//! # A tour of five minutes
//!
//! Everything begins with text. A [`Loader`](spec::load::Loader) reads it and gathers what is wrong with it, a
//! [`plan`](experiment::plan()) compiles it, and [`run`](experiment::run()) plays it:
//!
//! ```
//! use brownout::experiment::{Changes, plan, run};
//! use brownout::spec::load::Loader;
//!
//! // One worker that takes 10 ms on average, asked 80 times a second: the textbook's first queue.
//! let system = r#"Topology(
//!     name: "one worker",
//!     clients: {
//!         "users": Clients(arrivals: Poisson("80/s"), requests: { "server/serve": 1 }),
//!     },
//!     services: {
//!         "server": Service(workers: 1, endpoints: { "serve": [ Wait(Exponential("10ms")) ] }),
//!     },
//! )"#;
//!
//! let mut loader = Loader::default();
//! let document = loader.load_text("the tour", system).expect("this is a topology");
//! let changes = Changes { runs: Some(3), ..Changes::default() };
//! let plan = plan(&mut loader, document, &changes).expect("and it makes sense");
//!
//! let threads = 1; // any number gives the same results
//! let result = run(&plan, threads, &()).expect("time goes by");
//!
//! let base = &result.variants[0];
//! let metric = base.metrics.iter().find(|m| m.path == "clients.users.latency.mean").expect("it is measured");
//! let latency = metric.estimate.expect("there were requests");
//! // Theory says 1 / (100 - 80) s = 50 ms; three short runs come near.
//! assert!((0.03..0.08).contains(&latency.mean), "{latency:?}");
//! println!("{}", metric.unit.text(latency.mean));
//! ```
//!
//! What was wrong is in `loader.diagnostics`, each mistake with its place and the nearest right name:
//!
//! ```
//! # use brownout::experiment::{Changes, plan};
//! # use brownout::spec::load::Loader;
//! let mut loader = Loader::default();
//! let document = loader.load_text("a typo", r#"Topology(name: "x", servces: {})"#).expect("this is a topology");
//! assert!(plan(&mut loader, document, &Changes::default()).is_none());
//! assert!(loader.diagnostics.render(&loader.sources, false).contains("did you mean `services`?"));
//! ```
//!
//! An experiment is read in the same way, from a file with [`Loader::load`](spec::load::Loader::load). Its result has a
//! [`VariantResult`](experiment::results::VariantResult) for each variant, with all metrics, what each fault did, the
//! series and the log, and a verdict for each expectation. The functions of [`report`] turn a result into text, JSON,
//! CSV and pictures; they are pure, too.
//!
//! # Where things are
//!
//! The rooms below import one another in one direction only; `ARCHITECTURE.md` has the table, and `tests/tidy.rs` keeps
//! it. The language is described in `models/LANGUAGE.md`.

pub mod base;
pub mod cli;
pub mod components;
pub mod engine;
pub mod experiment;
pub mod metrics;
pub mod model;
pub mod report;
pub mod sim;
pub mod spec;
