//! Observers beyond single rules (RFC 0006): many records and a slow reader on both machines, a running program that is
//! never held, threads, and what a stop costs while nobody observes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitCode, Stdio};

use backend_linux::{Linux, caller};
use conformance::calls::families;
use conformance::harness::{Outcome, Suite, ensure};
use conformance::needs::Need;
use conformance::observed;
use conformance::rules::stage::{Broken, Run, on_linux, on_sim};
use conformance::rules::{Access, Bench, Check};
use conformance::tracer::own_program;
use kernel_model::abi::{Errno, LOG_MOST, LogPiece, LogRecord, OpenFlags, Status};
use kernel_model::client::{Handle, Trace};
use kernel_model::kernel::{Kernel, Policy};
use kernel_model::local::Local;
use kernel_model::scheme::{Host, Program};

/// Calls of the program that two logs observe.
const CALLS: u64 = 100_000;

fn main() -> ExitCode {
    let mut suite = Suite::new("observers");
    suite.test("two_on_sim_in_turn", &[], || sim(in_turn));
    suite.test("two_on_sim_at_once", &[], || sim(at_once));
    suite.test("two_on_linux_in_turn", &[], || linux(in_turn));
    suite.test("two_on_linux_at_once", &[], || linux(at_once));
    suite.test("a_running_program_is_not_held", &[], opens);
    suite.test("structures_messages_and_addresses_are_captured", &[], structures);
    suite.test("threads_are_told_apart", &[], threads);
    suite.test("a_stop_costs_what_its_readers_ask_for", &[Need::Program("strace")], requests);
    suite.run()
}

// What they were told has been compared by then. What is left is that the slow one was slow, but not idle.

fn in_turn(b: &Bench<'_>) -> Check {
    let totals = observed::in_turn(b, CALLS)?;
    conformance::ensure!(totals.lost.min(totals.slow) > CALLS / 4, "not what this test is for: {totals:?}");
    Ok(())
}

/// How much it gets to read is the scheduler's affair; it cannot be more than about half.
fn at_once(b: &Bench<'_>) -> Check {
    let totals = observed::at_once(b, CALLS)?;
    conformance::ensure!(totals.lost > CALLS / 4, "not what this test is for: {totals:?}");
    Ok(())
}

fn sim(run: Run) -> Outcome {
    let done = on_sim(&observed::guest(CALLS), run, Access::SameUser, Broken::Nothing);
    done.map_err(|failure| failure.to_string().into())
}

fn linux(run: Run) -> Outcome {
    on_linux(&observed::guest(CALLS), run, Access::SameUser).map_err(|failure| failure.to_string().into())
}

/// The example on a shell that is running already: its opens and a child's, failed ones too; then it ends as ever.
fn opens() -> Outcome {
    let script =
        "read go; : </dev/null; (: </dev/zero; exit 0); cat </dev/null /nowhere/at/all 2>/dev/null; exit 3";
    let mut shell = Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn()?;
    let pid = shell.id().to_string();
    let mut observer =
        Command::new(own_program("observer")).args(["opens", &pid]).stdout(Stdio::piped()).spawn()?;
    let mut told = BufReader::new(observer.stdout.take().expect("piped")).lines();
    let first = told.next().transpose()?;
    shell.stdin.take().expect("piped").write_all(b"go\n")?;
    let lines: Vec<String> = told.collect::<Result<_, _>>()?;
    let (shell_end, observer_end) = (shell.wait()?, observer.wait()?);
    ensure(first == Some(format!("observing {pid}")), || format!("{first:?}"))?;
    ensure(shell_end.code() == Some(3) && observer_end.success(), || format!("{shell_end}, {observer_end}"))?;
    let words: Vec<Vec<&str>> = lines.iter().map(|line| line.split(' ').collect()).collect();
    let by = |path: &str| words.iter().find(|words| words[2] == path).map(|words| (words[0], words[1]));
    let own = by("/dev/null").ok_or_else(|| format!("no /dev/null: {lines:?}"))?;
    ensure(own.0 == pid && own.1.parse().is_ok_and(|fd: i32| fd > 2), || format!("{lines:?}"))?;
    ensure(by("/dev/zero").is_some_and(|(child, _)| child != pid), || format!("no child: {lines:?}"))?;
    ensure(by("/nowhere/at/all").is_some_and(|(_, result)| result == "-2"), || format!("{lines:?}"))
}

/// The table's lines for what is more than a string, as RFC 0006 has them.
const STRUCTURES: &str = "connect 1 buffer len=2\naccept 1 buffer len=2>0:4 at=exit\nfstat 1 buffer len=#144 at=exit
poll 0 buffer len=1 size=8 at=exit\nsendmsg 1 buffer len=#56\nsendmsg 1>16 iovecs len=1>24\nrecvmsg 1>16 iovecs len=1>24 at=exit";

/// Programs whose calls are known: what a structure, an array, an address and the parts of a message are captured as.
fn structures() -> Outcome {
    let mut local = vec![0; 110];
    local[..7].copy_from_slice(b"\x01\0local");
    let of = |family: &str, call: &str| captures_of(family, call);
    let connects = of("local_sockets", "connect")?;
    ensure(connects.last().is_some_and(|captures| captures[0] == local), || format!("{connects:?}"))?;
    let accepts = of("local_sockets", "accept")?;
    ensure(accepts == [[vec![1, 0]]], || format!("as long as the call says: {accepts:?}"))?;
    let sent = of("messages", "sendmsg")?;
    ensure(sent.len() == 1 && sent[0].len() == 2 && sent[0][0].len() == 56, || format!("{sent:?}"))?;
    let parts = |captures: &[Vec<u8>]| {
        let pieces = LogPiece::all(captures.last().expect("a capture"))
            .map(|(piece, bytes)| (piece.size, bytes.to_vec()));
        pieces.collect::<Vec<_>>()
    };
    ensure(parts(&sent[0]) == [(7, b"message".to_vec())], || format!("{sent:?}"))?;
    // Of a buffer of 64 bytes there are as many as came.
    let got = of("messages", "recvmsg")?;
    ensure(parts(&got[0]) == [(64, b"message".to_vec())], || format!("{got:?}"))?;
    let polled = of("poll", "poll")?;
    let events = [3, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 4, 0, 4, 0, 77, 0, 0, 0, 1, 0, 32, 0];
    ensure(polled[0] == [events], || format!("with what was ready: {polled:?}"))?;
    let facts = of("stat", "fstat")?;
    ensure(facts[0][0].len() == 144 && facts[0][0][24..28] != [0; 4], || format!("a mode: {facts:?}"))
}

/// What was captured at each call of that name, by a log of the family's program.
fn captures_of(family: &str, call: &str) -> Result<Vec<Vec<Vec<u8>>>, std::io::Error> {
    let failed = |errno: Errno| std::io::Error::other(errno.to_string());
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("calls");
    let family = families().into_iter().find(|known| known.name == family).expect("a family");
    family.write(&program)?;
    let kernel = Local::new(Kernel::new(Linux::new(), Policy::SameUser));
    let host = kernel.client(caller());
    // Its sockets and files have names without a folder.
    let cd = format!("cd {} && exec ./calls", folder.path().display());
    let pid = host.spawn(&Program::new("/bin/sh").arg("-c").arg(cd)).map_err(failed)?;
    let log = Handle::open(&host, &format!("proc:{pid}/log"), OpenFlags::O_RDWR).map_err(failed)?;
    log.write(format!("{STRUCTURES}\ncalls {call}").as_bytes()).map_err(failed)?;
    Trace::open(&host, pid, OpenFlags::empty()).and_then(Trace::close).map_err(failed)?;
    let (mut all, mut buf, mut ours) = (Vec::new(), vec![0; LOG_MOST], false);
    while let Ok(n) = log.read(&mut buf) {
        let mut bytes = &buf[..n];
        while let Some((_, record, rest)) = LogRecord::split(bytes) {
            match record {
                LogRecord::Image(_) => ours = true, // before it was the shell
                LogRecord::Call(_, captures) if ours => {
                    all.push(captures.into_iter().map(|(_, bytes)| bytes.to_vec()).collect());
                }
                _ => {}
            }
            bytes = rest;
        }
    }
    host.wait(pid, true).map_err(failed)?;
    Ok(all)
}

/// Each thread's calls under its own pid and its process's, between its birth and its death.
fn threads() -> Outcome {
    const THREADS: usize = 20;
    let kernel = Local::new(Kernel::new(Linux::new(), Policy::SameUser));
    let host = kernel.client(caller());
    let pid = host.spawn(&Program::new(own_program("guest")).arg("threads").arg(THREADS.to_string()))?;
    let log = Handle::open(&host, &format!("proc:{pid}/log"), OpenFlags::O_RDWR)?;
    log.write(b"inherit\ncalls getppid")?;
    Trace::open(&host, pid, OpenFlags::empty())?.close()?;
    let (mut born, mut dead, mut calls) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::<u32, u32>::new());
    let mut buf = vec![0; LOG_MOST];
    while let Ok(n) = log.read(&mut buf) {
        let mut bytes = &buf[..n];
        while let Some((header, record, rest)) = LogRecord::split(bytes) {
            ensure(header.process == pid.0, || format!("another's process: {header:?}"))?;
            match record {
                LogRecord::Birth(birth) => {
                    ensure(birth.process == pid.0 && born.insert(birth.child), || format!("{birth:?}"))?;
                }
                LogRecord::Death(_) => ensure(dead.insert(header.pid), || "dies twice".into())?,
                LogRecord::Call(..) => *calls.entry(header.pid).or_default() += 1,
                _ => {}
            }
            bytes = rest;
        }
    }
    ensure(host.wait(pid, true)? == Some(Status::exited(0)), || "it does not end as ever".into())?;
    ensure(born.len() == THREADS && calls.keys().eq(&born), || format!("{born:?}: {calls:?}"))?;
    ensure(calls.values().all(|count| *count == 10), || format!("{calls:?}"))?;
    ensure(born.iter().chain([&pid.0]).copied().collect::<BTreeSet<_>>() == dead, || format!("{dead:?}"))
}

/// ptrace requests for each call of a program, counted from outside.
fn requests() -> Outcome {
    let scratch = tempfile::tempdir()?;
    let file = scratch.path().join("requests");
    let count = |observers: &str| -> Result<(usize, usize), std::io::Error> {
        let mut strace = Command::new("strace");
        strace.args(["-e", "trace=ptrace", "-o"]).arg(&file).arg(own_program("observer"));
        let status = strace.args([observers, &own_program("guest"), "getppid", "400"]).status()?;
        if !status.success() {
            return Err(std::io::Error::other(status.to_string()));
        }
        let text = std::fs::read_to_string(&file)?;
        // A question to a task that has not stopped yet is none that a reader asked.
        let made = text.lines().filter(|line| line.starts_with("ptrace(") && !line.contains("ESRCH"));
        Ok((made.clone().count(), made.filter(|line| line.contains("op=PTRACE_SYSCALL_INFO_ENTRY")).count()))
    };
    for (observers, least) in [("0", 3), ("1", 4), ("3", 4)] {
        let (made, calls) = count(observers)?;
        // Less at the exit of the last call, which has none; more at birth and image.
        let enough = least * (calls - 1)..=4 * calls + 50;
        ensure(calls > 400 && enough.contains(&made), || {
            format!("{observers} observers: {made} requests for {calls} calls, not {least} to 4 each")
        })?;
    }
    Ok(())
}
