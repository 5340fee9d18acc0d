//! Section O, the other handles: R65–R75. Cursors, short transfers, wrong operations, and what works without a session.

use kernel_model::abi::{Errno, OpenFlags, PtraceFlags, SEEK_CUR, SEEK_SET, Signal, Status};
use kernel_model::client::{Handle, Mem, Regs, Trace, read_text};
use kernel_model::scheme::{Caller, Fd, User};

use super::bench::{PLAIN_UID, event, refused};
use super::flags::child_of;
use super::{Bench, Check, Rule};
use crate::{ensure, same};

/// Spare room, a constant, and a nap.
const GUEST: &str = "
program main
.text
    sys rt_sigaction, sig.usr1, action, 0, 8
    sys pause
    cmp rax, -4
    je good
    sys exit, 1
good:
    sys exit, 8
handler:
    ret
restorer:
    sys rt_sigreturn
.data
action:
    .word handler, sa.restorer, restorer, 0
word:
    .word 0x1122334455667788, 5
";

/// Its child runs in its place until that ends.
const VFORKER: &str = "
program main
.text
    sys vfork
    cmp rax, 0
    je child
    sys exit, 6
child:
    sys getpid
    sys exit, 0
";

/// Bytes of `regs/int`, `regs/float` and `regs/env`.
const REG_SIZES: [(&str, usize); 3] = [("regs/int", 168), ("regs/float", 416), ("regs/env", 16)];

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "R65",
        sentence: "When `mem` is read or written, all of it is transferred at the cursor, which moves by as much; if a page is not mapped, \
                   EFAULT, and the cursor stays.",
        guest: GUEST,
        run: |b| {
            let (_, trace) = b.begin()?;
            let mem = trace.mem()?;
            let (handle, word) = (mem.handle(), b.label("word"));
            b.host.seek(handle.fd(), word as i64 + 3, SEEK_SET)?;
            let mut odd = [0; 5];
            same!(handle.read(&mut odd)?, 5);
            same!(odd, [0x55, 0x44, 0x33, 0x22, 0x11]);
            same!(cursor(b, handle)?, word + 8);
            same!(handle.write(&[9, 9, 9])?, 3);
            same!(cursor(b, handle)?, word + 11);
            same!(mem.word(word + 8)?, 0x09_0909);
            for gap in [0x10, 0x7fff_0000_0000_0000] {
                b.host.seek(handle.fd(), gap, SEEK_SET)?;
                same!(refused(handle.read(&mut odd))?, Errno::EFAULT);
                same!(refused(handle.write(&odd))?, Errno::EFAULT);
                same!(cursor(b, handle)?, gap as u64);
                same!(handle.read(&mut [])?, 0);
            }
            let copy = b.host.dup(handle.fd(), "")?;
            b.host.seek(copy, 0x123, SEEK_SET)?;
            same!(cursor(b, handle)?, 0x123);
            Ok(())
        },
    },
    Rule {
        id: "R66",
        sentence: "When a seek's result is negative it is EINVAL; when it overflows, or the origin is unknown, EOVERFLOW; the cursor stays.",
        guest: GUEST,
        run: |b| {
            let (_, trace) = b.begin()?;
            let mem = trace.mem()?;
            let fd = mem.handle().fd();
            same!(b.host.seek(fd, 10, SEEK_SET)?, 10);
            same!(b.host.seek(fd, -4, SEEK_CUR)?, 6);
            same!(refused(b.host.seek(fd, -1, SEEK_SET))?, Errno::EINVAL);
            same!(refused(b.host.seek(fd, -7, SEEK_CUR))?, Errno::EINVAL);
            same!(refused(b.host.seek(fd, i64::MAX, SEEK_CUR))?, Errno::EOVERFLOW);
            same!(refused(b.host.seek(fd, 0, 7))?, Errno::EOVERFLOW);
            same!(cursor(b, mem.handle())?, 6);
            Ok(())
        },
    },
    Rule {
        id: "R67",
        sentence: "When registers are read, a short buffer gets the first bytes; when a write is shorter than the file, it takes 0 and changes \
                   nothing.",
        guest: GUEST,
        run: |b| {
            let (_, trace) = b.begin()?;
            for (op, size) in REG_SIZES {
                let handle = trace.handle().dup(op)?;
                let (mut whole, mut again, mut part) = (vec![0; size + 5], vec![0; size], [0; 13]);
                same!((op, handle.read(&mut whole)?), (op, size));
                same!(handle.read(&mut part)?, 13);
                same!(part[..], whole[..13]);
                same!(handle.write(&vec![0xa5; size - 1])?, 0);
                handle.read(&mut again)?;
                ensure!(again == whole[..size], "{op} changed");
                same!(handle.write(&whole)?, size);
            }
            Ok(())
        },
    },
    Rule {
        id: "R68",
        sentence: "When `exe`, `status`, `threads` or `features` is written, or `trace`, `log` or `regs` sought, that is EBADF.",
        guest: GUEST,
        run: |b| {
            let (pid, trace) = b.begin()?;
            let open = |path: &str| b.host.open(path, OpenFlags::O_RDWR);
            for op in ["exe", "status", "threads"] {
                same!(refused(b.host.write(open(&format!("proc:{pid}/{op}"))?, &[0; 8]))?, Errno::EBADF);
            }
            same!(refused(b.host.write(open("proc:features")?, &[0; 8]))?, Errno::EBADF);
            same!(refused(b.host.seek(trace.handle().fd(), 0, SEEK_SET))?, Errno::EBADF);
            same!(refused(b.host.seek(open(&format!("proc:{pid}/log"))?, 0, SEEK_SET))?, Errno::EBADF);
            for (op, _) in REG_SIZES {
                same!(refused(b.host.seek(open(&format!("proc:{pid}/{op}"))?, 0, SEEK_SET))?, Errno::EBADF);
            }
            same!(refused(b.host.read(Fd(4242), &mut []))?, Errno::EBADF);
            Ok(())
        },
    },
    Rule {
        id: "R69",
        sentence: "When `regs` or `mem` of a running process is used, with a session or without, it answers, and the process cannot notice.",
        guest: GUEST,
        run: |b| {
            let (pid, trace) = b.begin()?;
            b.to_call(&trace, "pause")?;
            let behind_pause = trace.regs()?.int()?.rip;
            trace.resume(PtraceFlags::empty())?;
            same!(trace.regs()?.int()?.rip & !3, behind_pause & !3);
            same!(trace.mem()?.word(b.label("word") + 8)?, 5);
            trace.close()?;
            same!(Regs::open(b.host, pid)?.int()?.rip & !3, behind_pause & !3);
            same!(Mem::open(b.host, pid)?.word(b.label("word") + 8)?, 5);
            // Still in the same pause: only a handler ends it.
            b.host.kill(pid, Signal::USR1)?;
            same!(b.ended(pid)?, Status::exited(8));
            Ok(())
        },
    },
    Rule {
        id: "R70",
        sentence: "When a program is spawned, it is held before its first instruction; opening its `trace` takes the hold over, and a write or \
                   the close lets it run.",
        guest: GUEST,
        run: |b| {
            let pid = b.start()?;
            b.meanwhile()?;
            let trace = Trace::open(b.host, pid, OpenFlags::empty())?;
            same!(trace.regs()?.int()?.rip, 0x40_0000);
            same!(trace.next()?, None);
            trace.close()?;
            let next = b.start()?;
            let trace = Trace::open(b.host, next, OpenFlags::O_TRUNC)?;
            same!(trace.next()?, None);
            trace.resume(PtraceFlags::STOP_SINGLESTEP)?;
            ensure!(trace.next()?.is_some(), "no step");
            ensure!(trace.regs()?.int()?.rip > 0x40_0000, "did not run");
            Ok(())
        },
    },
    Rule {
        id: "R77",
        sentence: "When a program is spawned as another user, its `status` has that user and group, from its first instruction on; EPERM if the \
                   spawner may not become that.",
        guest: GUEST,
        run: |b| {
            let (uid, gid) = (PLAIN_UID, 77);
            let spawned = b.start_as_user(User { uid, gid, groups: vec![gid] });
            if b.me().uid != 0 {
                same!(refused(spawned)?, Errno::EPERM);
                return Ok(());
            }
            let status = b.status(spawned?)?;
            let status = String::from_utf8_lossy(&status);
            ensure!(status.contains(&format!("uid {uid}\ngid {gid}\n")), "{status}");
            Ok(())
        },
    },
    Rule {
        id: "R71",
        sentence: "When a handle is dup'ed with a path, that path of its process is opened anew with its flags; with none, the descriptor is a \
                   second one for the same description.",
        guest: GUEST,
        run: |b| {
            let (pid, trace) = b.begin()?;
            let int = trace.handle().dup("regs/int")?;
            let float = int.dup("regs/float")?;
            let mut path = [0; 64];
            let n = b.host.fpath(float.fd(), &mut path)?;
            same!(&path[..n], format!("proc:{pid}/regs/float").as_bytes());
            same!(refused(int.dup("nothing").map(drop))?, Errno::EINVAL);
            let features = Handle::open(b.host, "proc:features", OpenFlags::O_RDONLY)?;
            same!(refused(features.dup("exe").map(drop))?, Errno::EINVAL);
            // The session ends with the last descriptor, not before.
            let copy = b.host.dup(trace.handle().fd(), "")?;
            trace.close()?;
            same!(refused(Trace::open(b.host, pid, OpenFlags::empty()).map(drop))?, Errno::EBUSY);
            b.host.close(copy)?;
            Trace::open(b.host, pid, OpenFlags::empty())?;
            Ok(())
        },
    },
    Rule {
        id: "R72",
        sentence: "When a tracer writes `mem`, page protection does not stop it: text can be changed.",
        guest: GUEST,
        run: |b| {
            let (_, trace) = b.begin()?;
            let mem = trace.mem()?;
            mem.write_at(0x40_0000, &[0xcc])?;
            trace.resume(PtraceFlags::STOP_BREAKPOINT)?;
            let event = trace.next()?.map(|event| event.cause());
            same!(event, Some(PtraceFlags::STOP_BREAKPOINT));
            Ok(())
        },
    },
    Rule {
        id: "R73",
        sentence: "When `regs` of a process that cannot be stopped now (it waits for its vfork child) is used, that is EAGAIN, and closing \
                   its `trace` does not wait.",
        guest: VFORKER,
        run: |b| {
            const CLONE: PtraceFlags = PtraceFlags::EVENT_CLONE;
            let (pid, trace) = b.begin()?;
            let regs = trace.regs()?;
            trace.resume(CLONE)?;
            let child = child_of(&event(&trace, CLONE)?);
            let born = Trace::open(b.host, child, OpenFlags::empty())?;
            b.to_call(&born, "getpid")?;
            // The parent may not have gone to sleep yet: no event tells when it does.
            same!(refused(regs.int())?, Errno::EAGAIN);
            trace.close()?;
            born.resume(PtraceFlags::empty())?;
            same!(b.ended(pid)?, Status::exited(6));
            Ok(())
        },
    },
    Rule {
        id: "R74",
        sentence: "When `proc:features` is read, it has a line `trace.x NAME BIT` for each experiment of this kernel.",
        guest: GUEST,
        run: |b| {
            let text = read_text(b.host, "proc:features")?;
            let text = String::from_utf8_lossy(&text);
            for (name, bit) in PtraceFlags::EXPERIMENTS.iter_names() {
                let line = format!("trace.x {name} {:#x}", bit.bits());
                ensure!(text.lines().any(|known| known == line), "no line: {line}");
            }
            Ok(())
        },
    },
    Rule {
        id: "R75",
        sentence: "When an open fails for several reasons, the first of these is told: ENODEV no scheme, EINVAL no such path, ESRCH no such \
                   process or it has ended, EPERM, EBUSY.",
        guest: GUEST,
        run: |b| {
            let (pid, trace) = b.begin()?;
            let stranger = b.client(Caller { pid: b.me().pid, uid: 4242, gid: 4242 });
            let open = |path: &str| refused(stranger.host().open(path, OpenFlags::O_RDWR));
            same!(open("net:7")?, Errno::ENODEV);
            for path in
                ["proc:", "proc:4000000", "proc:x/trace", "proc:-1/trace", "proc:4000000/nothing", "event:x"]
            {
                same!((path, open(path)?), (path, Errno::EINVAL));
            }
            same!(open("proc:4000000/trace")?, Errno::ESRCH);
            same!(open(&format!("proc:{pid}/nothing"))?, Errno::EINVAL);
            same!(open(&format!("proc:{pid}/trace"))?, Errno::EPERM);
            // It ends, and nobody waits for it.
            b.host.kill(pid, Signal::KILL)?;
            let _ = trace.resume(PtraceFlags::empty());
            same!(refused(trace.next())?, Errno::ESRCH);
            for op in ["trace", "mem", "regs/int", "exe", "status"] {
                same!((op, open(&format!("proc:{pid}/{op}"))?), (op, Errno::ESRCH));
            }
            Ok(())
        },
    },
];

fn cursor(b: &Bench<'_>, handle: &Handle<'_>) -> Check<u64> {
    Ok(b.host.seek(handle.fd(), 0, SEEK_CUR)?)
}
