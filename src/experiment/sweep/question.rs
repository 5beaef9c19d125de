//! What a sweep asks: what the file says, and what flags say in its place.

use crate::experiment::study::{Mistakes, Study};
use crate::spec::diagnostic::Diagnostic;
use crate::spec::source::{Places, Span, Spanned};
use crate::spec::sweep::{Design, LatinHypercube, SweptValues};

/// What flags say; each wins over what the file says.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Settings and their values, each as in `services.api.replicas=2,4,8`.
    pub over: Vec<String>,
    /// What is measured.
    pub measures: Vec<String>,
    /// Points of a Latin hypercube.
    pub points: Option<u32>,
    /// The variant.
    pub variant: Option<String>,
}

/// A question that is complete and without mistakes of its own.
#[derive(Clone, Debug)]
pub struct Question {
    /// The settings with their values, in order of writing.
    pub settings: Vec<(Spanned<String>, SweptValues)>,
    /// Points of a Latin hypercube, if it is one; otherwise it is a grid.
    pub latin: Option<u32>,
    /// What is measured.
    pub measures: Vec<Spanned<String>>,
    variant: Option<String>,
}

impl Question {
    /// What is asked of a file.
    ///
    /// # Errors
    /// If it makes no sense; what does not fit the file's system is found when points are planned.
    pub fn new(study: &mut Study, asked: &Asked) -> Result<Self, Mistakes> {
        match Self::read(study, asked) {
            Ok(question) => Ok(question),
            Err(diagnostic) => {
                let loader = study.loader();
                diagnostic.into_iter().for_each(|d| loader.diagnostics.push(d));
                Err(Mistakes(Box::new(loader.clone())))
            }
        }
    }

    fn read(study: &mut Study, asked: &Asked) -> Result<Self, Option<Diagnostic>> {
        let written = study.experiment().and_then(|e| e.sweep.clone());
        let design = match (asked.points, &written) {
            (Some(points), _) => {
                let span = study.loader().quoted("--points", &points.to_string()).span;
                Design::LatinHypercube(LatinHypercube { points, span, places: Places::default() })
            }
            (None, Some(sweep)) => sweep.design.clone(),
            (None, None) => Design::Grid,
        };
        design.check()?;
        let mut settings = Vec::new();
        if asked.over.is_empty() {
            for (path, span, values) in written.iter().flat_map(|sweep| sweep.settings.spanned()) {
                settings.push((Spanned { value: path.to_string(), span }, values.clone()));
            }
            // A map has its entries in order of name; people have theirs in order of writing.
            settings.sort_by_key(|(path, _)| (path.span.source, path.span.start));
            if asked.points.is_some() {
                // The file's numbers of values are those of its grid.
                settings.iter_mut().for_each(|(_, values)| values.forget_points());
            }
        }
        for over in &asked.over {
            settings.push(study.loader().over("--over", over).ok_or(None)?);
        }
        if settings.is_empty() {
            let diagnostic = Diagnostic::general("nothing is swept");
            return Err(Some(diagnostic.help(
                "give --over PATH=2,4,8 or --over PATH=5..50/10, or `sweep: Sweep(settings: {…})` in the experiment",
            )));
        }
        for (at, (path, values)) in settings.iter().enumerate() {
            values.check(path, &design)?;
            if settings[..at].iter().any(|(other, _)| other.value == path.value) {
                return Err(Some(Diagnostic::error(path.span, format!("`{}` is swept twice", path.value))));
            }
        }
        let variant = Self::chosen(study, asked, &settings)?;
        let mut measures: Vec<Spanned<String>> = Vec::new();
        for text in &asked.measures {
            measures.push(study.loader().quoted("--measure", text));
        }
        if measures.is_empty() {
            measures.extend(written.into_iter().flat_map(|sweep| sweep.measures));
        }
        if measures.is_empty() {
            measures = Self::usual(study, variant.as_deref().filter(|_| !is_swept(&settings, "variant")));
        }
        for (at, measure) in measures.iter().enumerate() {
            if measures[..at].iter().any(|other| other.value == measure.value) {
                let message = format!("`{}` is measured twice", measure.value);
                return Err(Some(Diagnostic::error(measure.span, message)));
            }
        }
        let latin = match design {
            Design::LatinHypercube(latin) => Some(latin.points),
            Design::Grid => None,
        };
        Ok(Self { settings, latin, measures, variant })
    }

    /// The variant that all points share, or the first of those that are swept.
    fn chosen(
        study: &mut Study,
        asked: &Asked,
        settings: &[(Spanned<String>, SweptValues)],
    ) -> Result<Option<String>, Option<Diagnostic>> {
        let Some(experiment) = study.experiment() else {
            return match &asked.variant {
                Some(_) => Err(Some(Diagnostic::general("a topology has no variants: leave --variant out"))),
                None => Ok(None),
            };
        };
        let names: Vec<String> = experiment.variants.names().map(str::to_string).collect();
        let written = experiment.sweep.as_ref().and_then(|sweep| sweep.variant.clone()).map(|v| v.value);
        let (place, sweep_span) = (experiment.place("variants"), experiment.span);
        if is_swept(settings, "variant") {
            return match &asked.variant {
                Some(_) => Err(Some(Diagnostic::general("`variant` is swept: leave --variant out"))),
                None => Ok(None),
            };
        }
        if let Some(variant) = &asked.variant {
            let known = if names.is_empty() { vec!["base".to_string()] } else { names };
            if !known.contains(variant) {
                let span = study.loader().quoted("--variant", variant).span;
                let message = format!("there is no variant `{variant}`");
                let names = known.iter().map(String::as_str);
                return Err(Some(Diagnostic::error(span, message).nearest(variant, names)));
            }
            return Ok(Some(variant.clone()));
        }
        match (written, names.as_slice()) {
            (Some(variant), _) => Ok(Some(variant)),
            (None, []) => Ok(None),
            (None, [only]) => Ok(Some(only.clone())),
            (None, [first, ..]) => {
                let span = if place == sweep_span {
                    Span { end: sweep_span.start + 1, ..sweep_span }
                } else {
                    place
                };
                let help = format!("give --variant {first}, or --over variant={}", names.join(","));
                Err(Some(
                    Diagnostic::error(span, "there are several variants: say which is swept").help(help),
                ))
            }
        }
    }

    /// What is measured if nobody says so: what is expected, or what clients see.
    fn usual(study: &mut Study, variant: Option<&str>) -> Vec<Spanned<String>> {
        let name = variant.unwrap_or("base").to_string();
        let expected = study.experiment().and_then(|e| e.expect.get(&name)).cloned().unwrap_or_default();
        if !expected.is_empty() {
            return expected;
        }
        let mut measures = Vec::new();
        for client in study.clients().into_iter().take(3) {
            for metric in ["latency.p99", "error_ratio"] {
                measures.push(study.loader().quoted("measure", &format!("clients.{client}.{metric}")));
            }
        }
        measures
    }

    /// The variant that is planned unless a point says otherwise.
    pub fn variant(&self) -> Option<String> {
        self.variant.clone()
    }

    /// The paths of the settings, in order.
    pub fn paths(&self) -> impl Iterator<Item = &Spanned<String>> {
        self.settings.iter().map(|(path, _)| path)
    }
}

fn is_swept(settings: &[(Spanned<String>, SweptValues)], path: &str) -> bool {
    settings.iter().any(|(setting, _)| setting.value == path)
}
