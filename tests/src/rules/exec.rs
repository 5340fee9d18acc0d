//! Section E, exec: R50, R61. The session belongs to the process, not to its program.

use kernel_model::abi::{Errno, F_GETFD, F_SETFD, OpenFlags, PtraceFlags};

use super::Rule;
use super::bench::{event, refused};
use crate::same;

const IMAGE: PtraceFlags = PtraceFlags::EVENT_IMAGE;

/// Becomes another program with other data at the same address.
const EXECER: &str = "
program main
.text
    sys execve, path, arguments, arguments
    sys exit, 1
.data
word:
    .word 0x1111
path:
    .path other
arguments:
    .word 0
program other
.text
    sys getuid
marker:
    sys exit, 0
.data
word:
    .word 0x2222
";

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "R50",
        sentence: "When the tracee execs, its `trace`, `regs` and `mem` handles stay valid and show the new program.",
        guest: EXECER,
        run: |b| {
            let (_, trace) = b.begin()?;
            b.to_call(&trace, "execve")?;
            let (regs, mem) = (trace.regs()?, trace.mem()?);
            same!(mem.word(b.label("word"))?, 0x1111);
            b.to_call(&trace, "getuid")?;
            same!(mem.word(b.label_in("other", "word"))?, 0x2222);
            same!(regs.int()?.rip, b.label_in("other", "marker"));
            Ok(())
        },
    },
    Rule {
        id: "R61",
        sentence: "When the tracer execs, its O_CLOEXEC descriptors close and the others stay; the flag is the descriptor's, and dup clears it.",
        guest: EXECER,
        run: |b| {
            let pid = b.start()?;
            let client = b.client(b.me());
            let host = client.host();
            let cloexec = u64::from(OpenFlags::O_CLOEXEC.bits());
            let path = format!("proc:{pid}/regs/int");
            let closes = host.open(&path, OpenFlags::O_RDWR | OpenFlags::O_CLOEXEC)?;
            let stays = host.open(&path, OpenFlags::O_RDWR)?;
            let copy = host.dup(closes, "")?;
            let marked = host.dup(stays, "")?;
            host.fcntl(marked, F_SETFD, cloexec)?;
            let flags = [closes, stays, copy, marked].map(|fd| host.fcntl(fd, F_GETFD, 0));
            same!(flags, [Ok(cloexec), Ok(0), Ok(0), Ok(cloexec)]);
            client.exec();
            let flags = [closes, stays, copy, marked].map(|fd| host.fcntl(fd, F_GETFD, 0));
            same!(flags, [Err(Errno::EBADF), Ok(0), Ok(0), Err(Errno::EBADF)]);
            Ok(())
        },
    },
    Rule {
        id: "R62",
        sentence: "When the set of a `trace.x` handle has EVENT_IMAGE and the tracee execs, IMAGE with its former pid is queued; it goes on.",
        guest: EXECER,
        run: |b| {
            let (pid, trace) = b.begin_experimental()?;
            trace.resume(IMAGE)?;
            same!(event(&trace, IMAGE)?.a, u64::from(pid.0));
            same!(refused(trace.next())?, Errno::ESRCH);
            Ok(())
        },
    },
];
