//! `lab`: scenarios on the simulator, in every order ([`explore()`]), and what was found, move by move ([`replay`], [`step`]).
//!
//! Unlike other tools this one is about a machine, not on one: it uses `kernel_model::explore` in place of files.

mod args;
mod explore;
mod walk;

use std::path::Path;
use std::process::ExitCode;

pub use args::{ExploreArgs, LabTool, ScheduleArgs};
pub use explore::explore;
pub use walk::{replay, step};

use crate::failure::Failure;

/// Runs one of them.
pub fn run(tool: &LabTool) -> Result<ExitCode, Failure> {
    match tool {
        LabTool::Explore(args) => explore(args),
        LabTool::Replay(args) => replay(args),
        LabTool::Step(args) => step(args),
    }
}

/// A whole file.
fn text_of(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|cause| Failure::Input { path: path.to_string_lossy().into_owned(), cause })
}

/// A file that is not what it should be.
fn wrong(path: &Path, cause: &impl ToString) -> Failure {
    Failure::Program { path: path.to_string_lossy().into_owned(), cause: cause.to_string() }
}

/// Lines for standard output, which belongs to no traced command here. Whoever closes it has had enough.
fn say(text: &str) -> Result<(), Failure> {
    use std::io::{ErrorKind, Write};
    match std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush()) {
        Err(cause) if cause.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Output { path: "standard output".to_owned(), cause })
        }
        _ => Ok(()),
    }
}

/// `text` in red on a terminal, unless NO_COLOR is set.
fn red(text: &str) -> String {
    use std::io::IsTerminal;
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if plain || !std::io::stdout().is_terminal() { text.to_owned() } else { format!("\x1b[31m{text}\x1b[0m") }
}
