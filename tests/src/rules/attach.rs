//! Section A, access: R1–R7. Who gets a handle. What opening it does to the process is in `held`.

use kernel_model::abi::{Errno, OpenFlags, Pid, PtraceFlags, Signal};
use kernel_model::client::{Mem, Trace};
use kernel_model::scheme::Caller;

use super::bench::{event, refused};
use super::{Access, Bench, Check, Failure, Rule};
use crate::{ensure, same};

/// Sleeps; ends with 7 when it gets USR1.
pub(super) const SLEEPER: &str = "
program main
.text
    sys setuid, 1000
    sys rt_sigaction, sig.usr1, action, 0, 8
asleep:
    sys pause
    jmp asleep
handler:
    sys exit, 7
restorer:
    sys rt_sigreturn
.data
action:
    .word handler, sa.restorer, restorer, 0
";

const OWNED: [&str; 5] = ["trace", "mem", "regs/int", "regs/float", "regs/env"];
const OPEN_TO_ALL: [&str; 3] = ["exe", "status", "threads"];

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "R1",
        sentence: "When a session on a pid exists, a second open of its `trace` is EBUSY, by whatever client and path.",
        guest: SLEEPER,
        run: |b| {
            let (pid, trace) = b.begin()?;
            let path = format!("proc:{pid}/trace");
            same!(refused(b.host.open(&path, OpenFlags::O_RDWR))?, Errno::EBUSY);
            same!(refused(trace.handle().dup("trace").map(drop))?, Errno::EBUSY);
            same!(refused(b.client(b.me()).host().open(&path, OpenFlags::O_RDWR))?, Errno::EBUSY);
            same!(refused(b.host.open(&format!("proc:{pid}/trace.x"), OpenFlags::O_RDWR))?, Errno::EBUSY);
            Ok(())
        },
    },
    Rule {
        id: "R2",
        sentence: "When a caller other than uid 0 does not own the process (uid and gid), or under the policy `descendants` is \
                   not its ancestor, opening `trace`, `mem` or `regs` is EPERM.",
        guest: SLEEPER,
        run: |b| {
            let (pid, trace) = b.begin()?;
            b.to_call(&trace, "pause")?;
            let owner = b.owner();
            b.client(owner).host().open(&format!("proc:{pid}/mem"), OpenFlags::O_RDONLY)?;
            denied(b, pid, Caller { uid: owner.uid + 1, ..owner })?;
            denied(b, pid, Caller { gid: owner.gid + 1, ..owner })?;
            let stranger = Caller { pid: b.start()?, ..owner };
            match b.access() {
                Access::Descendants => denied(b, pid, stranger)?,
                Access::SameUser => {
                    b.client(stranger).host().open(&format!("proc:{pid}/mem"), OpenFlags::O_RDONLY)?;
                }
            }
            Ok(())
        },
    },
    Rule {
        id: "R3",
        sentence: "When the caller's uid is 0, ownership and ancestry are not asked.",
        guest: SLEEPER,
        run: |b| {
            let (pid, trace) = b.begin()?;
            b.to_call(&trace, "pause")?;
            let other = b.start()?;
            let root = b.client(Caller { pid: other, uid: 0, gid: 4242 });
            root.host().open(&format!("proc:{pid}/mem"), OpenFlags::O_RDWR)?;
            trace.close()?;
            root.host().open(&format!("proc:{pid}/trace"), OpenFlags::O_RDWR)?;
            Ok(())
        },
    },
    Rule {
        id: "R4",
        sentence: "When a caller, even of uid 0, opens its own `trace`, `mem` or `regs`, that is EPERM.",
        guest: SLEEPER,
        run: |b| {
            let (pid, trace) = b.begin()?;
            b.to_call(&trace, "pause")?;
            denied(b, pid, Caller { pid, ..b.owner() })?;
            denied(b, pid, Caller { pid, uid: 0, gid: 0 })
        },
    },
    Rule {
        id: "R5",
        sentence: "When the process leaves the caller's reach after an open, the handle stays valid; only a new open is refused.",
        guest: "
program main
.text
    sys setuid, 1000
    sys fork
    cmp rax, 0
    je middle
    sys pause
middle:
    sys fork
    cmp rax, 0
    je last
    sys exit, 0
last:
    sys pause
    jmp last
.data
word:
    .word 0x1234
",
        run: |b| {
            let (_, main) = b.begin()?;
            main.resume(PtraceFlags::EVENT_CLONE)?;
            let middle_pid = Pid(event(&main, PtraceFlags::EVENT_CLONE)?.a as u32);
            let middle = Trace::open(b.host, middle_pid, OpenFlags::empty())?;
            middle.resume(PtraceFlags::EVENT_CLONE | PtraceFlags::STOP_PRE_SYSCALL)?;
            event(&middle, PtraceFlags::STOP_PRE_SYSCALL)?;
            middle.resume(PtraceFlags::EVENT_CLONE | PtraceFlags::STOP_PRE_SYSCALL)?;
            let last = Pid(event(&middle, PtraceFlags::EVENT_CLONE)?.a as u32);
            event(&middle, PtraceFlags::STOP_PRE_SYSCALL)?;
            let client = b.client(Caller { pid: middle_pid, ..b.owner() });
            let mem = Mem::open(client.host(), last)?;
            same!(mem.word(b.label("word"))?, 0x1234);
            // The middle process ends, so the last one is nobody's descendant but init's.
            middle.resume(PtraceFlags::empty())?;
            same!(refused(middle.next())?, Errno::ESRCH);
            same!(mem.word(b.label("word"))?, 0x1234);
            let again = Mem::open(client.host(), last).map(drop);
            match b.access() {
                Access::Descendants => same!(again, Err(Errno::EPERM)),
                Access::SameUser => same!(again, Ok(())),
            }
            drop(mem);
            b.host.kill(last, Signal::KILL)?;
            Ok(())
        },
    },
    Rule {
        id: "R6",
        sentence: "When anybody opens `exe`, `status` or `threads` of a living process, that succeeds.",
        guest: SLEEPER,
        run: |b| {
            let (pid, trace) = b.begin()?;
            b.to_call(&trace, "pause")?;
            let stranger = b.client(stranger(b)?);
            for op in OPEN_TO_ALL {
                let fd = stranger.host().open(&format!("proc:{pid}/{op}"), OpenFlags::O_RDONLY)?;
                let mut text = [0; 64];
                ensure!(stranger.host().read(fd, &mut text)? > 0, "{op} is empty");
            }
            Ok(())
        },
    },
    Rule {
        id: "R7",
        sentence: "When a stranger other than uid 0 tries the `trace` of all pids, each answer is EPERM or ESRCH.",
        guest: SLEEPER,
        run: |b| {
            let pid = b.start()?;
            let stranger = b.client(stranger(b)?);
            let mut refusals = 0;
            for pid in (1..300).chain([b.me().pid.0, pid.0]) {
                match refused(stranger.host().open(&format!("proc:{pid}/trace"), OpenFlags::O_RDWR))? {
                    Errno::EPERM => refusals += 1,
                    Errno::ESRCH => {}
                    errno => return Err(Failure::new(format!("pid {pid}: {errno:?}"))),
                }
            }
            ensure!(refusals > 0, "not even the guest was refused");
            Ok(())
        },
    },
];

/// Somebody who owns nothing, and is nobody's parent.
fn stranger(b: &Bench<'_>) -> Check<Caller> {
    Ok(Caller { pid: b.start()?, uid: 4242, gid: 4242 })
}

fn denied(b: &Bench<'_>, pid: Pid, caller: Caller) -> Check {
    let client = b.client(caller);
    for op in OWNED {
        let answer = client.host().open(&format!("proc:{pid}/{op}"), OpenFlags::O_RDWR);
        ensure!(answer == Err(Errno::EPERM), "{op} by {caller:?}: {answer:?}");
    }
    Ok(())
}
