//! The failures that nginx 1.22.1 counts, recorded in real time: which servers each request tried.
//!
//! nginx's clock has whole seconds that do not begin with the recording. Where its seconds begin is taken from the
//! recording: there is a range of places from which every request goes where it went.

use super::{Recording, recordings_in, report};
use brownout::components::nginx::{Failure, Failures, Next, ServerConfig, Tried, Upstream, next};

const SERVERS: [&str; 3] = ["A", "B", "C"];

/// The settings that the header tells in words.
fn config_of(recording: &Recording) -> ServerConfig {
    let words = recording.header["config"].as_str().unwrap();
    let number = |name: &str| {
        let digits = words.split(name).nth(1).unwrap().trim_start_matches('=');
        digits.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<u32>().unwrap()
    };
    assert!(words.contains("proxy_next_upstream error timeout http_500"), "{words}");
    ServerConfig { max_fails: number("max_fails"), fail_timeout: i64::from(number("fail_timeout")) }
}

/// The lines on which other servers were tried, if nginx's seconds begin `phase` after the recording's.
fn deviations(recording: &Recording, config: &ServerConfig, phase: f64) -> Vec<String> {
    let mut upstream = Upstream::new(&[1; SERVERS.len()]);
    (0..SERVERS.len() as u32).for_each(|s| upstream.set_member(s, true));
    let listed = Failures::of(&[Failure::Error, Failure::Timeout, Failure::Http500]);
    let mut wrong = Vec::new();
    for line in &recording.lines {
        let t = line["t"].as_f64().unwrap();
        let now = (t - phase).floor() as i64;
        let recorded: Vec<&str> =
            line["tried"].as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect();
        let (mut tried, mut ours, mut left) = (Tried::default(), Vec::new(), upstream.members());
        while let Some(server) = upstream.pick(config, now, tried) {
            tried.note(server);
            ours.push(SERVERS[server as usize]);
            // Server A answers 500 from 2 s to 12 s.
            let is_ill = server == 0 && (2.0..12.0).contains(&t);
            let failed = match is_ill {
                true => next(Failure::Http500, listed, left, true),
                false => Next { counts: false, goes_on: false },
            };
            upstream.free(config, now, server, failed.counts);
            if !failed.goes_on {
                break;
            }
            left -= 1;
        }
        if ours != recorded {
            wrong.push(format!("{t} s: ours {ours:?}, nginx {recorded:?}"));
        }
    }
    wrong
}

/// The best place of nginx's seconds, in hundredths.
fn best(recording: &Recording, config: &ServerConfig) -> Vec<String> {
    let all = (0..100).map(|phase| deviations(recording, config, f64::from(phase) / 100.0));
    all.min_by_key(Vec::len).unwrap()
}

#[test]
fn conformance_of_max_fails() {
    let recordings = recordings_in("nginx", "nginx-max-fails/1");
    let wrong: Vec<String> = recordings.iter().flat_map(|r| best(r, &config_of(r))).collect();
    let steps = recordings.iter().map(|r| r.lines.len()).sum();
    report("max_fails against nginx 1.22.1", recordings.len(), steps, wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn conformance_notices_wrong_settings_of_max_fails() {
    for recording in recordings_in("nginx", "nginx-max-fails/1") {
        let config = config_of(&recording);
        for wrong in [
            ServerConfig { max_fails: config.max_fails + 1, ..config },
            ServerConfig { max_fails: config.max_fails - 1, ..config },
            ServerConfig { fail_timeout: config.fail_timeout + 1, ..config },
            ServerConfig { fail_timeout: config.fail_timeout - 1, ..config },
        ] {
            assert!(!best(&recording, &wrong).is_empty(), "{wrong:?} goes unnoticed");
        }
    }
}
