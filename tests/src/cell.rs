//! A command in a cell: a supervisor adopts every process that outlives its parent, waits for all of them, and reports
//! how each ended. Nothing can be left behind unseen. The supervisor is the program `cell` of this package.

use std::collections::BTreeMap;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::tracer::own_program;

/// When and how the supervisor ends the command itself (not its children) by SIGKILL.
#[derive(Clone, Debug)]
pub struct Kill {
    /// A FIFO that the command writes, and how many bytes of it must have come; 0: none.
    pub after_bytes: (PathBuf, u64),
    /// What passes after that; a command that ends meanwhile is not killed.
    pub after: Duration,
    /// Where the traced program has written its pid (`guest mark`).
    pub mark: PathBuf,
}

/// How to run it.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    /// Working directory.
    pub dir: Option<PathBuf>,
    /// What it reads.
    pub stdin: Option<String>,
    /// One more variable of its environment.
    pub variable: Option<(&'static str, String)>,
    /// As another user.
    pub user: Option<u32>,
    /// Torture.
    pub kill: Option<Kill>,
}

/// What became of it.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    /// `exited N` or `killed N`.
    pub status: String,
    /// Its words, and those of everything below it.
    pub stdout: String,
    /// The same.
    pub stderr: String,
    /// Lines of the supervisor's report by key: `adopted`, `left`, `traced`, `main`, `nanoseconds`, `bytes`.
    pub report: BTreeMap<String, Vec<String>>,
}

impl Ended {
    /// Lines of the report with this key.
    pub fn said(&self, key: &str) -> &[String] {
        self.report.get(key).map_or(&[], Vec::as_slice)
    }

    /// A line that holds a number.
    pub fn number(&self, key: &str) -> u64 {
        self.said(key).first().and_then(|line| line.parse().ok()).unwrap_or(0)
    }

    /// Status and words, for comparison.
    pub fn text(&self) -> String {
        format!("{}\n--- stdout\n{}--- stderr\n{}", self.status, self.stdout, self.stderr)
    }
}

impl Cell {
    /// In `dir`.
    pub fn at(dir: &Path) -> Cell {
        Cell { dir: Some(dir.to_owned()), ..Cell::default() }
    }

    /// Runs `cmd` to its end, and to the end of everything that it started.
    pub fn run(&self, cmd: &[String]) -> Result<Ended> {
        let scratch = tempfile::tempdir()?;
        let report = scratch.path().join("report");
        let mut cell = Command::new(own_program("cell"));
        cell.arg(&report);
        if let Some(kill) = &self.kill {
            cell.arg("--kill").arg(&kill.after_bytes.0).arg(kill.after_bytes.1.to_string());
            cell.arg(kill.after.as_nanos().to_string()).arg(&kill.mark);
        }
        if let Some((name, value)) = &self.variable {
            cell.env(name, value);
        }
        if let Some(user) = self.user {
            cell.arg("--user").arg(user.to_string());
        }
        cell.arg("--").args(cmd).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(dir) = &self.dir {
            cell.current_dir(dir);
        }
        if let Some(text) = &self.stdin {
            let input = scratch.path().join("stdin");
            std::fs::write(&input, text)?;
            cell.stdin(std::fs::File::open(input)?);
        }
        let output = cell.output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut ended =
            Ended { stdout: text(&output.stdout), stderr: text(&output.stderr), ..Ended::default() };
        for line in std::fs::read_to_string(&report).unwrap_or_default().lines() {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            ended.report.entry(key.to_owned()).or_default().push(value.to_owned());
        }
        match ended.said("status") {
            [status] => ended.status = status.clone(),
            _ => return Err(Error::other(format!("the cell failed: {}", ended.stderr))),
        }
        Ok(ended)
    }
}
