//! What is promised when a tracer dies: it is killed with SIGKILL in every kind of stop, and at any moment of a busy
//! trace, and the guest goes on as if it had never been traced, or dies if that was asked for.
//!
//! And what a spawned program can see of how it was started. Without a harness, because this program starts itself
//! again: `tracer STOP DEATH PID` is the victim, `spawner ARGS…` starts a program and waits for it.

mod common;

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use common::{CALLS, Free, Tracer, guest, untraced};
use kernel_model::abi::IntRegisters;
use kernel_model::machine::{Demand, Machine, OnDeath, Pid, Program, RegSet, Report, Signal, Verdict, Wait};
use zerocopy::{FromZeros, IntoBytes};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[1..] {
        ["tracer", stop, death, pid] => trace(stop, death, pid.parse().unwrap()),
        ["spawner", ref program @ ..] => spawn(program),
        _ => test(),
    }
}

fn test() {
    let tests: [(&str, fn()); 8] = [
        ("a guest survives its tracer in every stop", survives_every_stop),
        ("a guest survives a busy tracer's death at any moment", survives_at_any_moment),
        ("a guest that is to die with its tracer does", dies_when_asked),
        ("divergence: a consumed signal is lost", consumed_signal_is_lost),
        ("divergence: a call at its entry is interrupted", entered_call_is_interrupted),
        ("a skipped call stays skipped", skipped_stays_skipped),
        ("a stopped job stays stopped", stays_stopped),
        ("a spawned program cannot tell", spawned_cannot_tell),
    ];
    for (name, test) in tests {
        test();
        eprintln!("test {name} ... ok");
    }
}

/// The victim: holds the task at `stop`, says so, and waits for its end.
fn trace(stop: &str, death: &str, pid: u32) {
    let on_death = if death == "kill" { OnDeath::Kill } else { OnDeath::Leave };
    let mut tracer = Tracer::new();
    let task = tracer.machine.attach(Pid(pid), on_death).unwrap();
    let say = |word: &str| {
        std::io::stdout().write_all(word.as_bytes()).unwrap();
        std::io::stdout().flush().unwrap();
    };
    let demand = match stop {
        "running" => Demand::empty(),
        "entry" | "entry of epoll_wait" | "skip" => Demand::CALL_ENTRY,
        "exit" => Demand::CALL_EXIT,
        "signal" | "consumed" | "glanced" => Demand::SIGNAL,
        "step" => Demand::STEP,
        "trap" => Demand::TRAP,
        "born" => Demand::BORN,
        "image" => Demand::IMAGE,
        "exiting" => Demand::EXITING,
        "interrupt" => Demand::INTERRUPT,
        "job" => Demand::GROUP_STOP,
        "calls" => CALLS | Demand::BORN | Demand::SIGNAL,
        other => panic!("{other}"),
    };
    tracer.demand(task, demand);
    if stop == "interrupt" {
        tracer.machine.interrupt(task).unwrap();
    }
    // The guest is let go when it is being traced.
    say("t");
    while let Ok(Some((who, report))) = tracer.machine.next_stop(Wait::Block) {
        match stop {
            "calls" => tracer.pass(who, report),
            "entry of epoll_wait" if tracer.call(task).0 as i64 != libc::SYS_epoll_wait => tracer.go(task),
            "skip" if tracer.call(task).0 as i64 != libc::SYS_getppid => tracer.go(task),
            "job" => {
                tracer.go(task);
                say("s");
            }
            "skip" => {
                let mut regs = IntRegisters::new_zeroed();
                tracer.machine.read_regs(task, RegSet::Int, regs.as_mut_bytes()).unwrap();
                regs.rax = 123;
                tracer.set_regs(task, &regs);
                tracer.demand(task, Demand::CALL_EXIT);
                tracer.machine.resume(task, Verdict::Skip).unwrap();
                say("s");
                break;
            }
            // Waiting for more consumes what is held; a ring ends the wait.
            "consumed" => {
                tracer.machine.waker().unwrap().wake();
                assert_eq!(tracer.machine.next_stop(Wait::Block), Ok(None));
                say("s");
                break;
            }
            // A glance does not.
            "glanced" => {
                assert_eq!(tracer.machine.next_stop(Wait::Poll), Ok(None));
                say("s");
                break;
            }
            _ => {
                assert!(demand.contains(report.kind()) || report == Report::Interrupt);
                say("s");
                break;
            }
        }
    }
    loop {
        std::thread::park();
    }
}

/// A guest, and a victim that traces it.
fn watched(args: &[&str], stop: &str, death: &str) -> (Free, Child) {
    let free = Free::start(&[&["go"], args].concat());
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["tracer", stop, death, &free.pid().to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    hear(&mut victim, b't');
    (free, victim)
}

fn hear(victim: &mut Child, word: u8) {
    let mut byte = [0];
    victim.stdout.as_mut().unwrap().read_exact(&mut byte).unwrap();
    assert_eq!(byte[0], word);
}

fn end(mut victim: Child) {
    victim.kill().unwrap();
    assert_eq!(victim.wait().unwrap().signal(), Some(libc::SIGKILL));
}

/// A guest that runs, traced, and does so until SIGUSR1: one that could end by itself might do so before its tracer.
fn running(death: &str) -> (Free, Child) {
    let (mut free, victim) = watched(&["spin"], "running", death);
    free.go();
    assert_eq!(free.line(), "spins 1");
    (free, victim)
}

const STOPS: [(&str, &[&str]); 11] = [
    ("entry", &["getppid"]),
    ("exit", &["getppid"]),
    ("step", &["getppid"]),
    ("signal", &["raise", "10"]),
    ("glanced", &["raise", "10"]),
    ("trap", &["int3"]),
    ("born", &["fork"]),
    ("born", &["vfork"]),
    ("born", &["threads"]),
    ("exiting", &["exit", "6"]),
    ("interrupt", &["brief", "epoll_wait"]),
];

fn survives_every_stop() {
    let exec = ["exec", guest(), "exit", "6"];
    for (stop, args) in STOPS.into_iter().chain([("image", &exec[..])]) {
        let plain = untraced(args);
        let (mut free, mut victim) = watched(args, stop, "leave");
        free.go();
        hear(&mut victim, b's');
        end(victim);
        assert_eq!(free.finish(), plain, "{stop} {args:?}");
    }
    let (free, victim) = running("leave");
    end(victim);
    Tracer::new().signal(free.pid(), Signal::USR1);
    assert_eq!(free.finish(), ("usr1 1\n".into(), 4));
}

/// Calls, signals and births go by while the tracer is killed, sooner or later; no call and no signal may be missing.
fn survives_at_any_moment() {
    for args in [&["busy"][..], &["storm"], &["fork"], &["vfork"], &["threads"]] {
        let plain = untraced(args);
        for delay in 0..20 {
            let (mut free, victim) = watched(args, "calls", "leave");
            free.go();
            // Only spreads the moments; whichever it is, the outcome is one.
            for _ in 0..delay * 20 {
                std::thread::yield_now();
            }
            end(victim);
            assert_eq!(free.finish(), plain, "{args:?}");
        }
    }
}

fn dies_when_asked() {
    // One that is exiting has its status already.
    for (stop, args) in STOPS.into_iter().filter(|(stop, _)| *stop != "exiting") {
        let (mut free, mut victim) = watched(args, stop, "kill");
        free.go();
        hear(&mut victim, b's');
        end(victim);
        assert_eq!(free.child.wait().unwrap().signal(), Some(libc::SIGKILL), "{stop}");
    }
    let (mut free, victim) = running("kill");
    end(victim);
    assert_eq!(free.child.wait().unwrap().signal(), Some(libc::SIGKILL));
}

/// Divergence: a signal that is held while its tracer waits for other reports goes with the tracer (ptrace_signal).
fn consumed_signal_is_lost() {
    let (mut free, mut victim) = watched(&["raise", "10"], "consumed", "leave");
    free.go();
    hear(&mut victim, b's');
    end(victim);
    assert_eq!(free.finish(), ("seen 0\n".into(), 0));
}

/// RFC 0003, window W2. When the kernel no longer does so, the row goes.
fn entered_call_is_interrupted() {
    let (mut free, mut victim) = watched(&["brief", "epoll_wait"], "entry of epoll_wait", "leave");
    free.go();
    hear(&mut victim, b's');
    end(victim);
    let shown = format!("epoll_wait {}\n", -libc::EINTR);
    assert_eq!(free.finish(), (shown, 0));
}

fn skipped_stays_skipped() {
    let (mut free, mut victim) = watched(&["value"], "skip", "leave");
    free.go();
    hear(&mut victim, b's');
    end(victim);
    assert_eq!(free.finish(), ("value 123\n".into(), 0));
}

fn stays_stopped() {
    let (mut free, mut victim) = watched(&["stop"], "job", "leave");
    free.go();
    hear(&mut victim, b's');
    end(victim);
    // It is still stopped for whoever attaches next.
    let mut tracer = Tracer::new();
    let task = tracer.machine.attach(free.pid(), OnDeath::Leave).unwrap();
    tracer.demand(task, Demand::GROUP_STOP);
    assert!(matches!(tracer.next(), (_, Report::GroupStop { .. })));
    drop(tracer);
    Tracer::new().signal(free.pid(), Signal::CONT);
    assert_eq!(free.finish(), ("continued 1\n".into(), 8));
}

/// Starts a program, and is its exit status.
fn spawn(args: &[&str]) {
    let mut tracer = Tracer::new();
    let bytes = args.iter().map(|arg| arg.as_bytes().to_vec()).collect();
    let task =
        tracer.machine.spawn(&Program { path: args[0].into(), args: bytes, ..Program::default() }).unwrap();
    tracer.go(task);
    let status = tracer.finish(task).unwrap();
    std::process::exit(i32::from(status.code().unwrap_or(1)));
}

/// Between a parent that blocks and ignores signals and the program, one more process must not show.
fn spawned_cannot_tell() {
    let own = std::env::current_exe().unwrap();
    for pipe in ["pipe", "nopipe"] {
        let output = |between: &[&str]| {
            let mut command = Command::new(guest());
            command.args(["with", pipe]).args(between).args([guest(), "start", "a", "b c"]);
            let output = command.stdin(Stdio::null()).output().unwrap();
            assert!(output.status.success());
            String::from_utf8(output.stdout).unwrap()
        };
        let plain = output(&[]);
        assert!(plain.contains("blocked 10") && plain.contains("disposition 12"), "{plain}");
        assert_eq!(plain.contains("disposition 13"), pipe == "pipe");
        assert_eq!(output(&[own.to_str().unwrap(), "spawner"]), plain);
    }
}
