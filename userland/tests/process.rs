//! The tool as a process: how it dies, and what signals do to it. Each test runs this executable again in a role.
//!
//! Without the usual harness: its main thread would not have the signals blocked, and die of them.

mod heard;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use kernel_model::abi::{Signal, Status};
use nix::sys::signal::{self, kill};
use nix::unistd::Pid;
use userland::ending;
use userland::output::Output;
use userland::signals::{self, Mode, Signals};

const ROLE: &str = "TRACEFD_TEST_ROLE";

/// This executable in a role. Its stdout says `ready` when it is; its stdin ends it if nothing else does.
fn start(role: &str) -> Child {
    let mut child = heard::program(std::env::current_exe().unwrap());
    child.env(ROLE, role);
    child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn ready(child: &mut Child) {
    let stdout = BufReader::new(child.stdout.as_mut().unwrap());
    assert!(stdout.lines().any(|line| line.unwrap().contains("ready")), "it says so");
}

fn send(child: &Child, signal: signal::Signal) {
    kill(Pid::from_raw(child.id() as i32), signal).unwrap();
}

/// What it wrote to stderr, and how it ended.
fn end(mut child: Child) -> (String, ExitStatus) {
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    (text, child.wait().unwrap())
}

fn say_ready() {
    std::io::stdout().write_all(b"ready\n").unwrap();
}

fn wait_for_stdin() {
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn main() {
    if let Ok(role) = std::env::var(ROLE) {
        in_a_role(&role);
    }
    death_by_a_signal_is_repeated_and_leaves_no_core();
    attached_each_of_these_ends_it_at_once_with_whole_lines();
    spawned_the_terminals_signals_are_the_commands_business();
    eprintln!("test result: ok. 3 passed");
}

fn in_a_role(role: &str) -> ! {
    if let Some(number) = role.strip_prefix("dies of ") {
        ending::like(Status(number.parse().unwrap()));
        std::process::exit(99);
    }
    // Before the mask changes: std's children inherit it. (Those of backend-linux do not.)
    let mut command = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let open = command.stdin.take(); // wait would close it, and cat would end
    let waited = signals::block(0);
    let output = Output::stderr();
    output.put(b"read(0");
    match role {
        "attached" => {
            let _signals = Signals::start(waited, Mode::Attached, output);
            say_ready();
            wait_for_stdin();
        }
        "spawned" => {
            let signals = Signals::start(waited, Mode::Spawned { real: true }, output);
            signals.root_is(command.id());
            say_ready();
            let status = command.wait().unwrap();
            ending::like(Status(status.into_raw() as u32));
        }
        _ => unreachable!("no such role"),
    }
    drop(open);
    std::process::exit(98);
}

fn death_by_a_signal_is_repeated_and_leaves_no_core() {
    for signal in
        [Signal::SEGV, Signal::PIPE, Signal::TERM, Signal::KILL, Signal::INT, Signal::ABRT, Signal(34)]
    {
        let (_, status) = end(start(&format!("dies of {}", signal.0)));
        assert_eq!(status.signal(), Some(i32::from(signal.0)), "{signal}");
        assert!(!status.core_dumped(), "{signal}");
    }
}

fn attached_each_of_these_ends_it_at_once_with_whole_lines() {
    use signal::Signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
        let mut child = start("attached");
        ready(&mut child);
        send(&child, signal);
        let (text, status) = end(child);
        assert_eq!(status.signal(), Some(signal as i32));
        assert_eq!(text, "read(0 <detached ...>\n");
    }
}

fn spawned_the_terminals_signals_are_the_commands_business() {
    let mut child = start("spawned");
    ready(&mut child);
    send(&child, signal::Signal::SIGINT);
    send(&child, signal::Signal::SIGQUIT);
    // Taken one after another by one thread: when this one is passed on, the others have been ignored.
    send(&child, signal::Signal::SIGTERM);
    let (_, status) = end(child);
    assert_eq!(
        status.signal(),
        Some(signal::Signal::SIGTERM as i32),
        "the command died of it, and so did the tool"
    );
}
