//! Section S, system calls: R27–R33, R76–R79. What a tracer sees of a call, changes in it, and skips.

use kernel_model::abi::{
    CallRecord, Errno, IntRegisters, OpenFlags, PtraceEvent, PtraceFlags, Signal, Status,
};
use kernel_model::client::{EventQueue, Handle, Trace};
use zerocopy::IntoBytes;

use super::bench::{event, events_to_end, refused};
use super::flags::CALLS;
use super::held::{SELF_STOPPER, stopped_child};
use super::{Bench, Check, Rule};
use crate::{ensure, same};

const PRE: PtraceFlags = PtraceFlags::STOP_PRE_SYSCALL;
const POST: PtraceFlags = PtraceFlags::STOP_POST_SYSCALL;
const SIGNAL: PtraceFlags = PtraceFlags::STOP_SIGNAL;
const STEP: PtraceFlags = PtraceFlags::STOP_SINGLESTEP;
const IGNORE: PtraceFlags = PtraceFlags::FLAG_IGNORE;

/// Sends itself a signal that a handler takes, which makes a call of its own.
pub(super) const SELF_SIGNALLER: &str = "
program main
.text
    sys rt_sigaction, sig.usr1, action, 0, 8
    sys getpid
    mov rdi, rax
    mov rsi, sig.usr1
    mov rax, sys.kill
    syscall
back:
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

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "R27",
        sentence: "When a tracer changes the registers at PRE, the call that is made has the changed number and arguments; at POST \
                   rax is its result.",
        guest: "
program main
.text
    sys getpgid, 0x11, 0x22, 0x33
    sys exit, 5
",
        run: |b| {
            let (_, trace) = b.begin()?;
            b.to_call(&trace, "getpgid")?;
            let regs = trace.regs()?;
            let mut at = regs.int()?;
            same!((at.rax, at.rdi, at.rsi, at.rdx), (b.call("getpgid"), 0x11, 0x22, 0x33));
            at.rax = b.call("getppid");
            regs.set_int(&at)?;
            trace.resume(POST)?;
            same!(event(&trace, POST)?.d, b.call("getpgid"));
            same!(regs.int()?.rax, u64::from(b.me().pid.0));
            trace.resume(PRE)?;
            event(&trace, PRE)?;
            let mut at = regs.int()?;
            at.rdi = 11;
            regs.set_int(&at)?;
            trace.resume(PtraceFlags::empty())?;
            same!(b.ended(trace.pid())?, Status::exited(11));
            Ok(())
        },
    },
    Rule {
        id: "R28",
        sentence: "When IGNORE is in the write that resumes from PRE, that call is skipped; in the write that asked for the PRE it \
                   has no effect on it.",
        guest: CALLS,
        run: |b| {
            let (pid, trace) = b.begin()?;
            let regs = trace.regs()?;
            trace.resume(PRE | IGNORE)?;
            event(&trace, PRE)?;
            trace.resume(POST)?;
            event(&trace, POST)?;
            same!(regs.int()?.rax, u64::from(pid.0));
            trace.resume(PRE)?;
            event(&trace, PRE)?;
            let mut at = regs.int()?;
            at.rax = 99;
            regs.set_int(&at)?;
            trace.resume(POST | IGNORE)?;
            event(&trace, POST)?;
            same!(regs.int()?.rax, 99);
            Ok(())
        },
    },
    Rule {
        id: "R29",
        sentence: "When IGNORE is written alone, it is honoured: the call is skipped and the tracee runs free (RFC wording).",
        guest: "
program main
.text
    sys exit, 5
    sys exit, 6
",
        run: |b| {
            let (pid, trace) = b.begin()?;
            b.to_call(&trace, "exit")?;
            trace.resume(IGNORE)?;
            same!(b.ended(pid)?, Status::exited(6));
            Ok(())
        },
    },
    Rule {
        id: "R30",
        sentence: "When a call is skipped, its result is the rax that the tracer left, and POST still comes if asked for.",
        guest: "
program main
.text
    sys getpid
    mov rdi, rax
    mov rax, sys.exit
    syscall
",
        run: |b| {
            let (pid, trace) = b.begin()?;
            let pre = b.to_call(&trace, "getpid")?;
            let regs = trace.regs()?;
            let mut at = regs.int()?;
            at.rax = 123;
            regs.set_int(&at)?;
            trace.resume(POST | IGNORE)?;
            let post = event(&trace, POST)?;
            same!((post.d, post.e), (pre.d, pre.e));
            same!(regs.int()?.rax, 123);
            trace.resume(PtraceFlags::empty())?;
            same!(b.ended(pid)?, Status::exited(123));
            Ok(())
        },
    },
    Rule {
        id: "R31",
        sentence: "When a call does not come back (exit, a successful exec, the return from a handler), it has no POST.",
        guest: "
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
    sys rt_sigaction, sig.usr1, action, 0, 8
    sys getpid
    mov rdi, rax
    mov rsi, sig.usr1
    mov rax, sys.kill
    syscall
    sys exit, 0
handler:
    ret
restorer:
    sys rt_sigreturn
.data
action:
    .word handler, sa.restorer, restorer, 0
",
        run: |b| {
            let (_, trace) = b.begin()?;
            let events = events_to_end(&trace, PRE | POST)?;
            let has_post = |pre: &&PtraceEvent| events.iter().any(|e| e.cause() == POST && e.e == pre.e);
            let alone: Vec<u64> = events
                .iter()
                .filter(|e| e.cause() == PRE)
                .filter(|pre| !has_post(pre))
                .map(|pre| pre.d)
                .collect();
            same!(alone, ["execve", "rt_sigreturn", "exit"].map(|name| b.call(name)));
            let posts = events.iter().filter(|e| e.cause() == POST).count();
            same!(posts, 3);
            Ok(())
        },
    },
    Rule {
        id: "R32",
        sentence: "When a signal is handled inside a call, the handler's calls nest: PRE kill, SIGNAL, the handler's PREs and POSTs, \
                   PRE sigreturn, POST kill.",
        guest: SELF_SIGNALLER,
        run: |b| {
            same!(
                order(b)?,
                [
                    (PRE, "kill"),
                    (SIGNAL, ""),
                    (PRE, "getuid"),
                    (POST, "getuid"),
                    (PRE, "rt_sigreturn"),
                    (POST, "kill"),
                    (PRE, "exit")
                ]
                .map(|(cause, name)| (cause, if name.is_empty() { 0 } else { b.call(name) }))
            );
            Ok(())
        },
    },
    Rule {
        id: "R33",
        sentence: "When a process stopped itself by kill(SIGSTOP) before it was opened, its first POST is of that kill.",
        guest: SELF_STOPPER,
        run: |b| {
            same!(first_post_of_stopped(b)?, b.call("kill"));
            Ok(())
        },
    },
    Rule {
        id: "R76",
        sentence: "When the set is changed or registers are read while the tracee sleeps in a call, that call is not reported again.",
        guest: SLEEPER,
        run: |b| {
            let events = disturbed(b)?;
            ensure!(events.is_empty(), "{events:?}");
            Ok(())
        },
    },
    Rule {
        id: "R77",
        sentence: "When `call` is read at PRE, it has the event's number, id and ABI and the arguments that the registers have; at \
                   POST also the result.",
        guest: SIX,
        run: |b| {
            let (_, trace) = b.begin()?;
            let call = trace.handle().dup("call")?;
            let pre = b.to_call(&trace, "getpgid")?;
            let at = trace.regs()?.int()?;
            let args = [at.rdi, at.rsi, at.rdx, at.r10, at.r8, at.r9];
            same!(args, [u64::MAX, 2, 3, 4, 5, 6]);
            let begun = CallRecord { number: pre.d, id: pre.e, abi: pre.f, args, result: 0, ended: 0 };
            same!(record(&call)?, begun);
            let mut short = [0; 9];
            same!(call.read(&mut short)?, 9);
            same!(short[..], begun.as_bytes()[..9]);
            trace.resume(POST)?;
            event(&trace, POST)?;
            let result = trace.regs()?.int()?.rax as i64;
            same!(result, -i64::from(Errno::ESRCH.0));
            same!(record(&call)?, CallRecord { result, ended: 1, ..begun });
            Ok(())
        },
    },
    Rule {
        id: "R78",
        sentence: "When a tracer has changed a call's arguments at PRE, `call` has the changed ones.",
        guest: SIX,
        run: |b| {
            let (_, trace) = b.begin()?;
            let call = trace.handle().dup("call")?;
            b.to_call(&trace, "getpgid")?;
            let regs = trace.regs()?;
            let mut at = regs.int()?;
            (at.rdi, at.r9) = (0, 66);
            regs.set_int(&at)?;
            same!(record(&call)?.args, [0, 2, 3, 4, 5, 66]);
            trace.resume(POST)?;
            event(&trace, POST)?;
            let after = record(&call)?;
            same!(after.args, [0, 2, 3, 4, 5, 66]);
            ensure!(after.result > 0, "{after:?}");
            Ok(())
        },
    },
    Rule {
        id: "R79",
        sentence: "When `call` is read of a tracee that is not stopped at a PRE or a POST, that is EINVAL, and it is not disturbed.",
        guest: SLEEPER,
        run: |b| {
            let (pid, trace) = b.begin_with(OpenFlags::O_NONBLOCK)?;
            let call = trace.handle().dup("call")?;
            same!(refused(record(&call))?, Errno::EINVAL);
            let queue = EventQueue::open(b.host, OpenFlags::empty())?;
            queue.watch(trace.handle().fd(), 1)?;
            trace.resume(PRE)?;
            queue.next()?;
            event(&trace, PRE)?;
            record(&call)?;
            trace.resume(PRE | POST | SIGNAL)?;
            same!(refused(record(&call))?, Errno::EINVAL);
            b.meanwhile()?;
            same!(refused(trace.next())?, Errno::EAGAIN);
            same!(refused(call.write(&[0; CallRecord::SIZE]))?, Errno::EINVAL);
            b.host.kill(pid, Signal::KILL)?;
            b.ended(pid)?;
            same!(refused(record(&call))?, Errno::ESRCH);
            Ok(())
        },
    },
];

/// Written [`CallRecord`]s: R218, R219, R222.
pub(super) const WRITTEN: &[Rule] = &[
    Rule {
        id: "R218",
        sentence: "When `call` is written at PRE, the call that is made has the record's number and arguments; at POST the tracee has \
                   its arguments and its result.",
        guest: SIX,
        run: |b| {
            let (pid, trace) = b.begin()?;
            let call = trace.handle().dup("call")?;
            b.to_call(&trace, "getpgid")?;
            let begun = record(&call)?;
            let sixth = |args: [u64; 6]| [args[0], args[1], args[2], args[3], args[4], 66];
            call.write(CallRecord { args: sixth(begun.args), ..begun }.as_bytes())?;
            let changed = record(&call)?;
            same!(changed, CallRecord { args: sixth(begun.args), ..begun });
            // Several registers at once, the number among them: getpgid(-1) becomes getpgid(0) by way of getpid.
            let args = [0, 2, 3, 4, 5, 67];
            call.write(CallRecord { number: b.call("getpid"), args, ..changed }.as_bytes())?;
            same!(record(&call)?.args, args);
            trace.resume(POST)?;
            event(&trace, POST)?;
            let after = record(&call)?;
            same!((after.args, after.result), (args, i64::from(pid.0)));
            call.write(CallRecord { args: begun.args, ..after }.as_bytes())?;
            same!(record(&call)?, CallRecord { args: begun.args, ..after });
            call.write(CallRecord { args: begun.args, result: -5, ..after }.as_bytes())?;
            let mut long = [0xff; CallRecord::SIZE + 1];
            long[..CallRecord::SIZE].copy_from_slice(record(&call)?.as_bytes());
            same!((call.write(&long)?, call.write(&long[..CallRecord::SIZE - 1])?), (CallRecord::SIZE, 0));
            let at = trace.regs()?.int()?;
            same!([at.rdi, at.rsi, at.rdx, at.r10, at.r8, at.r9], begun.args);
            same!(at.rax as i64, -5);
            Ok(())
        },
    },
    Rule {
        id: "R219",
        sentence: "When the record that is written has another id, ABI or side than the call the tracee is stopped at, that is EINVAL, \
                   and nothing is changed.",
        guest: SIX,
        run: |b| {
            let (_, trace) = b.begin()?;
            let call = trace.handle().dup("call")?;
            b.to_call(&trace, "getpgid")?;
            let begun = record(&call)?;
            let new = CallRecord { args: [0; 6], ..begun };
            for other in [
                CallRecord { id: begun.id + 1, ..new },
                CallRecord { abi: begun.abi ^ 1, ..new },
                CallRecord { ended: 1, ..new },
            ] {
                same!(refused(call.write(other.as_bytes()))?, Errno::EINVAL);
            }
            same!(record(&call)?, begun);
            trace.resume(POST)?;
            event(&trace, POST)?;
            same!(record(&call)?.result, -i64::from(Errno::ESRCH.0));
            same!(refused(call.write(begun.as_bytes()))?, Errno::EINVAL);
            Ok(())
        },
    },
    Rule {
        id: "R222",
        sentence: "When `call` is written at PRE with 2 as the side, the call that is made has the record's arguments, and when it is over, \
                   POST or none, the tracee has those that it had before, except where they were written again; at POST 2 is no side.",
        guest: FOUR,
        run: |b| {
            let (_, trace) = b.begin()?;
            let call = trace.call()?;
            // Seen at the POST.
            b.to_call(&trace, "getpgid")?;
            let begun = call.get()?;
            call.lend(&CallRecord { args: [0, 12, 13, 14, 15, 16], ..begun })?;
            same!(call.get()?, CallRecord { args: [0, 12, 13, 14, 15, 16], ..begun });
            trace.resume(POST)?;
            event(&trace, POST)?;
            let after = call.get()?;
            // 0 is the caller, −1 is nobody.
            same!((after.args, after.result > 0), (begun.args, true));
            let at = trace.regs()?.int()?;
            same!([at.rdi, at.rsi, at.rdx, at.r10, at.r8, at.r9], begun.args);
            same!(refused(call.lend(&after))?, Errno::EINVAL);
            // One register, and nobody asks for the exit.
            b.to_call(&trace, "getpgid")?;
            call.lend(&CallRecord { args: [0, 2, 3, 4, 5, 6], ..call.get()? })?;
            trace.resume(PRE)?;
            event(&trace, PRE)?;
            same!(call.get()?.args, begun.args);
            // A part of it is given, by both ways to write registers.
            let once = CallRecord { args: [0, 2, 13, 14, 5, 16], ..call.get()? };
            call.lend(&once)?;
            call.lend(&CallRecord { args: [0, 12, 13, 14, 5, 16], ..once })?;
            call.set(&CallRecord { args: [0, 12, 13, 24, 5, 16], ..once })?;
            let regs = trace.regs()?;
            regs.set_int(&IntRegisters { r9: 26, ..regs.int()? })?;
            trace.resume(POST)?;
            event(&trace, POST)?;
            let after = call.get()?;
            same!((after.args, after.result > 0), ([begun.args[0], 2, 3, 24, 5, 26], true));
            // A step over the call.
            b.to_call(&trace, "getpgid")?;
            call.lend(&CallRecord { args: [0, 12, 13, 14, 15, 16], ..call.get()? })?;
            trace.resume(STEP)?;
            event(&trace, STEP)?;
            let at = trace.regs()?.int()?;
            same!((at.rsi, at.rdx, at.r10, at.r8, at.r9), (2, 3, 24, 5, 26));
            Ok(())
        },
    },
];

/// Makes four calls with the same six arguments, which fail: there is no such process.
const FOUR: &str = "
program main
.text
    sys getpgid, -1, 2, 3, 4, 5, 6
    mov rax, sys.getpgid
    syscall
    mov rax, sys.getpgid
    syscall
    mov rax, sys.getpgid
    syscall
    sys exit, 0
";

/// Makes a call with six arguments, which fails: there is no such process.
const SIX: &str = "
program main
.text
    sys getpgid, -1, 2, 3, 4, 5, 6
    sys exit, 0
";

/// One whole record of a `call` handle.
fn record(call: &Handle<'_>) -> kernel_model::abi::Result<CallRecord> {
    let mut record = CallRecord::default();
    match call.read(record.as_mut_bytes())? {
        CallRecord::SIZE => Ok(record),
        _ => Err(Errno::EIO),
    }
}

/// Sleeps until a signal comes.
const SLEEPER: &str = "
program main
.text
    sys pause
    sys exit, 0
";

/// What is told of a tracee in [`SLEEPER`]'s pause while it is disturbed in all ways that it should not notice.
pub(super) fn disturbed(b: &Bench<'_>) -> Check<Vec<PtraceEvent>> {
    const TIMES: usize = 5;
    let (_, trace) = b.begin_with(OpenFlags::O_NONBLOCK)?;
    let queue = EventQueue::open(b.host, OpenFlags::empty())?;
    queue.watch(trace.handle().fd(), 1)?;
    trace.resume(PRE)?;
    queue.next()?;
    same!(event(&trace, PRE)?.d, b.call("pause"));
    let regs = trace.regs()?;
    let mut events = Vec::new();
    for _ in 0..TIMES {
        for mask in [SIGNAL, PRE | POST] {
            trace.resume(mask)?;
            regs.int()?;
            b.meanwhile()?;
            match trace.next() {
                Err(Errno::EAGAIN) => {}
                other => events.extend(other?),
            }
        }
    }
    Ok(events)
}

/// All stops of [`SELF_SIGNALLER`] from its kill on: cause, and number of the call.
pub(super) fn order(b: &Bench<'_>) -> Check<Vec<(PtraceFlags, u64)>> {
    let (_, trace) = b.begin()?;
    let mut all = vec![b.to_call(&trace, "kill")?];
    all.extend(events_to_end(&trace, PRE | POST | SIGNAL)?);
    Ok(all.iter().map(|event| (event.cause(), event.d)).collect())
}

/// The call number of the first POST of [`SELF_STOPPER`]'s child, opened while it was stopped.
pub(super) fn first_post_of_stopped(b: &Bench<'_>) -> Check<u64> {
    let (pid, main) = b.begin()?;
    let child = stopped_child(b, &main)?;
    let trace = Trace::open(b.host, child, OpenFlags::O_TRUNC)?;
    trace.resume(POST)?;
    b.host.kill(child, Signal::CONT)?;
    let first = event(&trace, POST)?;
    trace.resume(PtraceFlags::empty())?;
    main.resume(PtraceFlags::empty())?;
    same!(refused(trace.next())?, Errno::ESRCH);
    let status = b.ended(pid)?;
    ensure!(status == Status::exited(5), "{status:?}");
    Ok(first.d)
}
