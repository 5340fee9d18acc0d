//! The command line: one subcommand per tool, with help that shows how it is used.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Args, Command, Parser, ValueEnum};

use crate::longs::Longs;
use crate::tools::Tool;
use crate::trace::summary::{self, Column, Order};

/// Trace processes through file handles: on Linux, or on a simulated machine.
#[derive(Debug, Parser)]
#[command(
    name = "tracefd",
    version,
    propagate_version = true,
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

/// Machines that can be named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackendName {
    /// Real processes of this system.
    Linux,
    /// The deterministic machine made for study.
    Sim,
    /// What `--record` wrote.
    Replay(PathBuf),
}

impl BackendName {
    const REPLAY: &str = "replay:";

    /// Whether it is a recording.
    pub fn is_replay(&self) -> bool {
        matches!(self, BackendName::Replay(_))
    }
}

/// `linux`, `sim`, `replay:FILE`.
#[derive(Clone)]
struct Backends;

impl TypedValueParser for Backends {
    type Value = BackendName;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<BackendName, clap::Error> {
        let replay = value.as_bytes().strip_prefix(BackendName::REPLAY.as_bytes());
        match (value.to_str(), replay) {
            (Some("linux"), _) => Ok(BackendName::Linux),
            (Some("sim"), _) => Ok(BackendName::Sim),
            (_, Some(file)) if !file.is_empty() => Ok(BackendName::Replay(OsStr::from_bytes(file).into())),
            // For its message.
            _ => Err(PossibleValuesParser::new(["linux", "sim", "replay:FILE"])
                .parse_ref(command, argument, value)
                .err()
                .unwrap_or_else(|| clap::Error::new(ErrorKind::InvalidValue).with_cmd(command))),
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let values = [
            ("linux", "Real processes of this system"),
            ("sim", "The deterministic machine made for study; CMD is one of its program files"),
            ("replay:FILE", "What --record wrote, without CMD"),
        ];
        Some(Box::new(values.into_iter().map(|(name, help)| PossibleValue::new(name).help(help))))
    }
}

/// When a signal to tracefd ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Interruptible {
    /// Always
    #[value(alias = "1")]
    Anywhere,
    /// The same: tracefd is never in a state that it could not leave
    #[value(alias = "2")]
    Waiting,
    /// Never
    #[value(alias = "3")]
    Never,
    /// Never, and ^Z does not stop it
    #[value(alias = "4")]
    NeverTstp,
}

/// How far from the command's job the tracer is, with `-D`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Daemonize {
    /// In the same process group
    Grandchild,
    /// In a process group of its own
    Pgroup,
    /// In a session of its own
    Session,
}

/// Where the tracer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Placement {
    /// On the core that the traced process ran on last, while there is one
    Follow,
    /// Wherever the system puts it
    Free,
}

/// Formats that can be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FormatName {
    /// Lines as strace prints them
    Text,
    /// One JSON object per line, versioned
    Json,
    /// A Chrome trace: opens in a trace viewer, a track per thread, a slice per call
    Chrome,
    /// A Mermaid sequence diagram of the processes
    Mermaid,
    /// A Mermaid state diagram of each process
    MermaidState,
    /// The processes as a tree, with states, as xv6 lists them
    Xv6,
}

/// When colors are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorName {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Yes
    Always,
    /// No
    Never,
}

/// What `-e` says, each as an option of its own.
#[derive(Args, Debug)]
pub struct Named {
    /// -e trace=SET
    #[arg(long, value_name = "SET", hide = true)]
    pub trace: Option<String>,
    /// -e signal=SET
    #[arg(long, value_name = "SET", hide = true)]
    pub signal: Option<String>,
    /// -e status=SET
    #[arg(long, value_name = "SET", hide = true)]
    pub status: Option<String>,
    /// -e inject=SET:ACTION
    #[arg(long, value_name = "RULE", hide = true)]
    pub inject: Vec<String>,
    /// -e fault=SET
    #[arg(long, value_name = "RULE", hide = true)]
    pub fault: Vec<String>,
    /// -e abbrev=SET
    #[arg(long, value_name = "SET", hide = true)]
    pub abbrev: Option<String>,
    /// -e raw=SET
    #[arg(long, value_name = "SET", hide = true)]
    pub raw: Option<String>,
    /// -e read=FDS
    #[arg(long, value_name = "FDS", hide = true)]
    pub read: Option<String>,
    /// -e write=FDS
    #[arg(long, value_name = "FDS", hide = true)]
    pub write: Option<String>,
    /// -e quiet=SET
    #[arg(long = "quiet", value_name = "SET", hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "attach", alias = "silent", alias = "silence")]
    pub quiet_set: Option<String>,
}

impl TraceArgs {
    /// Whom to attach to.
    pub fn attached(&self) -> impl Iterator<Item = u32> + '_ {
        self.attach.iter().flatten().copied()
    }

    /// `-D`, `-DD`, `-DDD`, or the same by name.
    pub fn daemon(&self) -> Option<Daemonize> {
        match self.detached {
            0 => self.daemonize,
            1 => Some(Daemonize::Grandchild),
            2 => Some(Daemonize::Pgroup),
            _ => Some(Daemonize::Session),
        }
    }

    /// All that `-e` and its long forms say.
    pub fn expressions(&self) -> Vec<String> {
        let Named { trace, signal, status, inject, fault, abbrev, raw, read, write, quiet_set } = &self.named;
        let single = [
            ("trace", trace),
            ("signal", signal),
            ("status", status),
            ("abbrev", abbrev),
            ("raw", raw),
            ("read", read),
            ("write", write),
            ("quiet", quiet_set),
        ];
        let single = single.into_iter().filter_map(|(name, set)| Some((name, set.as_ref()?)));
        let rules =
            inject.iter().map(|rule| ("inject", rule)).chain(fault.iter().map(|rule| ("fault", rule)));
        let named = single.chain(rules).map(|(name, set)| format!("{name}={set}"));
        self.expr.iter().cloned().chain(named).collect()
    }
}

/// Options of `trace`. Where people know strace's, they are the same.
#[derive(Args, Debug)]
#[command(
    arg_required_else_help = true,
    override_usage = "tracefd trace [OPTIONS] [--] CMD [ARG]...\n       tracefd trace [OPTIONS] -p PID...\n       tracefd trace --backend sim FILE\n       tracefd trace [OPTIONS] --backend replay:FILE",
    after_help = "\
Examples:
  tracefd trace ls -l                        every call of ls, to standard error
  tracefd trace -f -o out.txt -- make -j4    with all children, to a file; make's own output is untouched
  tracefd trace -ff -o out -- make -j4       the same, one file out.PID per process and thread
  tracefd trace -f -e trace=%file sh build   only calls that take a path
  tracefd trace -e 'trace=!read,write' cat   all but these two
  tracefd trace -Z ls /nowhere               only calls that fail
  tracefd trace -c -S calls git status       counts instead of lines
  tracefd trace -p 4711                      a running process, all its threads, until ^C
  tracefd trace -e inject=openat:error=ENOENT:when=3 ls    the third openat fails
  tracefd trace -D -o out.txt -- make        make has the caller as its parent; tracefd looks on from aside
  tracefd trace --stop-at connect curl ...   leave curl stopped before connect, for a debugger
  tracefd trace -f --format chrome -o make.json -- make    a picture for a trace viewer
  tracefd trace --backend sim race.prog      a program of the simulator
  tracefd trace -f --record run.rec make     lines now, and a recording
  tracefd trace -f -T -e trace=%file --backend replay:run.rec   the same run, shown otherwise

^C goes to the command, as without tracefd; twice within two seconds, it ends tracefd and the command goes on. \
After -p, ^C leaves the processes as they were."
)]
pub struct TraceArgs {
    /// Trace children as well, from their first instruction; twice: each task to a file of its own, FILE.PID
    #[arg(short, long, action = ArgAction::Count, help_heading = "What is traced")]
    pub follow_forks: u8,

    /// Trace a running process, all its threads; may be given several times, or name several
    #[arg(short = 'p', long = "attach", value_name = "PID", value_parser = pids, help_heading = "What is traced")]
    pub attach: Vec<Vec<u32>>,

    /// Start the command with VAR=VALUE in its environment, or without VAR
    #[arg(
        short = 'E',
        long = "env",
        value_name = "VAR[=VALUE]",
        conflicts_with = "attach",
        help_heading = "What is traced"
    )]
    pub env: Vec<OsString>,

    /// Start the command as USER of /etc/passwd, with the groups of that user; for root
    #[arg(
        short = 'u',
        long = "user",
        value_name = "USER",
        conflicts_with = "attach",
        help_heading = "What is traced"
    )]
    pub user: Option<String>,

    /// The command takes tracefd's place, with its pid and its parent; tracefd goes on as a process that nobody waits for.
    /// Twice: in a process group of its own; three times: in a session of its own
    #[arg(short = 'D', action = ArgAction::Count, conflicts_with_all = ["attach", "seccomp_bpf", "stop_at"], help_heading = "How tracefd runs")]
    pub detached: u8,

    /// The same by name.
    #[arg(long, value_enum, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "grandchild", conflicts_with_all = ["attach", "seccomp_bpf", "stop_at"], hide = true)]
    pub daemonize: Option<Daemonize>,

    /// This is the tracer of the process that `-D` was given to.
    #[arg(skip)]
    pub tracer_of: Option<u32>,

    /// Processes die when tracefd does
    #[arg(long, conflicts_with = "attach", help_heading = "How tracefd runs")]
    pub kill_on_exit: bool,

    /// Let calls that are not selected pass without a stop, by a seccomp filter. Needs -f. The processes then die when
    /// tracefd does, since without it the selected calls would fail for ever
    #[arg(long, requires = "follow_forks", conflicts_with = "attach", help_heading = "How tracefd runs")]
    pub seccomp_bpf: bool,

    /// Let a process go when it executes another program
    #[arg(short = 'b', long, value_name = "execve", value_parser = ["execve"], conflicts_with_all = ["seccomp_bpf", "kill_on_exit"], help_heading = "What is traced")]
    pub detach_on: Option<String>,

    /// When ^C, SIGTERM and the like end tracefd: anywhere (or 1), waiting (2), never (3), never-tstp (4). Without this they
    /// go to the command
    #[arg(
        short = 'I',
        long,
        value_enum,
        value_name = "WHEN",
        hide_possible_values = true,
        help_heading = "How tracefd runs"
    )]
    pub interruptible: Option<Interruptible>,

    /// Where tracefd runs: on the core of the traced process, or where the system likes
    #[arg(
        long,
        value_enum,
        value_name = "WHERE",
        default_value = "follow",
        help_heading = "How tracefd runs"
    )]
    pub placement: Placement,

    /// The machine that runs it
    #[arg(
        long,
        value_parser = Backends,
        value_name = "MACHINE",
        default_value = "linux",
        help_heading = "What is traced"
    )]
    pub backend: BackendName,

    /// Write all that the machine reports and answers to FILE, for `--backend replay:FILE`
    ///
    /// Every call is recorded with all its arguments, strings up to 1024 bytes, whatever is shown; replays can show it with
    /// other options. The file has what the processes read and wrote: it is made readable for you alone.
    #[arg(long, value_name = "FILE", conflicts_with = "seccomp_bpf", help_heading = "What is traced")]
    pub record: Option<PathBuf>,

    /// Show only what EXPR says, or do it: trace=SET, signal=SET, status=SET, inject=SET:ACTION and others
    ///
    /// trace=SET: names, %file %desc %process %network %signal %memory, /PATTERN, all, none; `!` first: all but these. A SET
    /// alone means the same. signal=SET: names or numbers. status=SET: successful, failed, unfinished, unavailable, detached.
    /// inject=SET:ACTION: error=ERRNO or retval=N make the call not happen and return this; signal=SIG sends the task a signal
    /// at its entry; delay_enter=TIME and delay_exit=TIME hold it before and after, for microseconds or a number with ns, us, ms
    /// or s; when=FIRST, FIRST+, FIRST+STEP or FIRST..LAST picks calls, counted per task
    /// and call. fault=SET: inject, ENOSYS if no error
    /// is named. read=FDS, write=FDS: all bytes that go through these descriptors. abbrev=SET: calls whose structures are
    /// abbreviated; none is -v. raw=SET: calls whose arguments are plain words. quiet=attach,exit,thread-execve: what is not
    /// said. trace, signal, status, inject, fault, abbrev, raw, read, write and quiet are options of their own as well:
    /// --trace=SET.
    #[arg(short, long, value_name = "EXPR", help_heading = "What is shown")]
    pub expr: Vec<String>,

    /// The same by name.
    #[command(flatten)]
    pub named: Named,

    /// Values for what short options count.
    #[command(flatten)]
    pub longs: Longs,

    /// Only calls that succeeded
    #[arg(short = 'z', long, conflicts_with = "failed_only", help_heading = "What is shown")]
    pub successful_only: bool,

    /// Only calls that failed
    #[arg(short = 'Z', long, help_heading = "What is shown")]
    pub failed_only: bool,

    /// Leave the first process that is about to make one of these calls stopped there, and end
    #[arg(long, value_name = "SET", help_heading = "What is shown")]
    pub stop_at: Option<String>,

    /// Only calls with PATH among their arguments, or a descriptor of that file; may be given several times
    #[arg(short = 'P', long = "trace-path", value_name = "PATH", help_heading = "What is shown")]
    pub paths: Vec<PathBuf>,

    /// No line when a process joins; twice: nor when it ends; three times: nor when another thread's exec ends it
    #[arg(short, action = ArgAction::Count, help_heading = "What is shown")]
    pub quiet: u8,

    /// Print to FILE instead of standard error; `|COMMAND` or `!COMMAND`: to a command of the shell
    #[arg(short, long, value_name = "FILE", help_heading = "How it is shown")]
    pub output: Option<PathBuf>,

    /// Add to FILE instead of replacing it
    #[arg(short = 'A', long, requires = "output", help_heading = "How it is shown")]
    pub output_append_mode: bool,

    /// The form
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text", help_heading = "How it is shown")]
    pub format: FormatName,

    /// Colors
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto", num_args = 0..=1, require_equals = true, default_missing_value = "always", help_heading = "How it is shown")]
    pub color: ColorName,

    /// Longest string to show; paths are always whole
    #[arg(short, long, value_name = "N", default_value_t = 32, help_heading = "How it is shown")]
    pub string_limit: usize,

    /// Structures, lists and the environment in full
    #[arg(short, long = "no-abbrev", help_heading = "How it is shown")]
    pub verbose: bool,

    /// Strings that are not plain text in hexadecimal; twice: all strings
    #[arg(short = 'x', action = ArgAction::Count, help_heading = "How it is shown")]
    pub hex: u8,

    /// What descriptors refer to, beside their numbers; twice: with details of sockets and devices
    #[arg(short = 'y', action = ArgAction::Count, help_heading = "How it is shown")]
    pub fds: u8,

    /// Begin lines with the time of day; twice: with microseconds; three times: seconds since 1970
    #[arg(short = 't', action = ArgAction::Count, help_heading = "How it is shown")]
    pub times: u8,

    /// Begin lines with the time since the line before
    #[arg(short = 'r', help_heading = "How it is shown")]
    pub relative: bool,

    /// End lines with the time from the call's event to its end's
    #[arg(short = 'T', help_heading = "How it is shown")]
    pub spent: bool,

    /// There are no stack traces
    #[arg(short = 'k', long = "stack-traces", hide = true)]
    pub stacks: bool,

    /// Show the program counter
    #[arg(short = 'i', long = "instruction-pointer", help_heading = "How it is shown")]
    pub pc: bool,

    /// Show the number of the call
    #[arg(short = 'n', long = "syscall-number", help_heading = "How it is shown")]
    pub number: bool,

    /// The column of results
    #[arg(
        short = 'a',
        long = "columns",
        value_name = "COLUMN",
        default_value_t = 40,
        help_heading = "How it is shown"
    )]
    pub column: u16,

    /// Count calls, errors and time instead of printing lines
    #[arg(short = 'c', long = "summary-only", conflicts_with = "summary", help_heading = "Counting")]
    pub summary_only: bool,

    /// Count, and print lines as well
    #[arg(short = 'C', long, help_heading = "Counting")]
    pub summary: bool,

    /// Sort counts by time, min-time, max-time, avg-time, p50, p99, calls, errors, name or none
    #[arg(short = 'S', long = "summary-sort-by", value_name = "COLUMN", default_value = "time", value_parser = summary::order, help_heading = "Counting")]
    pub sort: Order,

    /// Columns: time-percent, total-time, avg-time, min-time, max-time, p50, p99, calls, errors, name
    #[arg(short = 'U', long, value_name = "COLUMNS", value_delimiter = ',', value_parser = summary::column, help_heading = "Counting")]
    pub summary_columns: Vec<Column>,

    /// Times by the clock on the wall; they always are
    #[arg(short = 'w', long, help_heading = "Counting")]
    pub summary_wall_clock: bool,

    /// The command and its arguments; with `--backend sim`, a program file
    #[arg(value_name = "CMD", trailing_var_arg = true, conflicts_with = "attach")]
    pub command: Vec<OsString>,
}

/// `12,34`, or what `pidof` prints.
fn pids(text: &str) -> Result<Vec<u32>, String> {
    let words = text.split(|letter: char| letter == ',' || letter.is_ascii_whitespace());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    let pid = |word: &&str| match word.parse() {
        Ok(pid @ 1..) => Ok(pid),
        _ => Err(format!("`{word}` is not a pid")),
    };
    if words.is_empty() { Err("there is no pid in it".to_owned()) } else { words.iter().map(pid).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn trace(words: &[&str]) -> Box<TraceArgs> {
        match Cli::parse_from([&["tracefd", "trace"], words, &["true"]].concat()).tool {
            Tool::Trace(args) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn completions_and_pages_have_every_option() {
        let mut command = Cli::command();
        command.build();
        let mut page = Vec::new();
        let tool = command.find_subcommand("trace").unwrap().clone();
        clap_mangen::Man::new(tool.clone()).render(&mut page).unwrap();
        let page = String::from_utf8(page).unwrap().replace("\\-", "-");
        let scripts = clap_complete::Shell::value_variants().iter().map(|&shell| {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "tracefd", &mut script);
            (shell, String::from_utf8(script).unwrap())
        });
        let scripts: Vec<_> = scripts.collect();
        let shown = tool.get_arguments().filter(|arg| !arg.is_hide_set() && !arg.is_positional());
        let mut count = 0;
        for arg in shown {
            count += 1;
            assert!(arg.get_help_heading().is_some() || arg.get_id() == "help" || arg.get_id() == "version");
            let long = arg.get_long().map(|long| format!("--{long}"));
            let short = arg.get_short().map(|short| format!("-{short}"));
            let name = long.or(short).unwrap();
            assert!(page.contains(&name), "{name} is not in the page");
            for (shell, script) in &scripts {
                let word = name.trim_start_matches('-');
                assert!(script.contains(word), "{name} is not completed by {shell}");
            }
        }
        assert!(count > 35, "{count} options");
    }

    #[test]
    fn long_forms_say_what_e_says() {
        let args = trace(&["-e", "read", "--trace=open", "--inject=close:error=EIO", "--quiet", "--read=3"]);
        let all = ["read", "trace=open", "read=3", "quiet=attach", "inject=close:error=EIO"];
        assert_eq!(args.expressions(), all);
        assert_eq!(trace(&["-I3"]).interruptible, Some(Interruptible::Never));
        assert_eq!(trace(&["-qqq"]).quiet, 3);
    }

    #[test]
    fn pids_are_separated_by_anything_that_separates() {
        assert_eq!(pids("12,34 5\n"), Ok(vec![12, 34, 5]));
        assert!(pids("0").is_err() && pids("1,x").is_err() && pids(" ").is_err());
    }
}
