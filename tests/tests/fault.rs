//! The tracer dies at every request: before and after each one that a protocol makes to the kernel, by count, until the
//! protocol gets through. The guest goes on as if it had never been traced, or dies if that was asked for.
//!
//! The tracer is `doomed` of `backend-linux`, in a build that kills itself. A kill counts only if the log that it wrote just
//! before says where. What RFC 0003 lists as windows is let pass by name, where the name fits, and counted.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use conformance::cell::{Cell, Ended};
use conformance::harness::{Outcome, Suite, ensure};
use conformance::tracer::own_program;

#[path = "fault/strike.rs"]
mod strike;
#[path = "fault/windows.rs"]
mod windows;

use strike::{Log, Strike};
use windows::Window;

/// Protocol, the act that the guest plays under it, and whether it is also gone through with O_EXCL.
const PAIRS: [(&str, &str, bool); 30] = [
    ("calls", "calls", true),
    ("calls", "nap", false),
    ("skip", "calls", true),
    ("signals", "signals", true),
    ("drop", "signals", false),
    ("steps", "calls", true),
    ("breakpoint", "int3", false),
    ("planted", "landmark", true),
    ("family", "fork", false),
    ("family", "vfork", false),
    ("family", "thread", true),
    ("family-calls", "fork", false),
    ("family-calls", "thread", true),
    ("offered", "fork", true),
    ("offered", "vfork", false),
    ("offered", "thread", false),
    ("unfollowed", "fork", false),
    ("unfollowed", "thread", false),
    ("images", "vfork", false),
    ("images", "exec", false),
    ("images", "exec-thread", true),
    ("jobs", "stop", true),
    ("interrupt", "nap", true),
    ("leave-at-entry", "calls", false),
    ("leave-at-exit", "calls", false),
    ("leave-at-signal", "signals", false),
    ("leave-at-step", "calls", false),
    ("leave-running", "nap", false),
    ("leave-held", "nap", true),
    ("registers", "nap", false),
];

/// Those that make sense for a program that the tracer starts, without thousands of calls of its loader.
const STARTED: [(&str, &str, bool); 5] = [
    ("filter", "calls", true),
    ("signals", "signals", false),
    ("family", "fork", true),
    ("images", "exec-thread", false),
    ("leave-held", "calls", true),
];

static LANDED: AtomicU64 = AtomicU64::new(0);
static SEEN: Mutex<Vec<(Window, String)>> = Mutex::new(Vec::new());

fn main() -> ExitCode {
    let mut suite = Suite::new("fault");
    let mut add = |from: &'static str, (protocol, act, kills): (&'static str, &'static str, bool)| {
        for how in ["leave", "kill"] {
            // A filter is for those only that die with their tracer.
            if (protocol, how) != ("filter", "leave") && (kills || how == "leave") {
                let case = Case { protocol, act, how, from };
                suite.test(&format!("{from}_{how}_{protocol}_{act}"), &[], move || case.exhaust());
            }
        }
    };
    PAIRS.into_iter().for_each(|pair| add("attach", pair));
    STARTED.into_iter().for_each(|pair| add("spawn", pair));
    let whole = suite.is_whole();
    let result = suite.run();
    if whole {
        eprintln!("fault: {} kills, each at a request of its own", LANDED.load(Relaxed));
        let seen = SEEN.lock().expect("nobody fails while holding it");
        let mut rows_hold = true;
        for window in Window::ALL {
            let times: Vec<&String> =
                seen.iter().filter(|(one, _)| *one == window).map(|(_, at)| at).collect();
            let first = times.first().map_or(String::new(), |at| format!(", as {at}"));
            eprintln!("fault: window {window:?}: {}{first}", times.len());
            rows_hold &= !times.is_empty();
        }
        if !rows_hold {
            eprintln!("fault: a window that nobody falls into is none: its row goes from RFC 0003");
            return ExitCode::FAILURE;
        }
    }
    result
}

/// The tracer, in the build that dies; made once per test run.
fn doomed() -> &'static str {
    static BUILT: OnceLock<String> = OnceLock::new();
    BUILT.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--package", "backend-linux", "--features", "fault"]);
        build.args(["--example", "doomed"]).current_dir(env!("CARGO_MANIFEST_DIR"));
        let guest = PathBuf::from(own_program("guest"));
        let dir = guest.parent().expect("a file is in a directory");
        if dir.ends_with("release") {
            build.arg("--release");
        }
        let status = build.status().expect("cargo runs");
        assert!(status.success(), "cargo build of doomed: {status}");
        dir.join("examples/doomed").to_str().expect("a path in UTF-8").to_owned()
    })
}

/// A protocol on an act.
#[derive(Clone, Copy)]
struct Case {
    protocol: &'static str,
    act: &'static str,
    how: &'static str,
    from: &'static str,
}

impl Case {
    fn words(&self, tracer: &[&str]) -> Vec<String> {
        let guest = own_program("guest");
        let mut words: Vec<&str> = Vec::new();
        if self.from == "attach" {
            words.extend([&*guest, "beside"]);
        }
        words.extend(tracer);
        words.push(if self.from == "attach" { "--" } else { &guest });
        words.extend(if self.from == "attach" { vec![&*guest, "go"] } else { vec!["act"] });
        words.push(self.act);
        words.into_iter().map(str::to_owned).collect()
    }

    /// One run, with where to die.
    fn run(&self, dir: &Path, plan: String) -> std::io::Result<Ended> {
        let words = self.words(&[doomed(), self.protocol, self.how, self.from]);
        Cell { variable: Some(("TRACEFD_FAULT", plan)), ..Cell::at(dir) }.run(&words)
    }

    fn untraced(&self, dir: &Path) -> std::io::Result<Ended> {
        let words = match self.from {
            "attach" => self.words(&["true"]),
            _ => self.words(&[]),
        };
        Cell::at(dir).run(&words)
    }

    /// All requests, both sides.
    fn exhaust(&self) -> Outcome {
        let scratch = tempfile::tempdir()?;
        let log = scratch.path().join("log");
        let untraced = self.untraced(scratch.path())?;
        let traced = self.run(scratch.path(), format!("never:0:{}", log.display()))?;
        let mut seen = Vec::new();
        for side in ["before", "after"] {
            for number in 0.. {
                let _ = std::fs::remove_file(&log);
                let ended = self.run(scratch.path(), format!("{side}:{number}:{}", log.display()))?;
                let Ok(told) = std::fs::read_to_string(&log) else {
                    ensure(number > 1, || format!("it never got to a request:\n{}", ended.text()))?;
                    break;
                };
                LANDED.fetch_add(1, Relaxed);
                let log = Log::read(&told)?;
                ensure((&*log.side, log.number) == (side, number), || format!("the log: {told}"))?;
                let strike = Strike { case: *self, log, ended, untraced: &untraced, traced: &traced };
                seen.extend(strike.check()?);
            }
        }
        SEEN.lock().expect("nobody fails while holding it").extend(seen);
        Ok(())
    }
}
