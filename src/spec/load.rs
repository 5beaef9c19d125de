//! Reading files: their text, their includes, and what they turn out to be.

use super::decode::{Anything, Context, Decode, Map};
use super::diagnostic::{Diagnostic, Diagnostics};
use super::experiment::{Experiment, TopologySource};
use super::files::Files;
use super::node::{self, Kind, Node};
use super::policy::positional;
use super::source::{Places, Sources, Span, Spanned};
use super::topology::Topology;
use crate::record;
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes: far above any real system, far below what would exhaust memory.
pub const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The most files that are read for one command.
const FILES_MAX: usize = 256;

/// How deep includes may be nested.
const INCLUDE_DEPTH_MAX: usize = 16;

/// What a file turned out to be.
#[derive(Clone, Debug)]
pub enum Document {
    /// A topology, as a tree that settings can still be changed in.
    Topology(Node),
    /// An experiment on a topology.
    Experiment(Box<ExperimentDocument>),
}

/// An experiment, with the trees in which its settings can still be changed.
#[derive(Clone, Debug)]
pub struct ExperimentDocument {
    /// The experiment.
    pub experiment: Experiment,
    /// Its tree.
    pub tree: Node,
    /// The tree of its topology.
    pub topology: Node,
    /// Settings of the topology that win over those of variants, in order of application.
    pub pinned: Vec<Override>,
    /// The same for one variant each, by its name.
    pub pinned_of: Vec<(String, Override)>,
}

impl ExperimentDocument {
    /// The settings that win over those of a variant, in order of application.
    pub fn pinned_for(&self, variant: &str) -> Vec<Override> {
        let own = self.pinned_of.iter().filter(|(name, _)| name == variant).map(|(_, o)| o);
        self.pinned.iter().chain(own).cloned().collect()
    }
}

record! {
    /// A file of settings for one variant.
    pub struct SettingsFile as "Settings" {
        /// The variant; all of them if not given.
        variant: Option<Spanned<String>> = None,
        /// Settings by path. They win over those of variants.
        set: Map<Anything>,
    }
}

/// A setting given from outside the files, such as `services.api.replicas=24`.
#[derive(Clone, Debug)]
pub struct Override {
    /// The path of the setting.
    pub path: Spanned<String>,
    /// Its new value.
    pub value: Node,
}

/// Everything read for one command.
#[derive(Clone, Debug, Default)]
pub struct Loader {
    /// The texts.
    pub sources: Sources,
    /// What was wrong with them.
    pub diagnostics: Diagnostics,
    /// The files.
    pub files: Files,
}

impl Loader {
    /// Reads a topology or an experiment, with its topology and includes, and settings from the command line.
    pub fn load(&mut self, path: &Path, sets: &[String]) -> Option<Document> {
        let root = self.read(path, None, &mut Vec::new())?;
        let (mut overrides, mut files) = (Vec::new(), Vec::new());
        for set in sets {
            match set.strip_prefix('@') {
                Some(file) => files.push(self.settings_file(Path::new(file))?),
                None => overrides.extend(self.parse_setting("--set", set)),
            }
        }
        let mut document = self.document(root, overrides)?;
        for file in files {
            document = self.with_file(document, file)?;
        }
        Some(document)
    }

    /// The document with the settings of a file.
    fn with_file(&mut self, document: Document, file: SettingsFile) -> Option<Document> {
        let given = file.set.spanned().map(|(path, span, value)| Override {
            path: Spanned { value: path.to_string(), span },
            value: value.0.clone(),
        });
        let given = given.collect();
        let Some(variant) = file.variant else { return self.overridden(&document, given) };
        let Document::Experiment(mut document) = document else {
            self.diagnostics.push(Diagnostic::error(variant.span, "a topology has no variants"));
            return None;
        };
        if document.experiment.variants.get(&variant.value).is_none() {
            let message = format!("there is no variant `{}`", variant.value);
            let names = document.experiment.variants.names();
            self.diagnostics.push(Diagnostic::error(variant.span, message).nearest(&variant.value, names));
            return None;
        }
        let (of_topology, of_experiment) = apart(&document.tree, given);
        if let Some(wrong) = of_experiment.first() {
            let message = format!("`{}` is the same for all variants", wrong.path.value);
            self.diagnostics.push(Diagnostic::error(wrong.path.span, message));
            return None;
        }
        document.pinned_of.extend(of_topology.into_iter().map(|o| (variant.value.clone(), o)));
        Some(Document::Experiment(document))
    }

    /// Reads a file of settings, as `brownout tune` writes it: `{"path": value}`, or `Settings(…)` for one variant.
    fn settings_file(&mut self, path: &Path) -> Option<SettingsFile> {
        let root = self.read(path, None, &mut Vec::new())?;
        match &root.kind {
            Kind::Map(_) => {
                let set = self.decode(&root)?;
                Some(SettingsFile { variant: None, set, span: root.span, places: Places::default() })
            }
            _ if root.name().is_some_and(|name| name.value == "Settings") => self.decode(&root),
            _ => {
                let message = format!("expected a map of settings, found {}", root.describe());
                let error = Diagnostic::error(root.span, message);
                self.diagnostics.push(error.help("for example { \"services.api.replicas\": 24 }"));
                None
            }
        }
    }

    /// Reads a topology or an experiment from a text that stands in no file. Messages call it `name`; files that it
    /// names are looked for in the working directory.
    pub fn load_text(&mut self, name: &str, text: &str) -> Option<Document> {
        let folder = Path::new("");
        let source = self.sources.add(name, text, folder);
        let mut root = node::parse(source, text, &mut self.diagnostics)?;
        if !self.include(&mut root, folder, &mut Vec::new()) {
            return None;
        }
        self.document(root, Vec::new())
    }

    /// What a tree turns out to be, with settings changed.
    fn document(&mut self, mut root: Node, overrides: Vec<Override>) -> Option<Document> {
        match root.name().map(|n| n.value.as_str()) {
            Some("Topology") => {
                self.apply(&mut root, &overrides);
                Some(Document::Topology(root))
            }
            Some("Experiment") => self.experiment(root, overrides),
            _ => {
                let at = root.name().map_or(root.span, |n| n.span);
                let found = root.describe();
                self.diagnostics.push(
                    Diagnostic::error(
                        at,
                        format!("expected `Topology(…)` or `Experiment(…)`, found {found}"),
                    )
                    .help("a file describes one system or one experiment"),
                );
                None
            }
        }
    }

    fn experiment(&mut self, mut root: Node, overrides: Vec<Override>) -> Option<Document> {
        let (of_topology, of_experiment) = apart(&root, overrides);
        self.apply(&mut root, &of_experiment);
        let experiment: Experiment = self.decode(&root)?;
        let mut topology = self.topology_of(&experiment)?;
        self.apply(&mut topology, &of_topology);
        let document = ExperimentDocument {
            experiment,
            tree: root,
            topology,
            pinned: Vec::new(),
            pinned_of: Vec::new(),
        };
        Some(Document::Experiment(Box::new(document)))
    }

    /// The document with other settings, each written `PATH=VALUE`. Unlike those of [`load`](Self::load), they win over
    /// the settings of variants: whoever tries a hundred values wants to see each of them. `name` is what messages
    /// call the place where they stand.
    pub fn changed(&mut self, document: &Document, name: &str, settings: &[String]) -> Option<Document> {
        let mut overrides = Vec::new();
        for setting in settings {
            overrides.push(self.parse_setting(name, setting)?);
        }
        self.overridden(document, overrides)
    }

    /// The document with other settings, as [`changed`](Self::changed) makes it, from settings that are read already.
    pub fn overridden(&mut self, document: &Document, overrides: Vec<Override>) -> Option<Document> {
        let before = self.diagnostics.iter().count();
        let changed = match document {
            Document::Topology(root) => {
                let mut root = root.clone();
                self.apply(&mut root, &overrides);
                Document::Topology(root)
            }
            Document::Experiment(document) => {
                let mut document = document.clone();
                let (of_topology, of_experiment) = apart(&document.tree, overrides);
                if !of_experiment.is_empty() {
                    self.apply(&mut document.tree, &of_experiment);
                    document.experiment = self.decode(&document.tree)?;
                }
                // Applied here as well, so that what the experiment is checked against has them. What only a variant
                // has a place for is left to the variant, which says so if it has none either.
                let has_variants = !document.experiment.variants.is_empty();
                for o in of_topology.iter().filter(|_| has_variants) {
                    let mut changed = document.topology.clone();
                    if node::set_path(&mut changed, &o.path, o.value.clone(), &positional).is_ok() {
                        document.topology = changed;
                    }
                }
                if !has_variants {
                    self.apply(&mut document.topology, &of_topology);
                }
                document.pinned.extend(of_topology);
                Document::Experiment(document)
            }
        };
        (self.diagnostics.iter().count() == before).then_some(changed)
    }

    /// A text that stands in no file, such as a flag's value, as one that messages can show.
    pub fn quoted(&mut self, name: &str, text: &str) -> Spanned<String> {
        let source = self.sources.add(name, text, Path::new("."));
        Spanned { value: text.to_string(), span: Span { source, start: 0, end: text.len() as u32 } }
    }

    /// The tree of an experiment's topology.
    fn topology_of(&mut self, experiment: &Experiment) -> Option<Node> {
        let file = match &experiment.topology {
            TopologySource::File(file) => file,
            TopologySource::Inline(node) => {
                let mut node = node.clone();
                let folder = self.sources.get(node.span.source).map(|s| s.folder.clone()).unwrap_or_default();
                return self.include(&mut node, &folder, &mut Vec::new()).then_some(node);
            }
        };
        let folder = self.sources.get(file.span.source).map(|s| s.folder.clone());
        let path = folder.unwrap_or_default().join(&file.value);
        let topology = self.read(&path, Some(file.span), &mut Vec::new())?;
        if topology.name().is_none_or(|n| n.value != "Topology") {
            let at = topology.name().map_or(topology.span, |n| n.span);
            let found = topology.describe();
            self.diagnostics.push(
                Diagnostic::error(at, format!("expected `Topology(…)`, found {found}"))
                    .context(file.span, "the experiment names this file as its topology"),
            );
            return None;
        }
        Some(topology)
    }

    /// Decodes a tree, gathering mistakes.
    pub fn decode<T: Decode>(&mut self, node: &Node) -> Option<T> {
        let folders = self.sources.iter().map(|s| s.folder.clone()).collect();
        let mut cx = Context { folders, files: self.files.clone(), ..Context::default() };
        let value = T::decode(node, &mut cx);
        self.diagnostics.extend(cx.diagnostics);
        value
    }

    /// Decodes and checks a topology.
    pub fn topology(&mut self, node: &Node) -> Option<Topology> {
        let topology: Topology = self.decode(node)?;
        let found = super::check::topology(&topology);
        let usable = !found.has_errors();
        self.diagnostics.extend(found);
        usable.then_some(topology)
    }

    /// Changes settings in a tree.
    pub fn apply(&mut self, root: &mut Node, overrides: &[Override]) {
        for o in overrides {
            if let Err(diagnostic) = node::set_path(root, &o.path, o.value.clone(), &positional) {
                self.diagnostics.push(diagnostic);
            }
        }
    }

    /// Reads `PATH=VALUE`; a value that is not RON is taken as a string, so that `timeout=5s` needs no quotes.
    fn parse_setting(&mut self, name: &str, set: &str) -> Option<Override> {
        let source = self.sources.add(name, set, Path::new("."));
        let span = |start: usize, end: usize| Span { source, start: start as u32, end: end as u32 };
        let Some((path, value)) = set.split_once('=') else {
            self.diagnostics.push(
                Diagnostic::error(span(0, set.len()), "a setting is written PATH=VALUE")
                    .help("for example --set services.api.replicas=24"),
            );
            return None;
        };
        let (path_end, value_start) = (path.len(), path.len() + 1);
        let path = Spanned { value: path.trim().to_string(), span: span(0, path_end) };
        Some(Override { path, value: self.parse_value(span(value_start, set.len()), value)? })
    }

    /// Reads a value that stands at a place of a text of its own; what is not RON is taken as a string.
    pub(super) fn parse_value(&mut self, span: Span, value: &str) -> Option<Node> {
        let mut scratch = Diagnostics::default();
        // Blanks in place of what stands before it, so that spans point into the whole text.
        let padded = format!("{}{value}", " ".repeat(span.start as usize));
        let parsed = node::parse(span.source, &padded, &mut scratch);
        if parsed.is_none() && value.trim_start().starts_with(['[', '(', '{', '"']) {
            self.diagnostics.extend(scratch);
            return None;
        }
        let text = || Node { kind: Kind::Text(value.trim().to_string()), span };
        Some(parsed.filter(|n| !is_plain_word(n, value)).unwrap_or_else(text))
    }

    fn read(&mut self, path: &Path, named_at: Option<Span>, open: &mut Vec<PathBuf>) -> Option<Node> {
        let text = match read_text(&self.files, path) {
            Ok(text) => text,
            Err(message) => {
                self.diagnostics.push(match named_at {
                    Some(span) => Diagnostic::error(span, message),
                    None => Diagnostic::general(message),
                });
                return None;
            }
        };
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let source = self.sources.add(path.display().to_string(), text, &folder);
        let text = self.sources.get(source).map(|s| s.text.clone()).unwrap_or_default();
        let mut root = node::parse(source, &text, &mut self.diagnostics)?;
        let identity = self.files.identity(path);
        open.push(identity);
        let root = self.include(&mut root, &folder, open).then_some(root);
        open.pop();
        root
    }

    /// Merges the included files underneath `root`; `false` after reporting a mistake.
    fn include(&mut self, root: &mut Node, folder: &Path, open: &mut Vec<PathBuf>) -> bool {
        let Some(list) = root.take_field("include") else { return true };
        let Some(files) = self.decode::<Vec<Spanned<String>>>(&list) else { return false };
        let name = root.name().cloned();
        let mut base: Option<Node> = None;
        for file in files {
            let path = folder.join(&file.value);
            let identity = self.files.identity(&path);
            if open.contains(&identity) {
                let message = format!("{} includes itself", file.value);
                self.diagnostics.push(Diagnostic::error(file.span, message).label("the circle closes here"));
                return false;
            }
            if open.len() > INCLUDE_DEPTH_MAX {
                let message = format!("includes are nested more than {INCLUDE_DEPTH_MAX} deep");
                self.diagnostics.push(Diagnostic::error(file.span, message));
                return false;
            }
            if self.sources.iter().count() > FILES_MAX {
                let message = format!("includes lead to more than {FILES_MAX} files");
                self.diagnostics.push(Diagnostic::error(file.span, message));
                return false;
            }
            let Some(included) = self.read(&path, Some(file.span), open) else { return false };
            if included.name().map(|n| &n.value) != name.as_ref().map(|n| &n.value) {
                let wanted = root.describe();
                let message =
                    format!("{} is {}, and what includes it is {wanted}", file.value, included.describe());
                self.diagnostics.push(Diagnostic::error(file.span, message).label("cannot be included here"));
                return false;
            }
            match &mut base {
                Some(base) => base.merge(included),
                None => base = Some(included),
            }
        }
        if let Some(mut base) = base {
            base.merge(std::mem::replace(root, Node::empty_record(list.span)));
            *root = base;
        }
        true
    }
}

/// A bare word such as `health`, which RON reads as a name and people mean as a string, unless it is a choice.
fn is_plain_word(node: &Node, text: &str) -> bool {
    match &node.kind {
        Kind::Record { name: Some(name), fields } => {
            fields.is_empty() && name.value == text.trim() && text.starts_with(|c: char| c.is_lowercase())
        }
        _ => false,
    }
}

/// Settings of the topology, and those of the experiment.
fn apart(experiment: &Node, overrides: Vec<Override>) -> (Vec<Override>, Vec<Override>) {
    const OF_TOPOLOGY: [&str; 7] =
        ["clients", "balancers", "services", "databases", "externals", "policies", "autoscalers"];
    overrides.into_iter().partition(|o| {
        let first = o.path.value.split('.').next().unwrap_or("");
        OF_TOPOLOGY.contains(&first) || experiment.field(first).is_none() && !is_experiment_field(first)
    })
}

fn is_experiment_field(name: &str) -> bool {
    Experiment::fields().contains(&name)
}

fn read_text(files: &Files, path: &Path) -> Result<String, String> {
    let shown = path.display();
    let bytes = files.read(path, FILE_BYTES_MAX + 1).map_err(|e| match e.kind() {
        // A folder can be opened, and read it cannot be.
        std::io::ErrorKind::IsADirectory => format!("cannot read {shown}: {e}"),
        _ => format!("cannot open {shown}: {e}"),
    })?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("{shown} is larger than {} MiB: this is no model", FILE_BYTES_MAX >> 20));
    }
    // Some editors put a mark at the start of a file that says no more than "this is UTF-8".
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
    str::from_utf8(bytes)
        .map(str::to_string)
        .map_err(|e| format!("{shown} is not text: byte {} is not UTF-8", e.valid_up_to() + 1))
}
