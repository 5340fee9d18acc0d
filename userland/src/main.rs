//! The binary: reads the command line, makes the machine, runs the tool, ends as the traced command did.

#![forbid(unsafe_code)]

mod machines;

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use kernel_model::abi::{Pid, Status};
use kernel_model::scheme::Program;
use userland::cli::{BackendName, Cli, Interruptible, Tool, TraceArgs};
use userland::failure::Failure;
use userland::launch::{self, Command};
use userland::sets;
use userland::signals::{self, Mode, Signals};
use userland::trace::{self, End, Target};
use userland::{ending, setup};

use machines::{Backend, calls, with_host};

fn main() -> ExitCode {
    match Cli::parse().tool {
        Tool::Trace(args) => match trace(&args) {
            Ok(status) => ending::like(status),
            Err(failure) => ending::failed("trace", &failure),
        },
        Tool::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "tracefd", &mut script);
            show(&script)
        }
        Tool::Man { tool } => manual(tool.as_deref()),
    }
}

fn trace(args: &TraceArgs) -> Result<Status, Failure> {
    setup::refuse(args)?;
    let (backend, target) = machine_and_target(args)?;
    let calls = calls(&backend);
    let options = setup::options(args, calls)?;
    // Before the first thread: they inherit the mask.
    let waited = signals::block();
    let output = setup::output(args)?;
    output.keep_flushed();
    let attached = !args.attach.is_empty();
    let mode = match args.interruptible {
        Some(Interruptible::Anywhere | Interruptible::Waiting) => Mode::Fatal,
        Some(Interruptible::Never) => Mode::Deaf { stops: true },
        Some(Interruptible::NeverTstp) => Mode::Deaf { stops: false },
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
    let end = with_host(backend, |host, ringer| {
        let host = sets::Filtered::new(host, wanted, args.seccomp_bpf);
        trace::run(&host, &target, &options, &mut *view, Some(&signals), Some(ringer))
    });
    drop(view);
    output.finish(" <unfinished ...>");
    match end? {
        End::Command(status) => Ok(status),
        End::Attached => Ok(Status::exited(0)),
        End::Left(left) => Ok(setup::left(&left, &signals)),
    }
}

fn machine_and_target(args: &TraceArgs) -> Result<(Backend, Target), Failure> {
    match args.backend {
        BackendName::Linux if args.attach.is_empty() => {
            let target = Target::Command(Command {
                words: args.command.clone(),
                search: std::env::var_os("PATH"),
                env: launch::environment(&args.env),
                user: args.user.as_deref().map(launch::user).transpose()?,
            });
            Ok((Backend::Linux(args.placement), target))
        }
        BackendName::Linux => Ok((
            Backend::Linux(args.placement),
            Target::Attach(args.attach.iter().copied().map(Pid).collect()),
        )),
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
