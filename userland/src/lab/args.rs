//! The command line of `lab`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use kernel_model::explore::quirk::Quirk;

/// What `lab` does.
#[derive(Debug, Subcommand)]
pub enum LabTool {
    /// Go through every order in which a scenario can happen, and say the shortest that breaks a rule
    Explore(ExploreArgs),
    /// Play a schedule that was found, and show what each move did and why
    Replay(ScheduleArgs),
    /// Walk through a schedule, forward and back
    Step(ScheduleArgs),
}

/// Options of `lab explore`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tracefd lab explore tests/scenarios/F9.scenario              nothing is found, and the number of states is said
  tracefd lab explore --quirk F9 tests/scenarios/F9.scenario   a hang is found, and kept as F9.schedule
  tracefd lab step F9.schedule                                 and walked through

Quirks: F5 F7 F8 F9 F11 F19 are defects of Redox's kernel, by their numbers in RFC 0002; the others are in RFC 0008 and \
RFC 0004.

Exit status: 0 all was gone through and every rule holds; 1 a rule is broken; 3 the limit came first; 125 and above as \
of all tools.")]
pub struct ExploreArgs {
    /// A scenario file (RFC 0008)
    #[arg(value_name = "SCENARIO")]
    pub scenario: PathBuf,

    /// Break a rule, to see it found; may be given several times
    #[arg(long, value_name = "NAME")]
    pub quirk: Vec<Quirk>,

    /// Let tasks be interrupted at every turn of the simulator, not only where another could tell
    #[arg(long)]
    pub turns: bool,

    /// Give up after so many states
    #[arg(long, value_name = "STATES", default_value_t = 10_000_000)]
    pub limit: usize,

    /// Keep the schedule that is found in FILE, not in SCENARIO's name with `.schedule`, here
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Options of `lab replay` and `lab step`.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit status: 0 it went as the schedule says; 1 it did not.

Of `step`: Enter or `n` is forward, `b` back, a number goes to that move, `l` lists all, `q` ends.")]
pub struct ScheduleArgs {
    /// What `lab explore` has kept
    #[arg(value_name = "SCHEDULE")]
    pub schedule: PathBuf,
}
