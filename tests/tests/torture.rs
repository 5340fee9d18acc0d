//! Torture on Linux: what processes can do to themselves, to each other and to their tracer. The oracle is the process's own
//! result untraced: words, statuses, and what it leaves behind.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use backend_linux::Linux;
use conformance::cell::{Cell, Ended};
use conformance::elf::write_program;
use conformance::harness::{Outcome, Suite, ensure, same};
use conformance::needs::Need;
use conformance::tracer::{own_program, tracing};
use fastrand::Rng;
use kernel_model::abi::{Errno, OpenFlags, Pid, PtraceFlags};
use kernel_model::client::Trace;
use kernel_model::kernel::{Kernel, Policy};
use kernel_model::local::Local;

/// Subcommands of the guest program, and what they need.
const ACTS: [(&str, &[&str], &[Need]); 15] = [
    ("storm", &["torture", "storm"], &[]),
    ("races", &["torture", "races"], &[]),
    ("kills", &["torture", "kills"], &[]),
    ("churn", &["torture", "churn"], &[]),
    ("bomb", &["torture", "bomb"], &[]),
    ("tracers", &["torture", "tracers"], &[]),
    ("namespace", &["torture", "namespace"], &[Need::Root]),
    ("deaf", &["torture", "deaf"], &[]),
    ("closed", &["torture", "closed"], &[]),
    ("filtered", &["torture", "filtered"], &[]),
    ("set_uid", &["torture", "setuid"], &[Need::Root]),
    ("undumpable", &["torture", "undumpable"], &[Need::Root]),
    ("vforks", &["torture", "vforks"], &[]),
    ("same_pid", &["torture", "same-pid"], &[Need::Root]),
    ("threads", &["threads", "2000"], &[]),
];

/// How it is traced: every call shown; births, signals and ends only; under a filter.
const MANNERS: [(&str, &[&str]); 3] =
    [("calls", &[]), ("births", &["-e", "trace=none"]), ("pushed", &["--seccomp-bpf", "-e", "trace=openat"])];

fn main() -> std::process::ExitCode {
    let mut suite = Suite::new("torture");
    for (name, args, needs) in ACTS {
        for (manner, options) in MANNERS {
            // 2,000 threads make a quarter of a million calls' stops: once is enough, and not that way.
            if (name, manner) != ("threads", "calls") {
                suite.test(&format!("{name}_{manner}"), needs, move || torture(name, args, options));
            }
        }
    }
    suite.test("dying_while_attached", &[], dying_while_attached);
    suite.test("killed_while_attached", &[], killed_while_attached);
    suite.run()
}

fn run(dir: &Path, args: &[&str], trace: Option<&[&str]>) -> std::io::Result<Ended> {
    let guest = own_program("guest");
    let cmd: Vec<String> = [&*guest].iter().chain(args).map(|&word| word.to_owned()).collect();
    let cmd = trace.map_or(cmd.clone(), |options| tracing(&dir.join("trace"), options, &cmd));
    Cell::at(dir).run(&cmd)
}

fn torture(name: &str, args: &[&str], options: &[&str]) -> Outcome {
    let scratch = tempfile::tempdir()?;
    let dir = scratch.path();
    // Another user must get through to it.
    std::fs::set_permissions(dir, PermissionsExt::from_mode(0o755))?;
    write_program(&dir.join("set-uid"), &std::fs::read(own_program("guest"))?)?;
    std::fs::set_permissions(dir.join("set-uid"), PermissionsExt::from_mode(0o4755))?;
    let untraced = run(dir, args, None)?;
    let traced = run(dir, args, Some(options))?;
    let told = |ended: &Ended| apart_from_rows(name, &ended.text());
    same("what it shows", &told(&untraced), &told(&traced))?;
    ensure(untraced.status == "exited 0", || format!("it fails by itself: {}", untraced.text()))?;
    ensure(traced.said("left").is_empty(), || format!("left behind: {:?}", traced.said("left")))
}

/// Without what the divergence rows of RFC 0003 are about.
fn apart_from_rows(name: &str, text: &str) -> String {
    match name {
        // Who is traced by us cannot be traced by another.
        "tracers" => text.replace("exited 32", "exited 31").replace("EPERM", "()"),
        _ => text.to_owned(),
    }
}

fn start(args: &[&str]) -> std::io::Result<Child> {
    let mut command = Command::new(own_program("guest"));
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()
}

/// How it ended; `None`: the session, whose process is the parent's, too, has had its end (RFC 0003, section 3).
fn ended(mut child: Child) -> std::io::Result<Option<(Option<i32>, Option<i32>)>> {
    match child.wait() {
        Ok(status) => Ok(Some((status.code(), status.signal()))),
        Err(error) if error.raw_os_error() == Some(Errno::ECHILD.0) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens, lets go, closes; whichever step finds it gone says so.
fn pass_by(local: &Local<Linux>, pid: u32, flags: OpenFlags) -> Result<bool, Errno> {
    let client = local.client(backend_linux::caller());
    let visit = || -> Result<(), Errno> {
        let trace = Trace::open(&client, Pid(pid), flags)?;
        trace.resume(PtraceFlags::STOP_PRE_SYSCALL)?;
        trace.next()?;
        trace.regs()?.int()?;
        trace.close()
    };
    match visit() {
        Ok(()) => Ok(true),
        Err(Errno::ESRCH) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Programs that end at once, attached to at all moments of their lives, the last included.
fn dying_while_attached() -> Outcome {
    let local = Local::new(Kernel::new(Linux::new(), Policy::SameUser));
    let mut rng = Rng::with_seed(7);
    let (mut met, mut missed) = (0, 0);
    for round in 0..200 {
        let code = round % 100;
        let child = start(&["exit", &code.to_string()])?;
        for turn in 0..rng.u32(0..200_000) {
            std::hint::black_box(turn);
        }
        let flags = if round % 2 == 0 { OpenFlags::O_TRUNC } else { OpenFlags::empty() };
        let was_there =
            pass_by(&local, child.id(), flags).map_err(|errno| format!("round {round}: {errno:?}"))?;
        if was_there {
            met += 1
        } else {
            missed += 1
        }
        let end = ended(child)?;
        ensure(end.is_none_or(|end| end == (Some(code), None)), || format!("round {round}: {end:?}"))?;
    }
    ensure(met > 0, || format!("met {met}, missed {missed}"))
}

/// Sleepers, killed from another thread while somebody attaches.
fn killed_while_attached() -> Outcome {
    let local = Local::new(Kernel::new(Linux::new(), Policy::SameUser));
    let mut rng = Rng::with_seed(8);
    for round in 0..200 {
        let mut child = start(&["attachee", "1"])?;
        let (pid, turns) = (child.id(), rng.u32(0..60_000));
        let killer = std::thread::spawn(move || {
            for turn in 0..turns {
                std::hint::black_box(turn);
            }
            conformance::sys::kill(pid as i32, libc::SIGKILL)
        });
        let passed =
            pass_by(&local, pid, if round % 2 == 0 { OpenFlags::O_TRUNC } else { OpenFlags::empty() });
        let killed = killer.join().map_err(|_| "the killer panicked")?;
        ensure(passed.is_ok(), || format!("round {round}: {passed:?}"))?;
        // It cannot have ended by itself.
        ensure(killed.is_ok(), || format!("round {round}: {killed:?}"))?;
        drop(child.stdin.take());
        let end = ended(child)?;
        ensure(end.is_none_or(|end| end == (None, Some(9))), || format!("round {round}: {end:?}"))?;
    }
    Ok(())
}
