//! Runs of `tracefd trace`, recorded and replayed, in a directory of their own.

use std::fs;
use std::io::Result;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use conformance::tracer::{own_program, tracefd};
use tempfile::TempDir;

/// A machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Sim,
    Linux,
}

/// A parent that signals itself, and a child that it waits for.
const FAMILY: &str = "program family
    sys rt_sigaction, 10, action, 0, 8
    sys getpid
    mov rdi, rax
    sys kill, rdi, 10
    sys fork
    test rax, rax
    je   child
    sys wait4, -1, 0, 0, 0
    sys write, 1, text, 5
    sys exit, 0
child:
    sys getppid
    sys write, 1, text, 5
    sys exit, 3
handler:
    sys getuid
    ret
restorer:
    sys rt_sigreturn
.data
action: .word handler, sa.restorer, restorer, 0
text:   .asciz \"text\\n\"
";

impl On {
    pub(crate) fn name(self) -> &'static str {
        match self {
            On::Sim => "sim",
            On::Linux => "linux",
        }
    }

    /// The last words of command lines: programs of several processes, threads, with signals.
    pub(crate) fn many(self, lab: &Lab) -> Vec<Vec<String>> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match self {
            On::Sim => {
                let ping = concat!(env!("CARGO_MANIFEST_DIR"), "/../userland/examples/ping.asm");
                vec![words(&["--backend", "sim", ping]), self.one(lab)]
            }
            On::Linux => {
                let guest = own_program("guest");
                vec![
                    words(&["--", "ls", "-l", "/"]),
                    words(&["--", "sh", "-c", "ls -l / | wc -l"]),
                    words(&["--", &guest, "threads", "20"]),
                    words(&["--", &guest, "signals"]),
                    words(&["--", &guest, "exec-thread"]),
                ]
            }
        }
    }

    /// A program whose first process does the same whatever its children do, and whose children do little.
    pub(crate) fn one(self, lab: &Lab) -> Vec<String> {
        let family = lab.path("family.asm");
        let words: &[&str] = match self {
            On::Sim => &["--backend", "sim", family.to_str().expect("a path in UTF-8")],
            On::Linux => &["--", "sh", "-c", "(exit 3); echo text; exit 0"],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    /// A call that is made in all of them.
    pub(crate) fn call(self) -> &'static str {
        "write"
    }
}

/// Where files are.
pub(crate) struct Lab(TempDir);

/// What came of a run.
pub(crate) struct Ran {
    pub(crate) trace: String,
    pub(crate) errors: String,
    pub(crate) code: Option<i32>,
}

impl Lab {
    pub(crate) fn new() -> Result<Lab> {
        let lab = Lab(tempfile::tempdir()?);
        fs::write(lab.path("family.asm"), FAMILY)?;
        Ok(lab)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `tracefd trace -o …`.
    fn trace(&self, words: &[&str]) -> Result<Ran> {
        let trace = self.path("trace");
        let _ = fs::remove_file(&trace);
        let mut command = tracefd_trace(&trace);
        let Output { status, stderr, .. } = command.args(words).stdin(Stdio::null()).output()?;
        let trace = fs::read(trace).unwrap_or_default();
        let (trace, errors) =
            (String::from_utf8_lossy(&trace).into_owned(), String::from_utf8_lossy(&stderr).into_owned());
        Ok(Ran { trace, errors, code: status.code() })
    }

    /// Without a recording.
    pub(crate) fn live(&self, options: &[&str], command: &[String]) -> Result<Ran> {
        let command = command.iter().map(String::as_str);
        self.trace(&options.iter().copied().chain(command).collect::<Vec<_>>())
    }

    /// With one.
    pub(crate) fn record(&self, file: &str, options: &[&str], command: &[String]) -> Result<Ran> {
        let file = self.path(file);
        let file = ["--record", file.to_str().expect("a path in UTF-8")];
        self.live(&[&file, options].concat(), command)
    }

    /// Of one.
    pub(crate) fn replay(&self, file: &str, options: &[&str]) -> Result<Ran> {
        let backend = format!("replay:{}", self.path(file).display());
        self.trace(&[&["--backend", &backend], options].concat())
    }
}

/// `tracefd trace -o TRACE`.
pub(crate) fn tracefd_trace(trace: &Path) -> Command {
    let mut command = Command::new(tracefd());
    command.arg("trace").arg("-o").arg(trace);
    command
}

/// The names of calls, one per line, in order. Left out is what depends on whether a child ends before or while it is
/// waited for.
pub(crate) fn names(trace: &str) -> String {
    let name = |line: &str| line.split_once('(').map(|(name, _)| format!("{name}\n"));
    let certain = |name: &String| !["wait4\n", "rt_sigreturn\n"].contains(&&**name);
    trace.lines().filter_map(name).filter(certain).collect()
}
