//! Plots of an experiment, each as SVG with real text and as PNG.
//!
//! Three steps, each plain data for the next: a chart chooses what to show and builds a `Figure` in
//! the units of the data; the figure is laid out to a `Scene` in pixels; the scene is painted with
//! plotters, on either medium. The font that measures and draws text is part of the program, so that no installed
//! font is needed and the bytes are the same everywhere.

mod axis;
mod blast;
mod capacity;
mod ccdf;
mod compare;
mod figure;
mod latency;
mod layout;
mod outcomes;
mod paint;
mod palette;
mod recovery;
mod scene;
mod series;
mod states;
mod sweep;
mod tune;

use crate::experiment::blast::BlastResult;
use crate::experiment::capacity::CapacityResult;
use crate::experiment::compare::results::Comparison;
use crate::experiment::results::ExperimentResult;
use crate::experiment::sweep::SweepResult;
use crate::experiment::team::Team;
use crate::experiment::tune::TuneResult;

/// A picture in two formats.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// The name of its files, without extension.
    pub file_stem: String,
    /// As SVG, with text as text.
    pub svg: String,
    /// As PNG, 1,200 pixels wide.
    pub png: Vec<u8>,
}

/// Why a plot could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// The font in the program cannot be read.
    #[error("the built-in font cannot be read")]
    Font,
    /// The drawing failed.
    #[error("cannot draw the plot '{plot}': {reason}")]
    Drawing {
        /// The plot's file stem.
        plot: String,
        /// What went wrong.
        reason: String,
    },
    /// The picture could not be encoded.
    #[error("cannot encode a plot as PNG: {0}")]
    Png(#[from] png::EncodingError),
    /// Threads cannot be started.
    #[error("cannot start threads for the plots")]
    Threads,
}

/// All plots that have something to show: latency, outcomes, states, recovery, ccdf. They are painted on `jobs`
/// threads, as that takes as long as a few runs.
///
/// # Errors
/// If one cannot be drawn, or threads cannot be started.
pub fn all(result: &ExperimentResult, jobs: usize) -> Result<Vec<Plot>, PlotError> {
    let charts = [
        ("latency", latency::figure(result)),
        ("outcomes", outcomes::figure(result)),
        ("states", states::figure(result)),
        ("recovery", recovery::figure(result)),
        ("ccdf", ccdf::figure(result)),
    ];
    paint::register_font()?;
    let present = charts.into_iter().filter_map(|(stem, figure)| Some((stem, figure?)));
    let present: Vec<_> = present.collect();
    let team = Team::new(jobs.min(present.len())).map_err(|_| PlotError::Threads)?;
    let mut plots = Vec::new();
    team.each(
        &present,
        |(stem, figure)| paint::plot(stem, &layout::scene(figure)),
        |_, painted| {
            plots.push(painted?);
            Ok::<_, PlotError>(())
        },
    )?;
    Ok(plots)
}

/// The blast radius as a matrix, if anything failed.
///
/// # Errors
/// If the picture cannot be drawn.
pub fn blast(result: &BlastResult) -> Result<Option<Plot>, PlotError> {
    paint::register_font()?;
    blast::scene(result).map(|scene| paint::plot("blast", &scene)).transpose()
}

/// The pictures of a sweep: lines, maps or points, as its settings are.
pub fn sweep(result: &SweepResult) -> Result<Vec<Plot>, PlotError> {
    paint::register_font()?;
    let figures = sweep::figures(result);
    figures.iter().map(|(stem, figure)| paint::plot(stem, &layout::scene(figure))).collect()
}

/// The plots of a search for settings: what was tried, and the front of several aims.
///
/// # Errors
/// If a picture cannot be drawn.
pub fn tune(result: &TuneResult) -> Result<Vec<Plot>, PlotError> {
    let charts = [("tune", tune::progress(result)), ("front", tune::front(result))];
    paint::register_font()?;
    let present = charts.into_iter().filter_map(|(stem, figure)| Some((stem, figure?)));
    present.map(|(stem, figure)| paint::plot(stem, &layout::scene(&figure))).collect()
}

/// The curve of measures over load, with limits, capacity and knee.
pub fn of_capacity(result: &CapacityResult) -> Result<Plot, PlotError> {
    paint::register_font()?;
    paint::plot("capacity", &layout::scene(&capacity::figure(result)))
}

/// The differences between variants as a picture, if there are any.
///
/// # Errors
/// If it cannot be drawn or encoded.
pub fn compare(result: &Comparison) -> Result<Option<Plot>, PlotError> {
    let Some(figure) = compare::figure(result) else { return Ok(None) };
    paint::register_font()?;
    paint::plot("compare", &layout::scene(&figure)).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::results::Series;
    use crate::report::fixture;

    fn stems(result: &ExperimentResult) -> Vec<String> {
        all(result, 1).unwrap().into_iter().map(|plot| plot.file_stem).collect()
    }

    /// The texts of an SVG.
    fn texts(svg: &str) -> Vec<&str> {
        svg.split("<text")
            .skip(1)
            .filter_map(|rest| rest.split_once('>')?.1.split_once("</text>"))
            .map(|(text, _)| text.trim())
            .collect()
    }

    /// The width and height that a PNG says it has.
    fn size(png: &[u8]) -> (u32, u32) {
        let info = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        (info.info().width, info.info().height)
    }

    /// Pixels of a PNG that are not white.
    fn ink(png: &[u8]) -> usize {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        pixels.chunks(3).filter(|pixel| pixel.iter().any(|part| *part != 255)).count()
    }

    #[test]
    fn an_incident_has_all_plots_and_each_says_what_it_shows() {
        let plots = all(&fixture::incident(), 1).unwrap();
        let stems: Vec<&str> = plots.iter().map(|p| p.file_stem.as_str()).collect();
        assert_eq!(stems, ["latency", "outcomes", "states", "recovery", "ccdf"]);
        for plot in &plots {
            let texts = texts(&plot.svg);
            for variant in ["after", "before", "operator"] {
                assert!(
                    texts.iter().any(|text| text.starts_with(variant)),
                    "{variant} in {}",
                    plot.file_stem
                );
            }
            assert!(texts.iter().any(|text| text.contains("weather-stall")) || plot.file_stem == "ccdf");
            assert!(plot.svg.starts_with("<svg width=\"1200\"") && plot.svg.ends_with("</svg>\n"));
            assert!(plot.svg.len() < 1_500_000 && !plot.svg.contains("NaN"), "{}", plot.svg.len());
            assert!(size(&plot.png).0 == 1200 && ink(&plot.png) > 5_000);
        }
    }

    #[test]
    fn the_same_results_give_the_same_bytes() {
        let [first, second] = [1, 3].map(|jobs| all(&fixture::incident(), jobs).unwrap());
        assert!(first == second);
    }

    #[test]
    fn areas_are_filled_on_both_media() {
        let plots = all(&fixture::incident(), 1).unwrap();
        let outcomes = plots.iter().find(|p| p.file_stem == "outcomes").unwrap();
        // Three panels, almost full: most of the picture is not white.
        let (width, height) = size(&outcomes.png);
        assert!(ink(&outcomes.png) * 2 > (width * height) as usize);
        assert!(outcomes.svg.matches("<polygon").count() >= 9);
    }

    #[test]
    fn what_is_missing_is_left_out() {
        let mut calm = fixture::incident();
        calm.variants.iter_mut().for_each(|v| v.faults.clear());
        assert_eq!(stems(&calm), ["latency", "outcomes", "states", "ccdf"]);

        let mut silent = fixture::incident();
        silent.variants.iter_mut().for_each(|v| {
            v.latency.clear();
            v.series.columns.retain(|c| !c.path.starts_with("clients."));
        });
        assert_eq!(stems(&silent), ["states", "recovery"]);

        let mut empty = calm.clone();
        empty.variants.iter_mut().for_each(|v| {
            v.latency.clear();
            v.series = Series::default();
        });
        assert_eq!(stems(&empty), Vec::<String>::new());
        empty.variants.clear();
        assert_eq!(stems(&empty), Vec::<String>::new());
    }

    #[test]
    fn corner_cases_are_drawn() {
        assert_eq!(stems(&fixture::tiny()), ["latency", "outcomes"]);
        assert_eq!(stems(&fixture::all_nan()), ["recovery"]);
        assert_eq!(stems(&fixture::many_variants(30)).len(), 5);
        let mut one = fixture::incident();
        one.variants.truncate(1);
        one.runs = 1;
        one.variants[0].faults[0].per_run.truncate(1);
        assert_eq!(stems(&one).len(), 5);
        one.duration_s = f64::NAN;
        one.variants[0].faults[0].start_s = f64::NAN;
        one.variants[0].name = "a name with <brackets> & more than fits on any page, ".repeat(9);
        assert_eq!(stems(&one).len(), 5);
    }

    #[test]
    fn many_panels_stay_small() {
        for plot in all(&fixture::many_variants(30), 1).unwrap() {
            assert!(plot.svg.len() < 1_500_000, "{} has {} bytes", plot.file_stem, plot.svg.len());
            assert!(size(&plot.png).1 < 4_000);
        }
    }
}
