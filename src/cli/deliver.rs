//! Results on standard output and in files, in the formats that were asked for.

use super::files;
use super::{Ending, message, print};
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// Formats of results. Each verb has some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables for people.
    Human,
    /// One JSON document.
    Json,
    /// Comma-separated values with a header.
    Csv,
    /// Markdown, as for the summary of a CI step.
    Markdown,
    /// JUnit's XML.
    Junit,
    /// Annotations as GitHub Actions reads them.
    Github,
}

/// What to print and what to write.
#[derive(Clone, Debug, Args)]
pub struct DeliverArgs {
    /// What to print.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// Writes a format to a file in addition, such as json=result.json; may be given again.
    #[arg(long = "output", value_name = "FORMAT=PATH", value_parser = output)]
    pub outputs: Vec<(Format, PathBuf)>,
}

fn output(text: &str) -> Result<(Format, PathBuf), String> {
    let Some((format, path)) = text.split_once('=').filter(|(_, path)| !path.is_empty()) else {
        return Err("an output is written FORMAT=PATH, such as json=result.json".into());
    };
    Ok((Format::from_str(format, false)?, PathBuf::from(path)))
}

impl DeliverArgs {
    /// Whether the verb has all formats that were asked for; if not, that has been said.
    pub fn are_known(&self, verb: &str, known: &[Format]) -> bool {
        let name =
            |format: &Format| format.to_possible_value().map_or(String::new(), |v| v.get_name().to_string());
        let asked = std::iter::once(&self.format).chain(self.outputs.iter().map(|(format, _)| format));
        let Some(unknown) = asked.into_iter().find(|format| !known.contains(format)) else { return true };
        let there_is = known.iter().map(name).collect::<Vec<_>>().join(", ");
        message(&format!("error: `{verb}` has no format `{}`; there is: {there_is}\n", name(unknown)));
        false
    }

    /// Writes the files and prints. `render` is asked for each format, and told whether it may use color.
    ///
    /// # Errors
    /// If a file cannot be written; no file is left half-written.
    pub fn deliver(&self, render: &dyn Fn(Format, bool) -> Result<Vec<u8>>) -> Result<()> {
        for (format, path) in &self.outputs {
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let Some(name) = path.file_name() else { bail!("{} is not the name of a file", path.display()) };
            let output = (name.to_string_lossy().into_owned(), render(*format, false)?);
            files::write_all(folder, &[output]).with_context(|| format!("--output {}", path.display()))?;
        }
        let color = self.format == Format::Human && super::has_color();
        let bytes = render(self.format, color)?;
        // All formats are texts; a lossy look at one takes seven times as long.
        match str::from_utf8(&bytes) {
            Ok(text) => print(text),
            Err(_) => print(&String::from_utf8_lossy(&bytes)),
        }
        Ok(())
    }

    /// As [`deliver`](Self::deliver); what goes wrong is shown, and ends the command.
    ///
    /// # Errors
    /// [`Ending::Wrong`], after the message.
    pub fn deliver_or_say(&self, render: &dyn Fn(Format, bool) -> Result<Vec<u8>>) -> Result<(), Ending> {
        self.deliver(render).map_err(|error| {
            message(&format!("error: {error:#}\n"));
            Ending::Wrong
        })
    }
}
