//! A list of tests that may be skipped with a reason, run with the usual closing lines.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};

use crate::needs::{Need, in_ci};

/// What a test answers: an error says what was expected and what was found.
pub type Outcome = Result<(), Failed>;

/// Tests of one target, all named `<target>::<name>`.
pub struct Suite {
    target: &'static str,
    trials: Vec<Trial>,
    skipped: Vec<(String, String)>,
}

impl Suite {
    /// An empty one.
    pub fn new(target: &'static str) -> Suite {
        // A shell without job control, or nohup, starts what it puts in the background with these ignored, and so would be all
        // that tests start and then interrupt.
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
            let _ = crate::sys::set_disposition(signal, libc::SIG_DFL);
        }
        Suite { target, trials: Vec::new(), skipped: Vec::new() }
    }

    /// Adds a test. If one of `needs` is missing it counts as ignored, with the reason; in CI it fails if that could
    /// have been installed.
    pub fn test(&mut self, name: &str, needs: &[Need], body: impl FnOnce() -> Outcome + Send + 'static) {
        let name = format!("{}::{name}", self.target);
        let Some((need, reason)) = needs.iter().find_map(|need| Some((need, need.missing()?))) else {
            return self.trials.push(Trial::test(name, body));
        };
        if in_ci() && need.installable() {
            let reason = format!("{reason}; in CI it must be installed");
            return self.trials.push(Trial::test(name, move || Err(reason.into())));
        }
        self.trials.push(Trial::test(name.clone(), || Ok(())).with_ignored_flag(true));
        self.skipped.push((name, reason));
    }

    /// Does the command line select everything?
    pub fn is_whole(&self) -> bool {
        let args = Arguments::from_args();
        args.filter.is_none() && args.skip.is_empty() && !args.list && !args.ignored
    }

    /// Runs what the command line selects.
    pub fn run(self) -> ExitCode {
        let mut args = Arguments::from_args();
        // `--ignored` would pass what is missing; a skip is decided here and nowhere else.
        args.include_ignored = false;
        let conclusion: Conclusion = libtest_mimic::run(&args, self.trials);
        if !args.list {
            let selected = |name: &str| args.filter.as_ref().is_none_or(|filter| name.contains(filter));
            for (name, reason) in self.skipped.iter().filter(|(name, _)| selected(name)) {
                eprintln!("skipped: {name}: {reason}");
            }
        }
        conclusion.exit_code()
    }
}

/// Fails with both texts if they differ, showing the first line that does.
pub fn same(what: &str, expected: &str, found: &str) -> Outcome {
    if expected == found {
        return Ok(());
    }
    let lines = || expected.lines().zip(found.lines());
    let first = lines().find(|(a, b)| a != b).map_or_else(
        || format!("one is longer: {} and {} lines", expected.lines().count(), found.lines().count()),
        |(a, b)| format!("expected: {a}\nfound:    {b}"),
    );
    Err(format!("{what} differs\n{first}\n--- expected\n{expected}\n--- found\n{found}").into())
}

/// Fails with `message` unless `condition` holds.
pub fn ensure(condition: bool, message: impl FnOnce() -> String) -> Outcome {
    if condition { Ok(()) } else { Err(message().into()) }
}
