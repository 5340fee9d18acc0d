//! Programs under a pushed filter: one stop per selected call, none for others, nobody gets away, nobody outlives us.

mod common;

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use common::{CALLS, Tracer, guest};
use kernel_model::machine::{
    CallSet, Demand, Filter, Leave, Machine, Program, Report, Signal, SignalSet, Status, Task, Verdict,
};

fn only(calls: &[(u64, i64)]) -> CallSet {
    CallSet::only(calls.iter().map(|&(abi, number)| (abi, number as u64)))
}

/// Starts a guest under a filter, with calls and births demanded, and the same filter as the hint.
fn begin(args: &[&str], entry: CallSet, exit: CallSet) -> (Tracer, Task) {
    let filter = Filter { entry, exit, signal: SignalSet::ALL };
    let mut tracer = Tracer::new();
    let mut program = Program { pushed: Some(filter.clone()), ..Program::new(guest()) };
    for arg in args {
        program = program.arg(*arg);
    }
    let task = tracer.machine.spawn(&program).unwrap();
    tracer.machine.filter(task, &filter).unwrap();
    tracer.demand(task, CALLS | Demand::BORN);
    tracer.go(task);
    (tracer, task)
}

/// A report of a call: number, id, ABI.
type Seen = (Report, u64, u64, u64);

/// Every call report until the task is gone, and how it ended.
fn reports(tracer: &mut Tracer, task: Task) -> (Vec<Seen>, Option<Status>) {
    let mut all = Vec::new();
    loop {
        let (who, report) = tracer.next();
        match report {
            Report::Gone { status } if who == task => return (all, status),
            Report::CallEntry | Report::CallExit => {
                let (number, id, abi) = tracer.call(who);
                all.push((report, number, id, abi));
            }
            _ => {}
        }
        tracer.pass(who, report);
    }
}

#[test]
fn only_what_is_selected_stops_and_once() {
    let getppid = libc::SYS_getppid as u64;
    let selected = only(&[(0, libc::SYS_getppid)]);
    // The guest makes it twice.
    for (entry, exit, want) in [
        (&selected, &CallSet::NONE, vec![Report::CallEntry; 2]),
        (&CallSet::NONE, &selected, vec![Report::CallExit; 2]),
        (&selected, &selected, [[Report::CallEntry, Report::CallExit]; 2].concat()),
    ] {
        let (mut tracer, task) = begin(&["getppid"], entry.clone(), exit.clone());
        let (seen, status) = reports(&mut tracer, task);
        assert_eq!(seen.iter().map(|seen| seen.0).collect::<Vec<_>>(), want);
        assert!(seen.iter().all(|seen| seen.1 == getppid && seen.3 == 0));
        // Ids count what stopped: nothing else did.
        assert_eq!((seen[0].2, seen.last().unwrap().2), (1, 2));
        assert_eq!(status, Some(Status::exited(0)));
    }
}

#[test]
fn the_32_bit_table_has_numbers_of_its_own() {
    // 20 is getpid there, and writev here; 39 is getpid here, and mkdir there.
    for (selected, count) in [((1, 20), 2), ((0, 20), 0), ((1, 39), 0)] {
        let set = only(&[selected]);
        let (mut tracer, task) = begin(&["int80"], set.clone(), set);
        let (seen, status) = reports(&mut tracer, task);
        assert_eq!(seen.len(), count, "{selected:?} {seen:?}");
        assert!(seen.iter().all(|seen| (seen.3, seen.1) == (1, 20)));
        assert_eq!(status, Some(Status::exited(0)));
    }
}

fn output_of(args: &[&str]) -> (String, Option<i32>) {
    let own = std::env::current_exe().unwrap();
    let output = Command::new(own)
        .args(["--exact", "driver", "--nocapture"])
        .env("FILTER_DRIVER", args.join(" "))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.signal())
}

/// Not a test of its own: what the ones below run in a process whose output they read.
#[test]
fn driver() {
    let Ok(words) = std::env::var("FILTER_DRIVER") else { return };
    let words: Vec<&str> = words.split(' ').collect();
    let set = only(&[(0, libc::SYS_getppid)]);
    let (mut tracer, task) = begin(&words[1..], set.clone(), set);
    if words[0] == "follow" {
        let status = reports(&mut tracer, task).1;
        assert_eq!(status, Some(Status::exited(0)));
        return;
    }
    tracer.until_entry(task, libc::SYS_getppid);
    let mut regs = tracer.regs(task);
    assert_eq!(regs.rax, libc::SYS_getppid as u64);
    match words[0] {
        "skip" => {
            regs.rax = 123;
            tracer.set_regs(task, &regs);
            tracer.skip(task);
        }
        "change" => {
            regs.rax = libc::SYS_getpgid as u64;
            regs.rdi = u64::MAX;
            tracer.set_regs(task, &regs);
            tracer.go(task);
        }
        other => panic!("{other}"),
    }
    tracer.finish(task);
}

#[test]
fn a_selected_call_can_be_skipped_and_changed() {
    assert!(output_of(&["skip", "value"]).0.contains("value 123\n"));
    // getpgid(-1): ESRCH, and libc's −1.
    assert!(output_of(&["change", "value"]).0.contains("value -1\n"));
}

/// Its child is born to the tracer whatever it asks for; with a selected call failing, it would exit with 9.
#[test]
fn a_child_cannot_ask_to_be_untraced() {
    for call in ["clone", "clone3"] {
        let (text, _) = output_of(&["follow", "untraced", call]);
        assert!(text.contains("child 5\n"), "{call}: {text}");
    }
}

#[test]
fn all_descendants_are_seen() {
    for (args, more) in [(&["fork"][..], 1), (&["vfork"], 1), (&["untraced", "clone3"], 1), (&["threads"], 4)]
    {
        let (mut tracer, task) = begin(args, CallSet::NONE, CallSet::NONE);
        // Even if nobody wants to hear of them.
        tracer.demand(task, Demand::empty());
        let mut born = 0;
        loop {
            let (who, report) = tracer.next();
            match report {
                Report::Born { .. } => born += 1,
                Report::Gone { status } if who == task => {
                    assert_eq!(status, Some(Status::exited(0)), "{args:?}");
                    break;
                }
                _ => {}
            }
            tracer.pass(who, report);
        }
        assert_eq!(born, more, "{args:?}");
    }
}

/// A step over a selected call: the entry stop of the step and the filter's stop are one report.
#[test]
fn a_step_over_a_selected_call_reports_it_once() {
    let getpid = only(&[(0, libc::SYS_getpid), (0, libc::SYS_getuid)]);
    let (mut tracer, task) = begin(&["marks"], getpid.clone(), getpid);
    tracer.until_entry(task, libc::SYS_getuid);
    tracer.go(task);
    tracer.until(task, |_, report| report == Report::CallExit);
    let mut seen = Vec::new();
    for _ in 0..200 {
        tracer.demand(task, Demand::STEP | CALLS);
        tracer.go(task);
        let (_, report) = tracer.next();
        if report == Report::CallEntry {
            assert_eq!(tracer.call(task).0, libc::SYS_getpid as u64);
        }
        seen.push(report);
        if seen.contains(&Report::CallExit) && report == Report::Step {
            break;
        }
    }
    let calls: Vec<_> = seen.iter().filter(|report| **report != Report::Step).collect();
    assert_eq!(calls, [&Report::CallEntry, &Report::CallExit]);
    tracer.demand(task, Demand::empty());
    tracer.go(task);
    assert_eq!(tracer.finish(task), Some(Status::exited(0)));
}

#[test]
fn it_cannot_be_let_go() {
    let (mut tracer, task) = begin(&["getppid"], only(&[(0, libc::SYS_getppid)]), CallSet::NONE);
    assert_eq!(tracer.next(), (task, Report::CallEntry));
    tracer.machine.detach(task, Leave::Free(Verdict::Proceed)).unwrap();
    let (_, report) = tracer.next();
    let Report::Gone { status } = report else { panic!("{report:?}") };
    assert_eq!(status.and_then(Status::signal), Some(Signal::KILL));
}

/// The machine's end is theirs, also of those that nobody was told of.
#[test]
fn nobody_outlives_the_machine() {
    let (mut tracer, task) = begin(&["threads"], CallSet::NONE, CallSet::NONE);
    let pid = tracer.machine.pid(task).unwrap();
    let start = tracer.machine.start(pid).unwrap();
    while !matches!(tracer.next(), (_, Report::Born { .. })) {}
    drop(tracer);
    assert_ne!(Tracer::new().machine.start(pid), Ok(start));
}
