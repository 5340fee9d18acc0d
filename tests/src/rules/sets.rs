//! RFC 0005, sets: R80–R93. Which calls and signals a session is told of, and programs that were started with a filter.

use kernel_model::abi::{Errno, OpenFlags, Pid, PtraceEvent, PtraceFlags, Signal};
use kernel_model::client::{Handle, Trace};
use kernel_model::sets::{CallSet, Filter, SignalSet};

use super::bench::{event, events_to_end, refused};
use super::flags::{CALLS, FORKER};
use super::{Bench, Check, Rule};
use crate::same;

const PRE: PtraceFlags = PtraceFlags::STOP_PRE_SYSCALL;
const POST: PtraceFlags = PtraceFlags::STOP_POST_SYSCALL;
const SIGNAL: PtraceFlags = PtraceFlags::STOP_SIGNAL;
const CLONE: PtraceFlags = PtraceFlags::EVENT_CLONE;
const EXCL: OpenFlags = OpenFlags::O_EXCL;

/// A signal with a handler, and one without.
const SIGNALLED: &str = "
program main
.text
    sys rt_sigaction, sig.usr1, action, 0, 8
    sys getpid
    mov rbx, rax
    sys kill, rbx, sig.usr1
    sys kill, rbx, sig.winch
    sys exit, 0
handler:
    sys getuid
    ret
restorer:
    sys rt_sigreturn
.data
action:
    .word handler, sa.restorer, restorer, 0
";

/// Sleeps until it gets SIGUSR1, and makes two calls then.
const WOKEN: &str = "
program main
.text
    sys rt_sigaction, sig.usr1, action, 0, 8
    sys pause
    sys getpid
    sys getppid
    sys exit, 0
handler:
    ret
restorer:
    sys rt_sigreturn
.data
action:
    .word handler, sa.restorer, restorer, 0
";

/// Never ends.
const LOOP: &str = "
program main
.text
again:
    sys sched_yield
    jmp again
";

/// A child that never ends.
const LOOPING_CHILD: &str = "
program main
.text
    sys fork
    cmp rax, 0
    je child
    sys wait4, -1, 0, 0, 0
    sys exit, 0
child:
    sys getuid
    sys sched_yield
    jmp child
";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "R80",
        sentence: "When `sets/entry` is written, only calls in it have a PRE, and those only where the mask asks for it.",
        guest: CALLS,
        run: |b| {
            let (_, trace) = b.begin()?;
            write(&trace, "entry", "getppid")?;
            let events = events_to_end(&trace, PRE | POST)?;
            same!(calls(&events, PRE), numbers(b, &["getppid"]));
            same!(calls(&events, POST), numbers(b, &["getpid", "getppid", "getuid"]));

            let (_, trace) = b.begin()?;
            write(&trace, "entry", "getppid")?;
            same!(calls(&events_to_end(&trace, POST)?, PRE), Vec::<u64>::new());
            Ok(())
        },
    },
    Rule {
        id: "R81",
        sentence: "When `sets/exit` is written, only calls in it have a POST, whatever `sets/entry` is.",
        guest: CALLS,
        run: |b| {
            let (_, trace) = b.begin()?;
            write(&trace, "entry", "getpid")?;
            write(&trace, "exit", "getuid")?;
            let events = events_to_end(&trace, PRE | POST)?;
            same!(calls(&events, PRE), numbers(b, &["getpid"]));
            same!(calls(&events, POST), numbers(b, &["getuid"]));
            Ok(())
        },
    },
    Rule {
        id: "R82",
        sentence: "When `sets/signal` is written, only signals in it stop; the others arrive unseen.",
        guest: SIGNALLED,
        run: |b| {
            let (_, trace) = b.begin()?;
            write(&trace, "signal", "WINCH")?;
            let events = events_to_end(&trace, SIGNAL | PRE)?;
            let signals: Vec<u64> =
                events.iter().filter(|event| event.cause() == SIGNAL).map(|event| event.a).collect();
            same!(signals, [u64::from(Signal::WINCH.0)]);
            // The handler's.
            same!(calls(&events, PRE).contains(&b.call("getuid")), true);
            Ok(())
        },
    },
    Rule {
        id: "R83",
        sentence: "When a set is empty, because nothing or the empty text was written, everything is in it.",
        guest: CALLS,
        run: |b| {
            let all = numbers(b, &["getpid", "getppid", "getuid", "exit"]);
            let (_, trace) = b.begin()?;
            same!(read(&trace, "entry")?, "");
            same!(calls(&events_to_end(&trace, PRE)?, PRE), all);

            let (_, trace) = b.begin()?;
            write(&trace, "entry", "none")?;
            write(&trace, "entry", "")?;
            same!(calls(&events_to_end(&trace, PRE)?, PRE), all);
            Ok(())
        },
    },
    Rule {
        id: "R84",
        sentence: "When a set is read, it is the canonical text: ascending by number, names where there are; written again, it changes \
                   nothing.",
        guest: CALLS,
        run: |b| {
            let (_, trace) = b.begin()?;
            for (set, text, canonical) in [
                ("entry", "7777, getuid\ngetpid", "getpid getuid 7777\n"),
                ("exit", "!getuid !1:7777", "!getuid !1:7777\n"),
                ("signal", "2 SIGHUP inherit", "SIGHUP SIGINT inherit\n"),
            ] {
                write(&trace, set, text)?;
                same!(read(&trace, set)?, canonical);
                write(&trace, set, canonical)?;
                same!(read(&trace, set)?, canonical);
            }
            Ok(())
        },
    },
    Rule {
        id: "R85",
        sentence: "When words of a set contradict each other, the last one decides; a set whose first word has a `!` starts from \
                   everything.",
        guest: CALLS,
        run: |b| {
            for (text, want) in [
                ("getpid getppid !getpid", &["getppid"][..]),
                ("!getpid", &["getppid", "getuid", "exit"]),
                ("@process getuid !exit", &["getuid"]),
            ] {
                let (_, trace) = b.begin()?;
                write(&trace, "entry", text)?;
                same!(calls(&events_to_end(&trace, PRE)?, PRE), numbers(b, want));
            }
            Ok(())
        },
    },
    Rule {
        id: "R86",
        sentence: "When a word of a set means nothing, the write is EINVAL and the set stays.",
        guest: CALLS,
        run: |b| {
            let (_, trace) = b.begin()?;
            write(&trace, "entry", "getppid")?;
            for text in ["getpid nosuchcall", "@nosuchgroup", "-1", "!inherit", "1:"] {
                same!(refused(write_text(&trace, "entry", text))?, Errno::EINVAL);
            }
            same!(read(&trace, "entry")?, "getppid\n");
            same!(refused(write_text(&trace, "signal", "65"))?, Errno::EINVAL);
            Ok(())
        },
    },
    Rule {
        id: "R87",
        sentence: "When the client has no session on the task, opening its sets is ENODEV; when the session is over, reading and \
                   writing them is.",
        guest: CALLS,
        run: |b| {
            let pid = b.start()?;
            let path = format!("proc:{pid}/sets/entry");
            same!(refused(b.host.open(&path, OpenFlags::empty()))?, Errno::ENODEV);
            let trace = Trace::open(b.host, pid, OpenFlags::empty())?;
            same!(refused(b.client(b.me()).host().open(&path, OpenFlags::empty()))?, Errno::ENODEV);
            let set = trace.handle().dup("sets/entry")?;
            trace.close()?;
            same!(refused(set.read(&mut [0; 8]))?, Errno::ENODEV);
            same!(refused(set.write(b"none"))?, Errno::ENODEV);
            Ok(())
        },
    },
    Rule {
        id: "R88",
        sentence: "When a session closes, its sets end with it; the next one on the task starts with everything.",
        guest: LOOP,
        run: |b| {
            let (pid, trace) = b.begin()?;
            write(&trace, "entry", "none inherit")?;
            trace.close()?;
            let trace = Trace::open(b.host, pid, OpenFlags::empty())?;
            same!(read(&trace, "entry")?, "");
            trace.resume(PRE)?;
            same!(event(&trace, PRE)?.d, b.call("sched_yield"));
            Ok(())
        },
    },
    Rule {
        id: "R89",
        sentence: "When a child is opened, its sets are those of its parent in which `inherit` was written, and otherwise everything.",
        guest: FORKER,
        run: |b| {
            let (_, trace) = b.begin()?;
            write(&trace, "entry", "getuid inherit")?;
            write(&trace, "exit", "none")?;
            let (_, child) = child(b, &trace, CLONE, OpenFlags::empty())?;
            same!(read(&child, "entry")?, "getuid inherit\n");
            same!(read(&child, "exit")?, "");
            let events = events_to_end(&child, PRE | POST)?;
            same!(calls(&events, PRE), numbers(b, &["getuid"]));
            same!(calls(&events, POST).contains(&b.call("getuid")), true);
            Ok(())
        },
    },
    Rule {
        id: "R90",
        sentence: "When a set is written while the tracee runs, it holds from its next stop on.",
        guest: WOKEN,
        run: |b| {
            let (pid, trace) = b.begin()?;
            write(&trace, "entry", "pause")?;
            trace.resume(PRE)?;
            same!(event(&trace, PRE)?.d, b.call("pause"));
            trace.resume(PRE)?;
            write(&trace, "entry", "getppid")?;
            b.host.kill(pid, Signal::USR1)?;
            same!(event(&trace, PRE)?.d, b.call("getppid"));
            Ok(())
        },
    },
    Rule {
        id: "R91",
        sentence: "When a program was started with a filter, sessions on it and on its descendants start with those sets; writing one \
                   that has other calls is EPERM.",
        guest: FORKER,
        run: |b| {
            let (pid, trace) = begin_filtered(b, &["getuid"], &["getpid"])?;
            let (_, child) = child(b, &trace, CLONE | PRE | POST, EXCL)?;
            for text in ["", "all", "getppid", "!getuid"] {
                same!(refused(write_text(&child, "entry", text))?, Errno::EPERM);
            }
            let events = events_to_end(&child, PRE | POST)?;
            same!((calls(&events, PRE), calls(&events, POST)), (numbers(b, &["getuid"]), vec![]));

            same!(event(&trace, POST)?.d, b.call("getpid"));
            write(&trace, "exit", "none")?;
            write(&trace, "exit", &b.call("getuid").to_string())?;
            same!(events_to_end(&trace, PRE | POST)?, []);
            same!(b.ended(pid)?.code(), Some(4));
            Ok(())
        },
    },
    Rule {
        id: "R92",
        sentence: "When a program was started with a filter, a session on it or on a descendant is EPERM without O_EXCL.",
        guest: FORKER,
        run: |b| {
            let pid = b.start_filtered(filter(b, &["getuid"], &[]))?;
            same!(refused(Trace::open(b.host, pid, OpenFlags::empty()))?, Errno::EPERM);
            let trace = Trace::open(b.host, pid, EXCL)?;
            trace.resume(CLONE)?;
            let child = Pid(event(&trace, CLONE)?.a as u32);
            same!(refused(Trace::open(b.host, child, OpenFlags::O_TRUNC))?, Errno::EPERM);
            Trace::open(b.host, child, EXCL)?.close()?;
            Ok(())
        },
    },
    Rule {
        id: "R93",
        sentence: "When nobody opens a child of such a program, it goes on under the filter, and can be opened later.",
        guest: LOOPING_CHILD,
        run: |b| {
            let (_, trace) = begin_filtered(b, &["getuid"], &[])?;
            trace.resume(CLONE)?;
            let child = Pid(event(&trace, CLONE)?.a as u32);
            trace.resume(PtraceFlags::empty())?;
            b.meanwhile()?;
            same!(refused(Trace::open(b.host, child, OpenFlags::empty()))?, Errno::EPERM);
            let child = Trace::open(b.host, child, EXCL)?;
            for _ in 0..3 {
                child.resume(PRE)?;
                same!(event(&child, PRE)?.d, b.call("getuid"));
            }
            Ok(())
        },
    },
];

fn write_text(trace: &Trace<'_>, set: &str, text: &str) -> Result<usize, Errno> {
    trace.handle().dup(&format!("sets/{set}"))?.write(text.as_bytes())
}

fn write(trace: &Trace<'_>, set: &str, text: &str) -> Check {
    same!(write_text(trace, set, text)?, text.len());
    Ok(())
}

fn read(trace: &Trace<'_>, set: &str) -> Check<String> {
    let set: Handle<'_> = trace.handle().dup(&format!("sets/{set}"))?;
    Ok(String::from_utf8_lossy(&set.read_to_end()?).into_owned())
}

/// The numbers of the calls that `events` tell of with this cause.
fn calls(events: &[PtraceEvent], cause: PtraceFlags) -> Vec<u64> {
    events.iter().filter(|event| event.cause() == cause).map(|event| event.d).collect()
}

fn numbers(b: &Bench<'_>, names: &[&str]) -> Vec<u64> {
    names.iter().map(|name| b.call(name)).collect()
}

fn filter(b: &Bench<'_>, entry: &[&str], exit: &[&str]) -> Filter {
    let set = |names: &[&str]| CallSet::only(numbers(b, names).into_iter().map(|number| (0, number)));
    Filter { entry: set(entry), exit: set(exit), signal: SignalSet::ALL }
}

/// Starts the guest with a filter, and opens it.
fn begin_filtered<'a>(b: &Bench<'a>, entry: &[&str], exit: &[&str]) -> Check<(Pid, Trace<'a>)> {
    let pid = b.start_filtered(filter(b, entry, exit))?;
    Ok((pid, Trace::open(b.host, pid, EXCL)?))
}

/// Runs to the birth of a child, and opens it.
fn child<'a>(
    b: &Bench<'a>,
    trace: &Trace<'_>,
    mask: PtraceFlags,
    flags: OpenFlags,
) -> Check<(Pid, Trace<'a>)> {
    trace.resume(mask)?;
    let pid = Pid(event(trace, CLONE)?.a as u32);
    Ok((pid, Trace::open(b.host, pid, flags)?))
}
