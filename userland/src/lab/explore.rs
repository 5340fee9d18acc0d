//! `lab explore`: a search, its progress on a terminal, and what it found.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use kernel_model::explore::Setup;
use kernel_model::explore::schedule::Schedule;
use kernel_model::explore::search::{self, Progress};
use kernel_model::scenario::Scenario;

use super::{ExploreArgs, red, say, text_of, wrong};
use crate::failure::Failure;

/// A rule is broken.
const FOUND: u8 = 1;
/// The limit came first.
const UNKNOWN: u8 = 3;
/// Between two lines of progress.
const PACE: Duration = Duration::from_millis(200);

/// Goes through all states of a scenario.
pub fn explore(args: &ExploreArgs) -> Result<ExitCode, Failure> {
    let scenario =
        Scenario::parse(&text_of(&args.scenario)?).map_err(|error| wrong(&args.scenario, &error))?;
    let setup = Setup::new(scenario.clone(), &args.quirk).map_err(|error| wrong(&args.scenario, &error))?;
    let setup = if args.turns { setup.single_turns() } else { setup };
    let start = Instant::now();
    let mut shown = Shown::new();
    let found = search::explore(&setup, args.limit, |progress| {
        shown.tell(progress, start);
        true
    });
    shown.end();
    let mut text = figures(&found.progress, start.elapsed());
    text.push('\n');
    let Some((violation, moves)) = found.violation else {
        let code = if found.exhausted { 0 } else { UNKNOWN };
        text += match found.exhausted {
            true => "that is all there is: every rule holds\n",
            false => "the limit came first: nothing was found so far\n",
        };
        say(&text)?;
        return Ok(ExitCode::from(code));
    };
    let schedule = Schedule::of(&setup, &scenario, &violation, &moves);
    let path = args.output.clone().unwrap_or_else(|| {
        PathBuf::from(args.scenario.file_stem().unwrap_or_default()).with_extension("schedule")
    });
    let name = path.to_string_lossy().into_owned();
    std::fs::write(&path, schedule.to_string())
        .map_err(|cause| Failure::Output { path: name.clone(), cause })?;
    let _ = writeln!(text, "{}", red(&violation.to_string()));
    let _ = writeln!(text, "a shortest way to it, {} moves:", moves.len());
    for (n, chosen) in schedule.moves.iter().enumerate() {
        let _ = writeln!(text, "{:4} {chosen}", n + 1);
    }
    let _ = writeln!(text, "kept as {name}: see it with `tracefd lab replay {name}`, or `lab step`");
    say(&text)?;
    Ok(ExitCode::from(FOUND))
}

fn figures(progress: &Progress, took: Duration) -> String {
    let Progress { states, moves, depth, .. } = progress;
    let seconds = took.as_secs_f64();
    let rate = *states as f64 / seconds.max(f64::EPSILON);
    format!("{states} states, {moves} moves, depth {depth}, {seconds:.2} s, {rate:.0} states/s")
}

/// One line on a terminal's standard error, written over and over.
struct Shown {
    on: bool,
    last: Instant,
    dirty: bool,
}

impl Shown {
    fn new() -> Shown {
        Shown { on: std::io::stderr().is_terminal(), last: Instant::now(), dirty: false }
    }

    fn tell(&mut self, progress: &Progress, start: Instant) {
        if self.on && self.last.elapsed() >= PACE {
            (self.last, self.dirty) = (Instant::now(), true);
            let text = format!("{}, {} to go through", figures(progress, start.elapsed()), progress.waiting);
            let _ = write!(std::io::stderr(), "\r{text:<100}");
        }
    }

    fn end(&self) {
        if self.dirty {
            let _ = write!(std::io::stderr(), "\r{:<100}\r", "");
        }
    }
}
