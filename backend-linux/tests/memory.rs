//! Memory, registers and facts, with the errors of each; and the errors of attaching.

mod common;

use common::{CALLS, Free, Tracer, guest};
use kernel_model::abi::{EnvRegisters, FloatRegisters};
use kernel_model::machine::{
    Demand, Error, Leave, Machine, OnDeath, Pid, RegSet, Report, Signal, State, Status, Task, Verdict, Wait,
};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use zerocopy::{FromZeros, IntoBytes};

/// A guest with one page of which it printed the address, followed by nothing.
fn area() -> (Free, u64, u64) {
    let mut free = Free::start(&["area"]);
    let number = |line: String| line.split(' ').nth(1).unwrap().parse().unwrap();
    let area = number(free.line());
    let text = number(free.line());
    (free, area, text)
}

fn check_memory(tracer: &mut Tracer, pid: Pid, area: u64, text: u64) {
    let start = tracer.machine.facts(pid).unwrap().start;
    let machine = &mut tracer.machine;
    let mut byte = [0];
    machine.read_mem(pid, start, area + 4095, &mut byte).unwrap();
    assert_eq!(byte, *b"x");
    let mut page = [1; 4096];
    machine.read_mem(pid, start, area, &mut page).unwrap();
    assert_eq!((page[8], page[4095]), (0, b'x'));
    machine.write_mem(pid, start, area, b"yes").unwrap();
    // Read-only text can be written, as a breakpoint must.
    let mut old = [0; 2];
    machine.read_mem(pid, start, text, &mut old).unwrap();
    machine.write_mem(pid, start, text, &old).unwrap();
    // Across the end, after it, at nothing, and where no offset reaches.
    for (address, len) in
        [(area + 4095, 2), (area + 4096, 1), (0, 1), (1 << 63, 1), (u64::MAX, 2), (u64::MAX - 1, 1)]
    {
        assert_eq!(machine.read_mem(pid, start, address, &mut page[..len]), Err(Error::Fault), "{address:x}");
        assert_eq!(machine.write_mem(pid, start, address, &page[..len]), Err(Error::Fault), "{address:x}");
    }
    machine.read_mem(pid, start, 0, &mut []).unwrap();
    assert_eq!(machine.read_mem(pid, start + 1, area, &mut byte), Err(Error::Gone));
}

#[test]
fn memory_of_a_task_traced_or_not() {
    let (mut free, area, text) = area();
    let mut tracer = Tracer::new();
    check_memory(&mut tracer, free.pid(), area, text);
    let task = tracer.machine.attach(free.pid(), OnDeath::Leave).unwrap();
    check_memory(&mut tracer, free.pid(), area, text);
    tracer.machine.interrupt(task).unwrap();
    assert_eq!(tracer.next(), (task, Report::Interrupt));
    check_memory(&mut tracer, free.pid(), area, text);
    tracer.go(task);
    free.go();
    tracer.finish(task);
    assert_eq!(free.finish().0, format!("byte {}\n", i32::from(b'y')));
}

/// An exec leaves the old address space behind.
#[test]
fn memory_follows_exec() {
    let mut free = Free::start(&["go", "exec", guest(), "exit", "0"]);
    let mut tracer = Tracer::new();
    let task = tracer.hold(&free, Demand::IMAGE);
    let pid = free.pid();
    let start = tracer.machine.facts(pid).unwrap().start;
    let stack = tracer.regs(task).rsp;
    tracer.machine.read_mem(pid, start, stack, &mut [0; 8]).unwrap();
    free.go();
    tracer.go(task);
    assert_eq!(tracer.next(), (task, Report::Image { former: pid }));
    assert_eq!(tracer.machine.facts(pid).unwrap().start, start);
    // On top of a new program's stack is the number of its arguments.
    let mut count = [0; 8];
    let stack = tracer.regs(task).rsp;
    tracer.machine.read_mem(pid, start, stack, &mut count).unwrap();
    assert_eq!(u64::from_ne_bytes(count), 3);
    tracer.go(task);
    tracer.finish(task);
    assert_eq!(tracer.machine.read_mem(pid, start, stack, &mut count), Err(Error::Gone));
    free.finish();
}

/// A zombie has facts, but neither memory nor a tracer.
#[test]
fn a_zombie_has_facts_only() {
    let mut free = Free::start(&["exit", "0"]);
    let id = Id::Pid(nix::unistd::Pid::from_raw(free.child.id() as i32));
    waitid(id, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
    let mut tracer = Tracer::new();
    let facts = tracer.machine.facts(free.pid()).unwrap();
    assert_eq!((facts.state, facts.user), (State::Zombie, true));
    assert_eq!(tracer.machine.attach(free.pid(), OnDeath::Leave), Err(Error::Gone));
    assert_eq!(tracer.machine.read_mem(free.pid(), facts.start, 0x1000, &mut [0]), Err(Error::Gone));
    free.child.wait().unwrap();
    assert_eq!(tracer.machine.facts(free.pid()), Err(Error::Gone));
}

#[test]
fn attaching_says_why_not() {
    let mut tracer = Tracer::new();
    let mut attach = |pid: u32| tracer.machine.attach(Pid(pid), OnDeath::Leave);
    for nobody in [0, u32::MAX, i32::MAX as u32] {
        assert_eq!(attach(nobody), Err(Error::Gone));
    }
    assert_eq!(attach(std::process::id()), Err(Error::Denied));
    // Where process 2 is kthreadd, not in a container.
    if std::fs::read_to_string("/proc/2/comm").is_ok_and(|name| name == "kthreadd\n") {
        assert_eq!(attach(2), Err(Error::Denied));
        assert!(!tracer.machine.facts(Pid(2)).unwrap().user);
    }
    let free = Free::start(&["read"]);
    let task = tracer.machine.attach(free.pid(), OnDeath::Leave).unwrap();
    assert_eq!(tracer.machine.attach(free.pid(), OnDeath::Leave), Err(Error::Traced));
    assert_eq!(Tracer::new().machine.attach(free.pid(), OnDeath::Leave), Err(Error::Traced));
    assert_eq!(tracer.machine.facts(free.pid()).unwrap().tracer, None);
    let pid = free.pid();
    std::thread::spawn(move || {
        assert!(Tracer::new().machine.facts(pid).unwrap().tracer.is_some());
    })
    .join()
    .unwrap();
    tracer.machine.detach(task, Leave::Free(Verdict::Proceed)).unwrap();
    free.finish();
}

fn held(free: &Free) -> (Tracer, Task) {
    let mut tracer = Tracer::new();
    let task = tracer.hold(free, Demand::empty());
    (tracer, task)
}

#[test]
fn registers_of_a_running_task_are_refused() {
    let free = Free::start(&["read"]);
    let (mut tracer, task) = held(&free);
    tracer.go(task);
    let mut buf = [0; 168];
    assert_eq!(tracer.machine.read_regs(task, RegSet::Int, &mut buf), Err(Error::Running));
    assert_eq!(tracer.machine.write_regs(task, RegSet::Int, &buf), Err(Error::Running));
    assert_eq!(tracer.machine.detail(task), Err(Error::Running));
    assert_eq!(tracer.machine.resume(task, Verdict::Proceed), Err(Error::Running));
    drop(tracer);
    free.finish();
}

#[test]
fn float_and_env_registers() {
    let free = Free::start(&["read"]);
    let (mut tracer, task) = held(&free);
    assert_eq!(RegSet::all().map(|set| tracer.machine.reg_size(set)), [168, 416, 16]);
    let mut float = FloatRegisters::new_zeroed();
    tracer.machine.read_regs(task, RegSet::Float, float.as_mut_bytes()).unwrap();
    float.st[0] = [0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f, 0, 0, 0, 0, 0, 0];
    float.xmm[15] = *b"sixteen letters!";
    let kept = (float.mxcsr, float.mxcsr_mask);
    float.mxcsr |= 0xffff_0000;
    float.mxcsr_mask = 0;
    tracer.machine.write_regs(task, RegSet::Float, float.as_bytes()).unwrap();
    let mut again = FloatRegisters::new_zeroed();
    tracer.machine.read_regs(task, RegSet::Float, again.as_mut_bytes()).unwrap();
    assert_eq!((again.xmm[15], again.st[0]), (float.xmm[15], float.st[0]));
    assert_eq!((again.mxcsr & 0xffff, again.mxcsr_mask), (kept.0, kept.1));
    assert_eq!(again.mxcsr & !kept.1, 0);

    let mut env = EnvRegisters::default();
    tracer.machine.read_regs(task, RegSet::Env, env.as_mut_bytes()).unwrap();
    let gs = EnvRegisters { gsbase: 0x7000, ..env };
    tracer.machine.write_regs(task, RegSet::Env, gs.as_bytes()).unwrap();
    tracer.machine.read_regs(task, RegSet::Env, env.as_mut_bytes()).unwrap();
    assert_eq!(env, gs);
    for bad in [1 << 47, 1 << 63, u64::MAX, 0x7fff_ffff_f000] {
        let bad = EnvRegisters { fsbase: bad, ..env };
        assert_eq!(tracer.machine.write_regs(task, RegSet::Env, bad.as_bytes()), Err(Error::Invalid));
    }
    let mut first = [0; 8];
    tracer.machine.read_regs(task, RegSet::Int, &mut first).unwrap();
    assert_eq!(u64::from_ne_bytes(first), tracer.regs(task).r15);
    for set in RegSet::all() {
        assert_eq!(tracer.machine.write_regs(task, set, &[0; 3]), Err(Error::Invalid));
    }
    drop(tracer);
    free.finish();
}

trait All {
    fn all() -> [RegSet; 3];
}

impl All for RegSet {
    fn all() -> [RegSet; 3] {
        [RegSet::Int, RegSet::Float, RegSet::Env]
    }
}

/// A task moved away from an interrupted call is not set back by the call's restart, and one moved back restarts it.
#[test]
fn a_moved_task_stays_where_it_is_put() {
    for exit in [false, true] {
        let (free, mut tracer, task) = in_read();
        let before = tracer.regs(task);
        assert!((-516..=-512).contains(&(before.rax as i64)), "{}", before.rax as i64);
        let mut moved = before;
        moved.rip -= 2;
        moved.rax = libc::SYS_exit_group as u64;
        moved.rdi = 42;
        tracer.set_regs(task, &moved);
        assert_eq!(tracer.regs(task), moved);
        if exit {
            tracer.go(task);
            assert_eq!(tracer.finish(task), Some(Status::exited(42)));
            free.finish();
            continue;
        }
        tracer.set_regs(task, &before);
        assert_eq!(tracer.regs(task), before);
        tracer.demand(task, CALLS);
        tracer.go(task);
        assert_eq!(tracer.next(), (task, Report::CallEntry));
        assert_eq!(tracer.call(task).0, libc::SYS_read as u64);
        drop(tracer);
        assert_eq!(free.finish(), ("eof 0\n".into(), 3));
    }
}

/// Interrupted in its read of standard input.
fn in_read() -> (Free, Tracer, Task) {
    let mut free = Free::start(&["go", "read"]);
    let mut tracer = Tracer::new();
    let task = tracer.hold(&free, Demand::CALL_ENTRY | Demand::CALL_EXIT);
    free.go();
    tracer.go(task);
    let input = |tracer: &mut Tracer| {
        tracer.until_entry(task, libc::SYS_read);
        tracer.go(task);
    };
    // The first read takes the byte.
    input(&mut tracer);
    input(&mut tracer);
    tracer.demand(task, Demand::empty());
    tracer.machine.interrupt(task).unwrap();
    tracer.until(task, |_, report| report == Report::Interrupt);
    (free, tracer, task)
}

#[test]
fn signals_reach_processes_and_say_why_not() {
    let free = Free::start(&["read"]);
    let mut tracer = Tracer::new();
    assert_eq!(tracer.machine.signal(Pid(0), Signal::TERM), Err(Error::Gone));
    assert_eq!(tracer.machine.signal(free.pid(), Signal(65)), Err(Error::Invalid));
    assert_eq!(tracer.machine.signal(Pid(i32::MAX as u32), Signal::TERM), Err(Error::Gone));
    tracer.signal(free.pid(), Signal::TERM);
    assert_eq!(free.finish().1, -1);
    assert_eq!(tracer.machine.next_stop(Wait::Block), Err(Error::Idle));
}
