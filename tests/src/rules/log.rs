//! RFC 0006, observers: R100–R116. Handles that are told what happens, and hold nobody.

use kernel_model::abi::{
    Errno, EventFlags, LOG_MOST, LogCall, LogCapture, LogPiece, OpenFlags, PtraceFlags, Signal, Status,
};
use kernel_model::client::{EventQueue, Handle, Trace};
use kernel_model::scheme::Caller;

use super::bench::{events_to_end, refused};
use super::flags::{CALLS, FORKER};
use super::told::{Kind, Told, birth, calls, captures, logged, numbers, open, release, split, to_end};
use super::{Failure, Rule};
use crate::{ensure, same};

const PRE: PtraceFlags = PtraceFlags::STOP_PRE_SYSCALL;
const POST: PtraceFlags = PtraceFlags::STOP_POST_SYSCALL;

/// Sleeps until SIGUSR1, whose handler makes a call.
const WOKEN: &str = "
program main
.text
    sys rt_sigaction, sig.usr1, action, 0, 8
    sys pause
    sys exit, 5
handler:
    sys getuid
    ret
restorer:
    sys rt_sigreturn
.data
action:
    .word handler, sa.restorer, restorer, 0
";

/// A hundred calls.
const MANY: &str = "
program main
.text
    mov rbx, 100
again:
    sys sched_yield
    dec rbx
    jne again
    sys exit, 0
";

/// Calls with memory: whole, from nowhere, in pieces, and written by the call.
const MEMORY: &str = "
program main
.text
    sys write, 99, text, 5
    sys write, 99, 16, 5
    sys write, 99, vector, 2
    sys fork
    cmp rax, 0
    je child
    sys wait4, -1, status, 0, 0
    sys exit, 0
child:
    sys exit, 4
.data
text:
    .word 0x6f6c6c6568
vector:
    .word text, 4, text, 3
status:
    .word 0x7777
";

/// Becomes another program.
const EXECER: &str = "
program main
.text
    sys execve, path, arguments, arguments
    sys exit, 1
.data
path:
    .path other
arguments:
    .word 0
program other
.text
    sys getuid
    sys exit, 0
";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "R100",
        sentence: "When a `log` is open and nobody reads it, the process runs to its end all the same.",
        guest: WOKEN,
        run: |b| {
            let (pid, trace) = b.begin()?;
            b.to_call(&trace, "pause")?;
            trace.close()?;
            let _log = open(b.host, pid)?;
            b.host.kill(pid, Signal::USR1)?;
            same!(b.ended(pid)?, Status::exited(5));
            Ok(())
        },
    },
    Rule {
        id: "R101",
        sentence: "When a task has a session or logs, another `log` opens, and each is told everything; a log does not stand in the way \
                   of a session.",
        guest: CALLS,
        run: |b| {
            let pid = b.start()?;
            let first = open(b.host, pid)?;
            let trace = Trace::open(b.host, pid, OpenFlags::empty())?;
            let other = b.client(b.me());
            let (second, third) = (open(b.host, pid)?, open(other.host(), pid)?);
            same!(refused(Trace::open(b.host, pid, OpenFlags::empty()))?, Errno::EBUSY);
            trace.close()?;
            let told = to_end(&first)?;
            same!(told.len(), 5);
            same!(to_end(&second)?, told);
            same!(to_end(&third)?, told);
            Ok(())
        },
    },
    Rule {
        id: "R102",
        sentence: "When the caller may not control the process, or it is the caller itself, opening its `log` is EPERM.",
        guest: CALLS,
        run: |b| {
            let pid = b.start()?;
            let stranger = b.client(Caller { uid: b.me().uid + 1, gid: b.me().gid + 1, ..b.me() });
            same!(refused(open(stranger.host(), pid).map(drop))?, Errno::EPERM);
            same!(refused(open(b.host, b.me().pid).map(drop))?, Errno::EPERM);
            Ok(())
        },
    },
    Rule {
        id: "R103",
        sentence: "When a started program is held and a `log` is opened, it stays held until a session lets it go.",
        guest: CALLS,
        run: |b| {
            let pid = b.start()?;
            let log = open(b.host, pid)?;
            b.meanwhile()?;
            same!(refused(log.read(&mut [0; LOG_MOST]))?, Errno::EAGAIN);
            release(b, pid)?;
            same!(to_end(&log)?.len(), 5);
            Ok(())
        },
    },
    Rule {
        id: "R104",
        sentence: "When a call is over, there is one record of it: its number, its six arguments, its result, when it began and ended.",
        guest: "
program main
.text
    sys getpgid, 0, 2, 3, 4, 5, 6
    sys kill, 0x7ffffff, 0
    sys exit, 3
",
        run: |b| {
            let (_, log) = logged(b, "")?;
            let calls = calls(&to_end(&log)?);
            let names = ["getpgid", "kill", "exit"].map(|name| b.call(name));
            same!(calls.iter().map(|call| call.number).collect::<Vec<_>>(), names);
            same!(calls[0].args, [0, 2, 3, 4, 5, 6]);
            same!(calls[1].args[0], 0x7ff_ffff);
            ensure!(calls[0].result > 0, "a group's number is {}", calls[0].result);
            same!(calls[1].result, -i64::from(Errno::ESRCH.0));
            same!((calls[2].flags, calls[2].args[0], calls[2].left), (LogCall::NO_EXIT, 3, 0));
            let mut times = calls[..2].iter().flat_map(|call| [call.entered, call.left]).collect::<Vec<_>>();
            times.push(calls[2].entered);
            ensure!(times[0] > 0 && times.is_sorted(), "times go back: {times:?}");
            ensure!(times[3] > times[0], "no time passes: {times:?}");
            Ok(())
        },
    },
    Rule {
        id: "R105",
        sentence: "When a session and a log see the same call, both give it the same sequence id, also where a handler's calls come \
                   between its entry and its exit.",
        guest: WOKEN,
        run: |b| {
            let (pid, trace) = b.begin()?;
            let log = open(b.host, pid)?;
            b.to_call(&trace, "pause")?;
            b.host.kill(pid, Signal::USR1)?;
            let mut told: Vec<(u64, u64)> = Vec::new();
            for event in events_to_end(&trace, PRE | POST)? {
                if event.cause() == PRE {
                    told.push((event.d, event.e));
                }
            }
            let logged: Vec<(u64, u64)> =
                calls(&to_end(&log)?).iter().map(|call| (call.number, call.id)).collect();
            ensure!(told.contains(&(b.call("getuid"), 3)), "the handler's call is not #3: {told:?}");
            ensure!(told.iter().all(|call| logged.contains(call)), "{told:?} is not within {logged:?}");
            same!(logged.len(), told.len() + 2);
            Ok(())
        },
    },
    Rule {
        id: "R106",
        sentence: "When a `log` is read, that gives whole records, oldest first, as many as fit; less room than the first needs is EINVAL, \
                   and nothing is lost.",
        guest: CALLS,
        run: |b| {
            let (pid, log) = logged(b, "")?;
            b.ended(pid)?;
            same!(refused(log.read(&mut [0; 8]))?, Errno::EINVAL);
            same!(refused(log.read(&mut [0; 119]))?, Errno::EINVAL);
            let mut buf = [0; 300];
            same!(log.read(&mut buf)?, 240);
            let mut told = split(&buf[..240])?;
            told.extend(to_end(&log)?);
            same!(numbers(&told), ["getpid", "getppid", "getuid", "exit"].map(|name| b.call(name)));
            Ok(())
        },
    },
    Rule {
        id: "R107",
        sentence: "When a log has nothing to tell, a read is EAGAIN with O_NONBLOCK and else waits; EVENT_READ says when it has.",
        guest: CALLS,
        run: |b| {
            let pid = b.start()?;
            let log = open(b.host, pid)?;
            same!(refused(log.read(&mut [0; LOG_MOST]))?, Errno::EAGAIN);
            same!(b.host.fevent(log.fd(), EventFlags::READ)?, EventFlags::empty());
            let queue = EventQueue::open(b.host, OpenFlags::empty())?;
            queue.watch(log.fd(), 7)?;
            let waiting = Handle::open(b.host, &format!("proc:{pid}/log"), OpenFlags::empty())?;
            release(b, pid)?;
            same!(queue.next()?.data, 7);
            same!(b.host.fevent(log.fd(), EventFlags::READ)?, EventFlags::READ);
            let mut buf = vec![0; LOG_MOST];
            ensure!(waiting.read(&mut buf)? > 0, "a read that may wait gave nothing");
            Ok(())
        },
    },
    Rule {
        id: "R108",
        sentence: "When the process has ended, its log still gives what is queued, its death last, and then ESRCH.",
        guest: CALLS,
        run: |b| {
            let (pid, log) = logged(b, "")?;
            same!(b.ended(pid)?, Status::exited(3));
            let mut buf = vec![0; LOG_MOST];
            let n = log.read(&mut buf)?;
            let told = split(&buf[..n])?;
            same!(told.len(), 5);
            let Some(Told { record: Kind::Death(status), .. }) = told.last() else {
                return Err(Failure::new(format!("the last record is {:?}", told.last())));
            };
            same!(*status, u64::from(Status::exited(3).0));
            same!(refused(log.read(&mut buf))?, Errno::ESRCH);
            Ok(())
        },
    },
    Rule {
        id: "R109",
        sentence: "When a table names memory of a call, its record has those bytes, as they are at the entry or at the exit.",
        guest: MEMORY,
        run: |b| {
            let table = "write 1 string\nwrite 1 buffer len=2 max=3\nwrite 1 iovecs len=2\n\
                         wait4 1 buffer len=result max=4 at=exit\nwait4 1 buffer len=#8\nwait4 1>0:2 string\nfork 0 string at=exit";
            let (_, log) = logged(b, table)?;
            let told = to_end(&log)?;
            let writes = captures(&told, b.call("write"));
            same!(writes.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 3]);
            same!((writes[0][0].0.what, writes[0][0].0.argument), (LogCapture::STRING, 1));
            same!(writes[0][0].1, b"hello");
            same!((writes[0][1].0.flags, writes[0][1].1.as_slice()), (LogCapture::CUT, &b"hel"[..]));
            same!((writes[2][2].0.what, writes[2][2].0.line), (LogCapture::IOVECS, 2));
            let pieces: Vec<(u64, &[u8])> =
                LogPiece::all(&writes[2][2].1).map(|(piece, bytes)| (piece.size, bytes)).collect();
            same!(pieces, [(4, &b"hell"[..]), (3, &b"hel"[..])]);
            let waits = captures(&told, b.call("wait4"));
            same!(waits[0].len(), 3);
            same!(waits[0][0].1[..2], [0x77, 0x77]);
            same!(waits[0][1].0.address, 0x7777);
            same!(
                (waits[0][2].0.flags, &waits[0][2].1[..2]),
                (LogCapture::CUT | LogCapture::EXIT, &[0, 4][..])
            );
            Ok(())
        },
    },
    Rule {
        id: "R110",
        sentence: "When memory that a table names cannot be read, its capture has the part before and is marked; all else is as ever.",
        guest: MEMORY,
        run: |b| {
            let (pid, log) = logged(b, "write 1 string\nwrite 1 buffer len=2\nwrite 1>0 string")?;
            let writes = captures(&to_end(&log)?, b.call("write"));
            for (capture, bytes) in &writes[1] {
                same!((capture.flags, bytes.len()), (LogCapture::FAULT, 0));
            }
            same!(writes[1].len(), 3);
            same!(writes[0][1].0.flags, 0);
            same!(b.ended(pid)?, Status::exited(0));
            Ok(())
        },
    },
    Rule {
        id: "R111",
        sentence: "When a table is written, it replaces the whole one of before; one with a line that means nothing is EINVAL, and the old \
                   one stays.",
        guest: CALLS,
        run: |b| {
            let pid = b.start()?;
            let log = open(b.host, pid)?;
            log.write(b"calls getpid")?;
            for text in ["calls nosuchcall", "room 1", "getpid 6 string", "calls getuid\ngetpid"] {
                same!(refused(log.write(text.as_bytes()))?, Errno::EINVAL);
            }
            let second = open(b.host, pid)?;
            second.write(b"calls getpid")?;
            second.write(b"calls getuid")?;
            let third = open(b.host, pid)?;
            let trace = Trace::open(b.host, pid, OpenFlags::empty())?;
            // Of a call in progress that is no longer wanted there is no record, rather than one without its exit.
            b.to_call(&trace, "getppid")?;
            third.write(b"calls getuid")?;
            trace.close()?;
            same!(numbers(&to_end(&log)?), [b.call("getpid")]);
            same!(numbers(&to_end(&second)?), [b.call("getuid")]);
            same!(numbers(&to_end(&third)?), [b.call("getpid"), b.call("getuid")]);
            Ok(())
        },
    },
    Rule {
        id: "R112",
        sentence: "When a log's queue is full, its records are dropped and counted exactly, in a record in their place; other logs lose \
                   nothing.",
        guest: MANY,
        run: |b| {
            let pid = b.start()?;
            let (fast, slow) = (open(b.host, pid)?, open(b.host, pid)?);
            slow.write(b"room 4096")?;
            let trace = Trace::open(b.host, pid, OpenFlags::empty())?;
            let (mut all, mut some) = (Vec::new(), Vec::new());
            let mut buf = vec![0; LOG_MOST];
            for n in 0..60 {
                b.to_call(&trace, "sched_yield")?;
                if let Ok(n) = fast.read(&mut buf) {
                    all.extend(split(&buf[..n])?);
                }
                if n == 50 {
                    let n = slow.read(&mut buf)?;
                    some.extend(split(&buf[..n])?);
                }
            }
            trace.close()?;
            all.extend(to_end(&fast)?);
            some.extend(to_end(&slow)?);
            let ids: Vec<u64> = calls(&all).iter().map(|call| call.id).collect();
            same!(ids, (1..=101).collect::<Vec<u64>>());
            let (mut next, mut gaps) = (1, 0);
            for told in &some {
                match &told.record {
                    Kind::Call(call, _) => {
                        same!(call.id, next);
                        next += 1;
                    }
                    Kind::Drop(count) => {
                        next += count;
                        gaps += 1;
                    }
                    Kind::Death(_) => next += 1,
                    _ => {}
                }
            }
            // The calls, and the death, told or dropped.
            same!((next, gaps), (103, 2));
            Ok(())
        },
    },
    Rule {
        id: "R113",
        sentence: "When a table says `inherit`, children and theirs are told of in the same log, under their own pids; the log ends with \
                   the last of them. Otherwise only births are.",
        guest: FORKER,
        run: |b| {
            let (pid, log) = logged(b, "inherit")?;
            let told = to_end(&log)?;
            let births: Vec<u32> = told.iter().filter_map(birth).collect();
            same!(births.len(), 1);
            let child = births[0];
            let of =
                |pid: u32| told.iter().filter(|told| told.header.pid == pid).cloned().collect::<Vec<Told>>();
            same!(numbers(&of(child)), ["getuid", "exit"].map(|name| b.call(name)));
            same!(of(child)[0].header.process, child);
            same!(of(pid.0).len() + of(child).len(), told.len());

            let (pid, log) = logged(b, "")?;
            let told = to_end(&log)?;
            same!(told.iter().filter_map(birth).count(), 1);
            same!(told.iter().all(|told| told.header.pid == pid.0), true);
            Ok(())
        },
    },
    Rule {
        id: "R114",
        sentence: "When a program is replaced, the exec is recorded without an exit, and then the image.",
        guest: EXECER,
        run: |b| {
            let (pid, log) = logged(b, "")?;
            let told = to_end(&log)?;
            let Some([first, second, ..]) = told.first_chunk::<2>().map(|two| &two[..]) else {
                return Err(Failure::new("fewer than two records"));
            };
            let exec = calls(std::slice::from_ref(first));
            same!((exec[0].number, exec[0].flags), (b.call("execve"), LogCall::NO_EXIT));
            same!(second.record, Kind::Image(u64::from(pid.0)));
            same!(numbers(&told[2..]), ["getuid", "exit"].map(|name| b.call(name)));
            Ok(())
        },
    },
    Rule {
        id: "R115",
        sentence: "When a signal is acted on, it is recorded with its disposition, whatever sessions have asked for.",
        guest: WOKEN,
        run: |b| {
            let (pid, trace) = b.begin()?;
            let log = open(b.host, pid)?;
            b.to_call(&trace, "pause")?;
            trace.close()?;
            b.host.kill(pid, Signal::USR1)?;
            let told = to_end(&log)?;
            let signals: Vec<&Kind> = told
                .iter()
                .map(|told| &told.record)
                .filter(|kind| matches!(kind, Kind::Signal(..)))
                .collect();
            let [Kind::Signal(signal, handler)] = signals[..] else {
                return Err(Failure::new(format!("signals: {signals:?}")));
            };
            same!(*signal, u64::from(Signal::USR1.0));
            ensure!(*handler > 1, "the handler is {handler}");
            Ok(())
        },
    },
    Rule {
        id: "R116",
        sentence: "When a session with O_EXCL closes, the process dies although it is observed, and the log tells of it; when a log closes, \
                   or its client dies, nothing happens to the process.",
        guest: MANY,
        run: |b| {
            let pid = b.start()?;
            let other = b.client(b.me());
            other.host().open(&format!("proc:{pid}/log"), OpenFlags::O_RDWR)?;
            release(b, pid)?;
            drop(other);
            same!(b.ended(pid)?, Status::exited(0));

            let pid = b.start()?;
            let log = open(b.host, pid)?;
            let trace = Trace::open(b.host, pid, OpenFlags::O_EXCL)?;
            b.to_call(&trace, "sched_yield")?;
            open(b.host, pid)?.close()?;
            b.to_call(&trace, "sched_yield")?;
            trace.close()?;
            same!(b.ended(pid)?, Status::killed(Signal::KILL));
            let told = to_end(&log)?;
            same!(
                told.last().map(|told| &told.record),
                Some(&Kind::Death(u64::from(Status::killed(Signal::KILL).0)))
            );
            Ok(())
        },
    },
];
