//! What the options of `trace` mean together: combinations that are refused, where text goes, which view makes it.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use kernel_model::abi::{Errno, Signal, Status};
use nix::errno::Errno as SystemErrno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{getpgid, getpgrp, getppid, getsid};

use crate::cli::{BackendName, ColorName, FormatName, TraceArgs};
use crate::decode::Show;
use crate::failure::Failure;
use crate::format::chrome::Chrome;
use crate::format::json::Json;
use crate::format::mermaid::Sequence;
use crate::format::states::States;
use crate::format::text::Text;
use crate::format::xv6::Listing;
use crate::output::Output;
use crate::qualify::{Qualifiers, Quiet, Set};
use crate::select::Selection;
use crate::signals::Signals;
use crate::tables::Calls;
use crate::trace::Options;
use crate::trace::follow::LeftAt;
use crate::trace::moment::Times;
use crate::trace::print::{Prefix, Style};
use crate::trace::summary::{Counting, DEFAULT, Layout};
use crate::trace::view::View;
use crate::trace::whole::Source;

/// Options that have no meaning, alone or together.
pub fn refuse(args: &TraceArgs) -> Result<(), Failure> {
    let usage = |text: &str| Err(Failure::Usage(text.to_owned()));
    let counts = args.summary_only || args.summary;
    if args.user.is_some() && args.backend == BackendName::Sim {
        return usage("-u: programs of the simulator have no users by name");
    }
    if args.daemon().is_some() && args.backend != BackendName::Linux {
        return usage("-D: only a process of this system can take tracefd's place");
    }
    if args.stacks {
        return usage(
            "-k: there are no stack traces; `--stop-at CALL` leaves the process for a debugger, which has them",
        );
    }
    if args.detach_on.is_some() && (args.record.is_some() || args.backend.is_replay()) {
        return usage("-b execve: a recording has processes to their end; leave it out");
    }
    if args.command.is_empty() && args.attach.is_empty() && !args.backend.is_replay() {
        return usage("no command; give CMD, or -p PID");
    }
    if args.backend.is_replay() {
        if !args.command.is_empty() {
            return usage("a recording has its command; give options only");
        }
        if args.record.is_some() {
            return usage("--record: it is a recording already; copy the file");
        }
        if args.stop_at.is_some() || args.seccomp_bpf {
            return usage("--stop-at and --seccomp-bpf act on processes; a recording has none");
        }
    }
    if args.record.is_some() && args.stop_at.is_some() {
        return usage("--record ends with the command; --stop-at leaves it before its end");
    }
    if args.stop_at.is_some() && args.backend == BackendName::Sim {
        return usage("--stop-at leaves a process for a debugger; one of the simulator ends with tracefd");
    }
    if per_task(args) && to_command(args).is_some() {
        return usage("-ff writes one file per task; it has no output to a command");
    }
    if args.backend == BackendName::Sim && args.expressions().iter().any(|rule| rule.contains(":delay_e")) {
        return usage(
            "delay_enter and delay_exit: time does not pass in the simulator while everybody waits",
        );
    }
    if !args.paths.is_empty() && (args.record.is_some() || args.backend.is_replay()) {
        return usage(
            "-P: which file a descriptor is of is not recorded for every call; leave it out, and search the lines",
        );
    }
    if per_task(args) && (counts || args.format != FormatName::Text) {
        return usage("-ff writes one file of lines per task; it goes with neither -c, -C nor --format");
    }
    if args.summary && args.format != FormatName::Text {
        return usage("-C adds a table to lines of text; with --format, count by -c alone");
    }
    if args.summary_only && args.format != FormatName::Text {
        return usage("-c prints nothing but the table; it has no --format");
    }
    Ok(())
}

/// What a recording cannot answer, said of these options.
pub fn unrecorded(args: &TraceArgs, failure: Failure) -> Failure {
    match failure {
        Failure::Kernel { errno: Errno::ENODATA, .. } if args.backend.is_replay() => Failure::Machine(
            "the recording does not have what these options need, from here on; -f and -e inject= have to be those \
             of the recording"
                .to_owned(),
        ),
        other => other,
    }
}

/// `-ff -o FILE`; without a file it is `-f`.
fn per_task(args: &TraceArgs) -> bool {
    (args.follow_forks > 1 || args.longs.output_separately) && args.output.is_some()
}

/// `-o '|COMMAND'` and `-o '!COMMAND'`.
fn to_command(args: &TraceArgs) -> Option<&str> {
    args.output.as_ref()?.to_str()?.strip_prefix(['|', '!'])
}

/// What is traced, shown and done.
pub fn options(args: &TraceArgs, calls: Calls) -> Result<Options, Failure> {
    let usage = |text: String| Failure::Usage(text);
    let all = Qualifiers::parse(&args.expressions(), &calls).map_err(|bad| usage(bad.to_string()))?;
    let stop_at = match &args.stop_at {
        Some(set) => Some(Selection::of_set(set, &calls).map_err(|bad| usage(bad.to_string()))?),
        None => None,
    };
    Ok(Options {
        follow: args.follow_forks > 0,
        show: show(args),
        calls,
        select: all.trace,
        signals: all.signals,
        endings: endings(args, all.endings),
        abbreviated: all.abbreviated,
        raw: all.raw,
        read: all.read,
        written: all.written,
        paths: paths(&args.paths),
        rules: all.rules,
        stop_at,
        kill_on_exit: args.kill_on_exit,
        leaves_at_exec: args.detach_on.is_some(),
        whole: args.record.is_some() || args.backend.is_replay(),
        clock: Source::Own,
    })
}

/// As they are given, and without links, as descriptors name them.
fn paths(given: &[PathBuf]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for path in given {
        let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        all.push(path.as_os_str().as_bytes().to_vec());
        if real != *path {
            all.push(real.into_os_string().into_vec());
        }
    }
    all
}

/// How arguments are shown.
fn show(args: &TraceArgs) -> Show {
    Show {
        limit: args.string_limit,
        full: args.verbose,
        hex: args.longs.hex(args.hex),
        fds: args.longs.fds(args.fds),
        raw: false,
    }
}

/// `-z` and `-Z` win. They are constants, which parse.
fn endings(args: &TraceArgs, said: Set) -> Set {
    let word = match (args.successful_only, args.failed_only) {
        _ if args.summary_only => "all", // as in strace, every call counts
        (true, _) => "successful",
        (_, true) => "failed",
        _ => return said,
    };
    Set::endings(word).unwrap_or(said)
}

/// Where text goes.
pub fn output(args: &TraceArgs) -> Result<Output, Failure> {
    match &args.output {
        _ if per_task(args) => Ok(Output::none()),
        None => Ok(Output::stderr()),
        Some(path) => match to_command(args) {
            Some(command) => Output::command(command),
            None => Output::file(path, args.output_append_mode),
        }
        .map_err(|cause| Failure::Output { path: path.display().to_string(), cause }),
    }
}

/// What makes text.
pub fn view(args: &TraceArgs, output: &Output) -> Box<dyn View> {
    let lines: Box<dyn View> = match args.format {
        FormatName::Text if args.summary_only => return counting(args, output, None),
        FormatName::Text => Box::new(text(args, output)),
        FormatName::Json => Box::new(Json::new(output.clone())),
        FormatName::Chrome => Box::new(Chrome::new(output.clone())),
        FormatName::Mermaid => Box::new(Sequence::new(output.clone())),
        FormatName::MermaidState => Box::new(States::new(output.clone())),
        FormatName::Xv6 => Box::new(Listing::new(output.clone())),
    };
    if args.summary { counting(args, output, Some(lines)) } else { lines }
}

fn counting(args: &TraceArgs, output: &Output, behind: Option<Box<dyn View>>) -> Box<dyn View> {
    let counting = Counting::new(behind).quiet(text_quiet(args).joins);
    let columns =
        if args.summary_columns.is_empty() { DEFAULT.to_vec() } else { args.summary_columns.clone() };
    output.at_end(counting.at_end(Layout { columns, order: args.sort }));
    Box::new(counting)
}

fn text(args: &TraceArgs, output: &Output) -> Text {
    let (to_file, attached) = (args.output.is_some(), !args.attach.is_empty() || args.daemon().is_some());
    let times = Times {
        clock: args.longs.clock(args.times),
        relative: args.longs.relative(args.relative),
        spent: args.longs.spent(args.spent),
    };
    let prefix = match (to_file, args.follow_forks > 0 || attached) {
        _ if per_task(args) => Prefix::Never,
        (true, true) => Prefix::Always,
        (false, true) => Prefix::Several,
        (_, false) => Prefix::Never,
    };
    let style = Style {
        prefix,
        times,
        number: args.number,
        pc: args.pc,
        column: args.column.into(),
        color: color(args, output),
    };
    let quiet = text_quiet(args);
    let text = match &args.output {
        Some(path) if per_task(args) => Text::per_task(output.clone(), PathBuf::from(path), style, quiet),
        _ => Text::new(output.clone(), style, quiet, to_file),
    };
    let filtered = args.successful_only
        || args.failed_only
        || args.expressions().iter().any(|expression| expression.starts_with("status="));
    if filtered { text.joined() } else { text }
}

/// strace's rule: nobody watches a file, and what the tool started needs no announcement.
fn text_quiet(args: &TraceArgs) -> Quiet {
    let announced = args.output.is_none() || !args.attach.is_empty();
    let said = Qualifiers::parse_quiet(&args.expressions()).unwrap_or(Quiet::times(args.quiet));
    Quiet { joins: said.joins || !announced, ..said }
}

/// NO_COLOR: <https://no-color.org>, any value that is not empty.
fn color(args: &TraceArgs, output: &Output) -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    match args.color {
        ColorName::Always => true,
        ColorName::Never => false,
        ColorName::Auto => {
            output.is_watched() && set("NO_COLOR").is_none() && set("TERM").is_some_and(|term| term != "dumb")
        }
    }
}

/// Says what was left stopped, and how to go on. Answers the tool's exit status.
///
/// The end of a parent can orphan a process group, and then the kernel ends what is stopped in it (setpgid(2): SIGHUP,
/// SIGCONT). Where that would happen, as for a shell's job, the tool stays until the command ends.
pub fn left(left: &LeftAt, signals: &Signals) -> Status {
    let LeftAt { pid, call, root } = left;
    let stays = root.filter(|_| would_orphan());
    let rest =
        if stays.is_some() { "; tracefd waits for it, because its end would end a stopped job" } else { "" };
    put!(
        &mut std::io::stderr(),
        "tracefd: process {pid} is stopped before {call}; `gdb -p {pid}` takes it over, `kill -CONT {pid}` lets it go on{rest}\n"
    );
    let Some(root) = stays else { return Status::exited(0) };
    if root == *pid {
        signals.root_stopped(); // ^Z stops the tool as well
    }
    loop {
        match waitpid(nix::unistd::Pid::from_raw(root.0 as i32), None) {
            Ok(WaitStatus::Exited(_, code)) => return Status::exited(code as u8),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Status::killed(Signal(signal as u8)),
            Ok(_) | Err(SystemErrno::EINTR) => {}
            Err(_) => return Status::exited(0),
        }
    }
}

/// Whether this process is what ties its group to its session: its parent is of another group of the same session.
fn would_orphan() -> bool {
    let parent = getppid();
    getpgid(Some(parent)).is_ok_and(|group| group != getpgrp()) && getsid(Some(parent)) == getsid(None)
}
