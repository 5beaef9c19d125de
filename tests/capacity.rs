//! Capacity against theory: the load at which a percentile of an M/M/c queue meets its limit.

use crate::support;

use brownout::base::SimDuration;
use brownout::experiment::capacity::{Asked, CapacityError, CapacityResult, Question, capacity};
use brownout::experiment::results::Verdict;
use brownout::experiment::study::Study;
use brownout::experiment::team::Team;
use brownout::spec::load::Loader;
use support::Files;

/// Asks about an experiment, or about a topology if there is none; mistakes as text.
fn ask_on(
    jobs: usize,
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
    capacity(&study, &question, &Team::new(jobs).unwrap(), &()).map_err(text)
}

fn ask(
    topology: &str,
    experiment: Option<&str>,
    asked: impl FnOnce(&mut Loader) -> Asked,
) -> Result<CapacityResult, String> {
    ask_on(2, topology, experiment, asked)
}

/// A quick question with one objective.
fn quick(loader: &mut Loader, objective: &str, seconds: u64) -> Asked {
    Asked {
        objectives: vec![loader.quoted("--objective", objective)],
        within: Some(0.05),
        runs: Some(10),
        multiples: vec![1.0],
        duration: Some(SimDuration::from_secs(seconds)),
        ..Asked::default()
    }
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
    let both = (mu * libm::exp(-drain * t) - drain * libm::exp(-mu * t)) / (mu - drain);
    (1.0 - waits) * libm::exp(-mu * t) + waits * both
}

/// The arrival rate at which the 99th percentile of the sojourn time is `t`.
fn rate_at_limit(servers: u32, mu: f64, t: f64) -> f64 {
    let (mut low, mut high) = (1e-6, f64::from(servers) * mu * (1.0 - 1e-9));
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        // At one rate the two exponentials are equal, and the formula is 0 / 0.
        let middle =
            if (f64::from(servers) * mu - middle - mu).abs() < 1e-9 { middle + 1e-6 } else { middle };
        if tail(servers, middle, mu, t) > 0.01 { high = middle } else { low = middle }
    }
    low
}

fn finds_the_rate_of_theory(servers: u32, limit_ms: f64) {
    let theory = rate_at_limit(servers, 100.0, limit_ms / 1e3);
    let start = 20.0 * f64::from(servers);
    let result = ask(&queue(servers, start), None, |loader| Asked {
        objectives: vec![
            loader.quoted("--objective", &format!("p(99) of clients.users.latency < {limit_ms}ms")),
        ],
        within: Some(0.005),
        runs: Some(20),
        multiples: vec![1.0],
        duration: Some(SimDuration::from_secs(120)),
        ..Asked::default()
    });
    let result = result.unwrap();
    let found = &result.found;
    let (holds, fails, estimate) =
        (found.holds.unwrap() * start, found.fails.unwrap() * start, found.estimate.unwrap() * start);
    assert!((estimate / theory - 1.0).abs() < 0.02, "{estimate} is not {theory}");
    assert!(holds <= theory && theory <= fails, "{theory} is not between {holds} and {fails}");
}

#[test]
fn mm1_and_mm4_break_where_theory_says() {
    // ln(100) / 100 ms = 46.05 requests per second less than the 100 that one worker can do.
    assert!((rate_at_limit(1, 100.0, 0.1) - 53.948).abs() < 1e-2);
    finds_the_rate_of_theory(1, 250.0);
    finds_the_rate_of_theory(4, 100.0);
}

#[test]
fn the_knee_of_mm1_is_at_half_the_capacity() {
    // Power is lambda (mu - lambda): greatest at mu / 2 (Kleinrock 1979).
    let result = ask(&queue(1, 25.0), None, |loader| quick(loader, "clients.users.latency.mean < 50ms", 60));
    let knee = result.unwrap().knee.unwrap();
    assert!((knee.load * 25.0 / 50.0 - 1.0).abs() < 0.15, "{knee:?}");
}

#[test]
fn a_load_beyond_saturation_fails_even_if_a_short_run_meets_the_limit() {
    // In 60 s at twice the service rate nobody waits for 60 s: the limit is met, and yet this cannot go on.
    let result = ask(&queue(1, 50.0), None, |loader| Asked {
        multiples: vec![1.0, 4.0],
        ..quick(loader, "p(99) of clients.users.latency < 60s", 60)
    });
    let result = result.unwrap();
    let beyond = &result.multiples[1].point;
    assert_eq!((beyond.verdict, beyond.objectives[0].verdict), (Verdict::Failed, Verdict::Held));
    let pile = beyond.pile.as_ref().unwrap();
    assert!(pile.late > 2.0 * pile.early, "{pile:?}");
    // 100 requests per second are twice the load; beyond that they pile up, if only slowly at first.
    let fails = result.found.fails.unwrap();
    assert!((1.8..2.3).contains(&fails), "{fails}");
}

#[test]
fn the_fewest_workers_are_those_of_theory() {
    // 370 requests per second: four servers could do them, but five are needed for 99 % to stay below 60 ms.
    let fewest = (4..20).find(|c| tail(*c, 370.0, 100.0, 0.06) < 0.01).unwrap();
    assert_eq!(fewest, 5);
    let result = ask(&queue(2, 100.0), None, |loader| Asked {
        multiples: vec![3.7],
        scale: vec![
            (loader.quoted("--scale", "services.server.workers"), 1, 64),
            (loader.quoted("--scale", "services.server.replicas"), 1, 1),
        ],
        ..quick(loader, "p(99) of clients.users.latency < 60ms", 60)
    });
    let result = result.unwrap();
    let sized = result.multiples[0].sized.as_ref().unwrap();
    assert!(sized.holds && !sized.out_of_tries);
    let workers = sized.sizes.iter().find(|s| s.path == "services.server.workers").unwrap();
    assert_eq!((workers.now, workers.needed), (2, fewest), "{:?}", sized.sizes);
}

#[test]
fn with_one_of_two_instances_gone_half_the_load_is_left() {
    let two = queue(1, 50.0).replace("workers: 1,", "workers: 1, replicas: 2,");
    let result = ask(&two, None, |loader| quick(loader, "clients.users.latency.mean < 50ms", 60)).unwrap();
    assert_eq!(result.without.len(), 2, "one instance, and one zone");
    let whole = result.found.estimate.unwrap();
    for without in &result.without {
        let left = without.found.estimate.unwrap();
        assert!((left / whole - 0.5).abs() < 0.08, "{}: {left} of {whole}", without.name);
    }
}

#[test]
fn objectives_of_an_experiment_are_the_question_and_faults_are_rows() {
    let experiment = r#"Experiment(
        topology: "topology.ron", duration: "40s", runs: 3,
        objectives: { "users": Objective(availability: "99%", latency: { "p95": "100ms" }) },
        timeline: [ At("0s", Slow(target: "server", factor: 2)), At("30s", Set("services.server.workers", 1)) ],
        expect: { "base": [ "clients.users.error_ratio during(server) < 1%" ] },
        capacity: Capacity(within: "5%", runs: 10, multiples: [1], without: { "speed": Fault("server") }),
    )"#;
    let result = ask(&queue(1, 30.0), Some(experiment), |_| Asked::default()).unwrap();
    let texts: Vec<&str> = result.objectives.iter().map(|o| o.text.as_str()).collect();
    assert_eq!(texts, ["clients.users.error_ratio <= 1%", "p(95) of clients.users.latency <= 0.1s"]);
    // ln(20) / 100 ms below the service rate of 100 per second, and of 50 with the fault.
    let (whole, slow) =
        (result.found.estimate.unwrap() * 30.0, result.without[0].found.estimate.unwrap() * 30.0);
    assert!((whole / 70.04 - 1.0).abs() < 0.04 && (slow / 20.04 - 1.0).abs() < 0.1, "{whole} {slow}");
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let answer = |jobs| {
        let asked = |loader: &mut Loader| quick(loader, "p(99) of clients.users.latency < 100ms", 20);
        let result = ask_on(jobs, &queue(2, 60.0), None, asked).unwrap();
        brownout::report::capacity::json(&result)
    };
    assert!(answer(1) == answer(3));
}

#[test]
fn mistakes_in_a_question_are_shown() {
    let wrong = |objective: &str, scale: Option<&str>| {
        let asked = |loader: &mut Loader| Asked {
            scale: scale.map(|path| (loader.quoted("--scale", path), 1, 9)).into_iter().collect(),
            ..quick(loader, objective, 20)
        };
        ask(&queue(1, 10.0), None, asked).unwrap_err()
    };
    let latency = wrong("p(99) of clients.user.latency < 1s", None);
    assert!(latency.contains("--objective") && latency.contains("clients.users"), "{latency}");
    let scale = wrong("clients.users.error_ratio < 1%", Some("services.server.wrkers"));
    assert!(scale.contains("did you mean `workers`?"), "{scale}");
    let scale = wrong("clients.users.error_ratio < 1%", Some("services.server.queue.capacity"));
    assert!(scale.contains("has no number to start from"), "{scale}");
    let nothing = ask(&queue(1, 10.0), None, |_| Asked::default()).unwrap_err();
    assert!(nothing.contains("it is not said what must hold"), "{nothing}");
    let variants = r#"Experiment(topology: "topology.ron", duration: "20s",
        objectives: { "users": Objective() },
        variants: { "a": {}, "b": { "services.server.workers": 2 } })"#;
    let several = ask(&queue(1, 10.0), Some(variants), |_| Asked::default()).unwrap_err();
    assert!(several.contains("--variant NAME; there is: a, b"), "{several}");
}

#[test]
fn the_command_ends_as_the_capacity_says_and_writes_its_files() {
    let files = Files::new(&queue(1, 50.0), None);
    let brownout = |args: &[&str]| {
        let common = [
            "capacity",
            "topology.ron",
            "--objective",
            "p(95) of clients.users.latency < 150ms",
            "--within",
            "5%",
            "--runs",
            "10",
            "--multiples",
            "1",
            "--duration",
            "30s",
        ];
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_brownout"));
        command.args(common).args(args).current_dir(files.path("")).env_remove("BROWNOUT_SEED");
        let output = command.output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    // The capacity is 80 requests per second: 1.6 times the load.
    let (code, text, said) = brownout(&["--out", "out"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        text.contains("Capacity of queue: about 1.") && text.contains("reproduce: brownout capacity"),
        "{text}"
    );
    for name in ["capacity.json", "capacity.csv", "capacity.svg", "capacity.png"] {
        assert!(files.path("out").join(name).exists(), "{name}");
    }
    let (code, text, _) = brownout(&["--no-out", "--at-least", "3", "--format", "markdown"]);
    assert_eq!(code, Some(1));
    assert!(text.starts_with("## Capacity of queue") && text.contains("| 1x ("), "{text}");
    let (code, text, _) = brownout(&["--no-out", "--format", "csv"]);
    assert!(code == Some(0) && text.starts_with("load,runs,verdict,piles_up,rate mean"), "{text}");
    let (code, text, said) = brownout(&["--no-out", "--scale", "services.server.workers=9"]);
    assert!(code == Some(2) && text.is_empty() && said.contains("PATH=FROM..TO"), "{said}");
}
