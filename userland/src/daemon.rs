//! `-D`: the command takes this process's place, with its pid and its parent, and the tracer is a grandchild of it.
//!
//! [`stand_aside`] starts the same tool again and waits on a pipe; that one, in [`between`], starts it once more and ends, so
//! that the command has no child that it did not make. The third is the [`tracer`]: it attaches, says so through the pipe,
//! which is its standard input, and the first becomes the command. All of them are given the same words, and each its [`Role`].

use std::convert::Infallible;
use std::fs::File;
use std::io::{Read, Write, pipe};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, id};

use kernel_model::abi::{Pid, Status};
use nix::unistd::{Pid as SystemPid, dup2_stdin, setpgid, setsid};
use userland::cli::Daemonize;
use userland::failure::Failure;
use userland::launch;
use userland::trace::Target;

use crate::machines;

/// What the tracer says once it has attached.
const TRACED: u8 = 1;

/// Which of the three this is. The command's pid and the role are in the name that the tool was started by: no option, which
/// people would be offered.
pub(crate) enum Role {
    /// The one that was asked for.
    First,
    /// The one that ends at once.
    Between(u32),
    /// The one that stays.
    Tracer(u32),
}

const BETWEEN: &str = "tracefd: between, for ";
const TRACER: &str = "tracefd: tracer of ";

/// See [`Role`].
pub(crate) fn role() -> Role {
    let name = std::env::args_os().next().unwrap_or_default();
    let pid = |role| name.to_str()?.strip_prefix(role)?.parse().ok();
    match (pid(BETWEEN), pid(TRACER)) {
        (Some(command), _) => Role::Between(command),
        (_, Some(command)) => Role::Tracer(command),
        (None, None) => Role::First,
    }
}

/// The tool again, with the same words.
fn again(role: &str, command: u32) -> Command {
    let mut tool = Command::new("/proc/self/exe");
    tool.arg0(format!("{role}{command}")).args(std::env::args_os().skip(1));
    tool
}

fn failed(doing: &str, cause: &std::io::Error) -> Failure {
    Failure::Machine(format!("-D: {doing}: {cause}"))
}

/// Has a tracer started, then becomes the command. Returns only where that is not possible; where the tracer could not do
/// its part, it has said why.
pub(crate) fn stand_aside(command: &launch::Command) -> Result<Status, Failure> {
    launch::first(command, |_| Ok(()))?; // what is nowhere needs no tracer
    let (mut told, tell) = pipe().map_err(|cause| failed("making a pipe", &cause))?;
    machines::allow_tracers();
    let mut child = again(BETWEEN, id());
    let started = child.stdin(tell).spawn();
    drop(child); // the pipe's other end is the tracer's alone
    let mut started = started.map_err(|cause| failed("starting the tracer", &cause))?;
    let _ = started.wait(); // ECHILD where SIGCHLD is ignored; the pipe says all that matters
    let mut byte = [0];
    if !told.read(&mut byte).is_ok_and(|count| count == 1 && byte == [TRACED]) {
        return Ok(Status::exited(125));
    }
    drop(told);
    launch::first::<Infallible>(command, |program| Err(machines::become_program(program)))
        .map(|never| match never {})
}

/// Starts the tracer, and ends.
pub(crate) fn between(command: u32) -> Result<Status, Failure> {
    let started = again(TRACER, command).spawn();
    started.map(|_| Status::exited(0)).map_err(|cause| failed("starting the tracer", &cause))
}

/// What the tracer traces.
pub(crate) fn tracer(command: u32, how: Daemonize) -> Target {
    // Neither fails: this process was forked by one that led nothing.
    match how {
        Daemonize::Grandchild => {}
        Daemonize::Pgroup => drop(setpgid(SystemPid::from_raw(0), SystemPid::from_raw(0))),
        Daemonize::Session => drop(setsid()),
    }
    Target::Waiting { pid: Pid(command), traced: Box::new(traced) }
}

/// Lets the command go on. A pipe or a file that is the command's may end when it closes it, not when the tracer does.
fn traced() {
    let told = std::io::stdin().as_fd().try_clone_to_owned().map(File::from);
    let _ = told.and_then(|mut pipe| pipe.write_all(&[TRACED])); // if it is gone, so is its need to know
    if let Ok(nothing) = File::options().read(true).write(true).open("/dev/null") {
        let _ = dup2_stdin(&nothing);
    }
}
