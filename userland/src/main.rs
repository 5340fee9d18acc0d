//! The binary: reads the command line, makes the machine, runs the tool, ends as the traced command did.

#![deny(unsafe_code)]

mod daemon;
mod machines;
mod sys;

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use kernel_model::abi::{Errno, Pid, Status};
use kernel_model::scheme::Program;
use userland::cli::{BackendName, Cli, Interruptible, Placement, TraceArgs};
use userland::failure::Failure;
use userland::lab;
use userland::launch::{self, Command};
use userland::output::Output;
use userland::run::{self, args::RunArgs};
use userland::sets;
use userland::signals::{self, Mode, Signals};
use userland::tables::Calls;
use userland::tools::Tool;
use userland::trace::{self, End, Options, Target};
use userland::{ending, setup};

use daemon::Role;
use machines::{Backend, Record, calls, replay, with_host};

/// Notes of a recording: a word of the command, and a process that was attached to.
const WORD: &str = "word";
const PID: &str = "pid";
/// The process that became the command, after `-D`.
const DAEMON: &str = "daemon";

fn main() -> ExitCode {
    sys::look_names_up_in_files();
    match Cli::parse().tool {
        Tool::Trace(args) => match trace(*args) {
            Ok(status) => ending::like(status),
            Err(failure) => ending::failed("trace", &failure),
        },
        Tool::Lab(tool) => lab::run(&tool).unwrap_or_else(|failure| ending::failed("lab", &failure)),
        Tool::Run(args) => match run(*args) {
            Ok(status) => ending::like(status),
            Err(failure) => ending::failed("run", &failure),
        },
        Tool::Completions(wanted) => {
            let mut script = Vec::new();
            clap_complete::generate(wanted.shell, &mut Cli::command(), "tracefd", &mut script);
            show(&script)
        }
        Tool::Man(wanted) => manual(wanted.tool.as_deref()),
    }
}

fn trace(mut args: TraceArgs) -> Result<Status, Failure> {
    setup::refuse(&args)?;
    match (args.daemon(), daemon::role()) {
        (Some(_), Role::First) => {
            setup::options(&args, Calls::linux())?;
            return daemon::stand_aside(&command(&args)?);
        }
        (Some(_), Role::Between(pid)) => return daemon::between(pid),
        (Some(_), Role::Tracer(pid)) => args.tracer_of = Some(pid),
        (None, _) => {}
    }
    let (backend, target) = machine_and_target(&mut args)?;
    let args = &args;
    let calls = calls(&backend);
    let options = setup::options(args, calls)?;
    // Before the first thread: they inherit the mask.
    let waited = signals::block(machines::ignored_at_start());
    let output = setup::output(args)?;
    let record = record(args, &output)?;
    output.keep_flushed();
    let attached = !args.attach.is_empty();
    let mode = match args.interruptible {
        Some(Interruptible::Anywhere | Interruptible::Waiting) => Mode::Fatal,
        Some(Interruptible::Never) => Mode::Deaf { stops: true },
        Some(Interruptible::NeverTstp) => Mode::Deaf { stops: false },
        None if args.tracer_of.is_some() => Mode::Deaf { stops: false },
        None if attached => Mode::Attached,
        None => Mode::Spawned { real: args.backend == BackendName::Linux },
    };
    let signals = Signals::start(waited, mode, output.clone());
    let wanted = sets::select(&options.calls, |abi, number| options.needs(abi, number));
    if args.seccomp_bpf && args.backend == BackendName::Linux && sets::costs_privileges() {
        eprintln!(
            "tracefd: --seccomp-bpf without privileges: set-uid programs run without theirs (no_new_privs)"
        );
    }
    let mut view = setup::view(args, &output);
    let (end, played) = with_host(backend, record, |host, clock, ringer| {
        let host = sets::Filtered::new(host, wanted, args.seccomp_bpf);
        let options = Options { clock, ..options };
        trace::run(&host, &target, &options, &mut *view, Some(&signals), Some(ringer))
    });
    drop(view);
    let left = played.left && matches!(end, Err(Failure::Kernel { errno: Errno::ENODATA, .. }));
    output.finish(if left { " <detached ...>" } else { " <unfinished ...>" });
    if left {
        return Ok(Status::exited(0));
    }
    if let (Some(damage), BackendName::Replay(path)) = (played.damage, &args.backend) {
        return Err(Failure::Recording {
            path: path.display().to_string(),
            cause: damage.to_string(),
            shown: true,
        });
    }
    match end.map_err(|failure| setup::unrecorded(args, failure))? {
        End::Command(status) => Ok(status),
        End::Attached => Ok(Status::exited(0)),
        End::Left(left) => Ok(setup::left(&left, &signals)),
    }
}

fn run(args: RunArgs) -> Result<Status, Failure> {
    // Before the first thread, and mounts may have some: they inherit the mask.
    let waited = signals::block(machines::ignored_at_start());
    let (mounts, restrictions) = (args.mounts()?, args.restrictions()?);
    let RunArgs { cwd: dir, command: words, warn_unknown, .. } = args;
    let signals = Signals::start(waited, Mode::Spawned { real: true }, Output::none());
    let options = run::Options { mounts, dir, words, warn_unknown, restrictions };
    let backend = Backend::Linux(Placement::Follow);
    with_host(backend, None, |host, _, ringer| run::run(host, options, ringer, Some(&signals))).0
}

/// Where `--record` goes, and what a replay has to know of the command line.
fn record(args: &TraceArgs, output: &Output) -> Result<Option<Record>, Failure> {
    let Some(path) = &args.record else { return Ok(None) };
    let to = output
        .raw_beside(path, kernel_model::replay::left)
        .map_err(|cause| Failure::Output { path: path.display().to_string(), cause })?;
    let words = args.command.iter().filter(|_| args.backend == BackendName::Linux);
    let words = words.map(|word| (WORD.to_owned(), word.clone().into_vec()));
    let pids = args.attached().map(|pid| (PID.to_owned(), pid.to_string().into_bytes()));
    let daemon = args.tracer_of.map(|pid| (DAEMON.to_owned(), pid.to_string().into_bytes()));
    Ok(Some(Record { to, notes: words.chain(pids).chain(daemon).collect() }))
}

/// What was traced, as it was then.
fn recorded(path: &Path, args: &mut TraceArgs) -> Result<(Backend, Target), Failure> {
    let failure = |cause| Failure::Recording { path: path.display().to_string(), cause, shown: false };
    let mut replay = replay(path).map_err(failure)?;
    let header = replay.header();
    let words = header.notes(WORD).map(|word| OsString::from_vec(word.to_vec())).collect();
    let number = |pid: &[u8]| std::str::from_utf8(pid).ok()?.parse().ok();
    args.attach = header.notes(PID).filter_map(number).map(|pid| vec![pid]).collect();
    let daemon = header.notes(DAEMON).find_map(number);
    let target = if let Some(pid) = daemon {
        args.detached = 1;
        Target::Waiting { pid: Pid(pid), traced: Box::new(|| {}) }
    } else if args.attach.is_empty() {
        let Some(program) = replay.program() else {
            let cause = match replay.finish() {
                Some(damage) => damage.to_string(),
                None => "no program was started in it".to_owned(),
            };
            return Err(failure(cause));
        };
        Target::Recorded { program, words }
    } else {
        Target::Attach(args.attached().map(Pid).collect())
    };
    Ok((Backend::Replay(Box::new(replay)), target))
}

fn command(args: &TraceArgs) -> Result<Command, Failure> {
    Ok(Command {
        words: args.command.clone(),
        search: std::env::var_os("PATH"),
        env: launch::environment(&args.env),
        user: args.user.as_deref().map(launch::user).transpose()?,
    })
}

fn machine_and_target(args: &mut TraceArgs) -> Result<(Backend, Target), Failure> {
    match args.backend.clone() {
        BackendName::Replay(path) => recorded(&path, args),
        BackendName::Linux if args.attach.is_empty() => {
            let target = match (args.tracer_of, args.daemon()) {
                (Some(pid), Some(how)) => daemon::tracer(pid, how),
                _ => Target::Command(command(args)?),
            };
            Ok((Backend::Linux(args.placement), target))
        }
        BackendName::Linux => {
            Ok((Backend::Linux(args.placement), Target::Attach(args.attached().map(Pid).collect())))
        }
        BackendName::Sim => {
            let Some(file) = args.command.first() else {
                return Err(Failure::Usage(
                    "the simulator starts with its program: give a FILE, not -p".to_owned(),
                ));
            };
            let program = std::fs::read_to_string(file)
                .map_err(|cause| Failure::Input { path: file.to_string_lossy().into_owned(), cause })?;
            let env = launch::environment(&args.env);
            let args = args.command.iter().cloned().map(OsString::into_vec).collect();
            let (machine, name) = Backend::simulator(&program)
                .map_err(|cause| Failure::Program { path: file.to_string_lossy().into_owned(), cause })?;
            Ok((
                machine,
                Target::Program(Program { path: name.into_bytes(), args, env, ..Program::default() }),
            ))
        }
    }
}

fn manual(tool: Option<&str>) -> ExitCode {
    let mut command = Cli::command();
    command.build();
    let wanted = match tool {
        None => Some(command),
        Some(tool) => command.find_subcommand(tool).cloned(),
    };
    let Some(wanted) = wanted else {
        let names: Vec<_> = Cli::command().get_subcommands().map(|tool| tool.get_name().to_owned()).collect();
        let failure = Failure::Usage(format!("no such tool; there are: {}", names.join(", ")));
        return ending::failed("man", &failure);
    };
    let mut page = Vec::new();
    match clap_mangen::Man::new(wanted).render(&mut page) {
        Ok(()) => show(&page),
        Err(cause) => ending::failed("man", &Failure::Output { path: "the manual page".to_owned(), cause }),
    }
}

/// To standard output, which belongs to no traced command here.
fn show(text: &[u8]) -> ExitCode {
    match io::stdout().write_all(text).and_then(|()| io::stdout().flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS, // the reader has had enough
        Err(cause) => ending::failed("show", &Failure::Output { path: "standard output".to_owned(), cause }),
    }
}
