//! Capacity against theory: the load at which a percentile of an M/M/c queue meets its limit.

mod support;

use brownout::experiment::capacity::{Asked, CapacityError, CapacityResult, Question, capacity};
use brownout::experiment::results::Verdict;
use brownout::experiment::study::Study;
use brownout::experiment::team::Team;
use brownout::spec::load::Loader;
use support::Files;

/// Asks about an experiment, or about a topology if there is none; mistakes as text.
fn ask(
    topology: &str,
    experiment: Option<&str>,
    asked: impl FnOnce(&mut Loader) -> Asked,
) -> Result<CapacityResult, String> {
    let files = Files::new(topology, experiment);
    let mut loader = Loader::default();
    let asked = asked(&mut loader);
    let name = if experiment.is_some() { "experiment.ron" } else { "topology.ron" };
    let document = loader.load(&files.path(name), &[]).expect("a file that can be read");
    let mut study = Study::new(loader, document);
    let text = |error| match error {
        CapacityError::Mistakes(mistakes) => mistakes.0.diagnostics.render(&mistakes.0.sources, false),
        CapacityError::Run(error) => error.to_string(),
    };
    let question = Question::new(&mut study, asked).map_err(|m| text(CapacityError::Mistakes(m)))?;
    capacity(&study, &question, &Team::new(2).unwrap(), &()).map_err(text)
}

/// An M/M/c queue with service rate 100 per second and server, asked for `rate` per second.
fn queue(servers: u32, rate: f64) -> String {
    format!(
        r#"Topology(
            name: "queue",
            clients: {{ "users": Clients(arrivals: Poisson("{rate}/s"), requests: {{ "server/serve": 1 }}) }},
            services: {{ "server": Service(workers: {servers}, endpoints: {{
                "serve": [ Wait(Exponential("10ms")) ],
            }}) }},
        )"#
    )
}

/// P(sojourn time > t) of M/M/c (Kleinrock, Queueing Systems I, 1975, section 3.5; the sum of an exponential service
/// and, with Erlang's C, an exponential wait).
fn tail(servers: u32, lambda: f64, mu: f64, t: f64) -> f64 {
    let (c, a) = (f64::from(servers), lambda / mu);
    let mut blocking = 1.0;
    for k in 1..=servers {
        blocking = a * blocking / (f64::from(k) + a * blocking);
    }
    let waits = blocking / (1.0 - a / c * (1.0 - blocking));
    let drain = c * mu - lambda;
    let both = (mu * (-drain * t).exp() - drain * (-mu * t).exp()) / (mu - drain);
    (1.0 - waits) * (-mu * t).exp() + waits * both
}

/// The arrival rate at which the 99th percentile of the sojourn time is `t`.
fn rate_at_limit(servers: u32, mu: f64, t: f64) -> f64 {
    let (mut low, mut high) = (1e-6, f64::from(servers) * mu * (1.0 - 1e-9));
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        // At one rate the two exponentials are equal, and the formula is 0 / 0.
        let middle = if (f64::from(servers) * mu - middle - mu).abs() < 1e-9 { middle + 1e-6 } else { middle };
        if tail(servers, middle, mu, t) > 0.01 { high = middle } else { low = middle }
    }
    low
}

fn finds_the_rate_of_theory(servers: u32, limit_ms: f64) {
    let theory = rate_at_limit(servers, 100.0, limit_ms / 1e3);
    let start = 20.0 * f64::from(servers);
    let result = ask(&queue(servers, start), None, |loader| Asked {
        objectives: vec![loader.quoted(
            "--objective",
            &format!("p(99) of clients.users.latency < {limit_ms}ms"),
        )],
        within: Some(0.005),
        runs: Some(20),
        multiples: vec![1.0],
        duration: Some(brownout::base::SimDuration::from_secs(120)),
        ..Asked::default()
    });
    let result = result.unwrap();
    let found = &result.found;
    let (holds, fails, estimate) =
        (found.holds.unwrap() * start, found.fails.unwrap() * start, found.estimate.unwrap() * start);
    println!("M/M/{servers}: theory {theory:.2}, found {estimate:.2} ({holds:.2} to {fails:.2}), {} runs", result.runs_played);
    assert!((estimate / theory - 1.0).abs() < 0.02, "{estimate} is not {theory}");
    assert!(holds <= theory && theory <= fails, "{theory} is not between {holds} and {fails}");
}

#[test]
fn mm1_and_mm4_break_where_theory_says() {
    // ln(100) / 100 ms = 46.05 requests per second less than the 100 that one worker can do.
    assert!((rate_at_limit(1, 100.0, 0.1) - 53.948).abs() < 1e-2);
    finds_the_rate_of_theory(1, 100.0);
    finds_the_rate_of_theory(1, 250.0);
    finds_the_rate_of_theory(4, 100.0);
}
