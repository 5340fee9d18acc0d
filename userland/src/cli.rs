//! The command line: one subcommand per tool, with help that shows how it is used.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};

/// Trace processes through file handles: on Linux, or on a simulated machine.
#[derive(Debug, Parser)]
#[command(
    name = "tracefd",
    version,
    arg_required_else_help = true,
    after_help = "\
Exit status: that of the traced command (death by a signal is repeated); 125 tracefd failed, 126 the command cannot \
be run, 127 it was not found, 2 usage."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub tool: Tool,
}

/// The tools.
#[derive(Debug, Subcommand)]
pub enum Tool {
    /// Print every system call, signal, birth and end of processes
    Trace(TraceArgs),
    /// Print a completion script for a shell
    Completions {
        /// For which one
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or that of a tool
    Man {
        /// The tool, such as `trace`
        tool: Option<String>,
    },
}

/// Machines that can be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BackendName {
    /// Real processes of this system
    Linux,
    /// The deterministic machine made for study; CMD is one of its program files
    Sim,
}

/// Where the tracer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Placement {
    /// On the core that the traced process ran on last, while there is one
    Follow,
    /// Wherever the system puts it
    Free,
}

/// Options of `trace`. Where people know strace's, they are the same.
#[derive(Args, Debug)]
#[command(
    arg_required_else_help = true,
    override_usage = "tracefd trace [OPTIONS] [--] CMD [ARG]...\n       tracefd trace [OPTIONS] -p PID...\n       tracefd trace --backend sim FILE",
    after_help = "\
Examples:
  tracefd trace ls -l                        every call of ls, to standard error
  tracefd trace -f -o out.txt -- make -j4    with all children, to a file; make's own output is untouched
  tracefd trace -f -e trace=%file sh build   only calls that take a path
  tracefd trace -e 'trace=!read,write' cat   all but these two
  tracefd trace -p 4711                      a running process, all its threads, until ^C
  tracefd trace --backend sim race.prog      a program of the simulator

^C goes to the command, as without tracefd; twice within two seconds, it ends tracefd and the command goes on. \
After -p, ^C leaves the processes as they were."
)]
pub struct TraceArgs {
    /// Trace children as well, from their first instruction
    #[arg(short, long)]
    pub follow_forks: bool,

    /// Trace a running process, all its threads; may be given several times
    #[arg(short = 'p', long = "attach", value_name = "PID", value_delimiter = ',', value_parser = value_parser!(u32).range(1..))]
    pub attach: Vec<u32>,

    /// Print to FILE instead of standard error
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Show only calls of SET: names, %file %desc %process %network %signal %memory, all, none; `!` first: all but
    #[arg(short, long, value_name = "trace=SET")]
    pub expr: Option<String>,

    /// Longest string to show; paths are always whole
    #[arg(short, long, value_name = "N", default_value_t = 32)]
    pub string_limit: usize,

    /// No line when a process joins
    #[arg(short, long)]
    pub quiet: bool,

    /// Processes die when tracefd does
    #[arg(long, conflicts_with = "attach")]
    pub kill_on_exit: bool,

    /// Let calls that are not selected pass without a stop, by a seccomp filter. Needs -f. The processes then die when
    /// tracefd does, since without it the selected calls would fail for ever
    #[arg(long, requires = "follow_forks", conflicts_with = "attach")]
    pub seccomp_bpf: bool,

    /// Where tracefd runs: on the core of the traced process, or where the system likes
    #[arg(long, value_enum, value_name = "WHERE", default_value = "follow")]
    pub placement: Placement,

    /// The machine that runs it
    #[arg(long, value_enum, value_name = "MACHINE", default_value = "linux")]
    pub backend: BackendName,

    /// The command and its arguments; with `--backend sim`, a program file
    #[arg(
        value_name = "CMD",
        trailing_var_arg = true,
        required_unless_present = "attach",
        conflicts_with = "attach"
    )]
    pub command: Vec<OsString>,
}
