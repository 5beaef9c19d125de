//! The blast radius as CSV and as Markdown.

use super::{client_columns, component_columns, fell_text, lost_text, name, numbers, recovered, shown};
use crate::experiment::blast::{BlastResult, Kind};
use crate::metrics::estimate::stable;
use std::fmt::Write as _;

/// Everything, one row for each variant, failure and sufferer.
pub fn csv(result: &BlastResult) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let estimates = ["lost", "errors", "p99_s", "slower_s", "load", "lost_requests", "over_s", "fell_s"];
    let mut header: Vec<String> =
        ["variant", "failure", "kind", "sufferer", "population", "struck"].map(String::from).to_vec();
    for of in estimates {
        header.extend([of.to_string(), format!("{of}_lo"), format!("{of}_hi")]);
    }
    let shares = ["not_over_share", "fell_share", "full", "recovered_share", "metastable_share"];
    header.extend(shares.map(String::from));
    header.extend(["recover_s", "recover_s_lo", "recover_s_hi"].map(String::from));
    let mut rows = vec![header];
    for variant in &result.variants {
        for failure in &variant.failures {
            for (who, s) in variant.sufferers.iter().zip(&failure.suffered) {
                let population = match who.kind {
                    Kind::Request(population) => variant.sufferers[population].name.clone(),
                    _ => String::new(),
                };
                let mut row = vec![
                    variant.name.clone(),
                    failure.id.clone(),
                    who.kind.name().to_string(),
                    who.name.clone(),
                    population,
                    s.is_struck.to_string(),
                ];
                for estimate in
                    [s.lost, s.errors, s.p99_s, s.slower_s, s.load, s.lost_requests, s.over_s, s.fell_s]
                {
                    row.extend(numbers(estimate));
                }
                row.push(stable(s.not_over.share).to_string());
                row.push(stable(s.fell.share).to_string());
                row.push(s.is_full.to_string());
                row.push(stable(failure.recovered.share).to_string());
                row.push(stable(failure.metastable.share).to_string());
                row.extend(numbers(failure.recover_s));
                rows.push(row);
            }
        }
    }
    for row in rows {
        // Writing to memory cannot fail.
        let _ = writer.write_record(&row);
    }
    writer.into_inner().unwrap_or_default()
}

/// The matrix, as for the summary of a CI step.
pub fn markdown(result: &BlastResult) -> String {
    let mut text = String::new();
    for variant in &result.variants {
        if result.variants.len() > 1 {
            let _ = writeln!(text, "### {}\n", variant.name);
        }
        let points = variant.single_points();
        let names: Vec<String> = points.iter().map(|(f, ..)| format!("**{}**", f.label)).collect();
        let _ = match names.is_empty() {
            true => writeln!(text, "No single point of failure.\n"),
            false => writeln!(text, "Single points of failure: {}.\n", names.join(", ")),
        };
        let (clients, components) = (client_columns(variant), component_columns(variant));
        let heads: Vec<String> = clients.iter().chain(&components).map(|at| name(variant, *at)).collect();
        let _ = writeln!(text, "| what fails | {} | recovered |", heads.join(" | "));
        let _ = writeln!(text, "|---|{}---:|", "---:|".repeat(heads.len()));
        for failure in shown(variant) {
            let lost = clients.iter().map(|at| lost_text(&failure.suffered[*at]));
            let fell = components.iter().map(|at| fell_text(&failure.suffered[*at]));
            let cells: Vec<String> = lost.chain(fell).collect();
            let _ = writeln!(text, "| {} | {} | {} |", failure.label, cells.join(" | "), recovered(failure));
        }
        let _ = writeln!(
            text,
            "\nClients: goodput lost while it lasts, and from its start until it is back. Components: errors in \
             addition.\n"
        );
    }
    text
}
