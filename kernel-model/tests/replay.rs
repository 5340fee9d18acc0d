//! Recordings of the simulator: wrapping changes nothing, a replay answers the same, what is damaged is told and never
//! worse than that.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{Cursor, ErrorKind, Write};
use std::rc::Rc;

use kernel_model::abi::{Errno, EventFlags, OpenFlags, Pid, PtraceFlags, Status};
use kernel_model::client::{EventQueue, Mem, Regs, Trace, read_text};
use kernel_model::kernel::{Kernel, Policy};
use kernel_model::local::Local;
use kernel_model::machine::{CallName, Demand, Detail, Machine, Report, Task, Verdict, Wait};
use kernel_model::replay::{Damage, Header, Recording, Replay};
use kernel_model::scheme::{Caller, Host, Program};
use kernel_model::sim::{Sim, SimConfig};

const PROGRAM: &str = "program pingpong
    sys pipe, there
    sys fork
    test rax, rax
    je   child
    sys write, 4, ping, 5
    sys wait4, -1, 0, 0, 0
    sys exit, 0
child:
    sys read, 3, buffer, 5
    sys write, 1, buffer, 5
    sys exit, 3
.data
there:  .word 0
buffer: .space 8
ping:   .asciz \"ping \"
";

fn sim() -> Sim {
    let mut sim = Sim::new(SimConfig::default());
    sim.load(PROGRAM).unwrap();
    sim
}

fn caller(sim: &Sim) -> Caller {
    let SimConfig { uid, gid, .. } = SimConfig::default();
    Caller { pid: sim.owner(), uid, gid }
}

fn header(sim: &Sim) -> Header {
    let notes = vec![("why".to_owned(), b"a test".to_vec())];
    Header { machine: "sim".to_owned(), caller: caller(sim), policy: Policy::Descendants, began: 7, notes }
}

fn calls(_: &Header) -> Vec<CallName> {
    Sim::new(SimConfig::default()).calls().to_vec()
}

/// A file that is kept, with room for so many bytes.
#[derive(Clone)]
struct Disk(Rc<RefCell<Vec<u8>>>, usize);

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut disk = self.0.borrow_mut();
        let room = (self.1 - disk.len()).min(bytes.len());
        disk.extend_from_slice(&bytes[..room]);
        if room == 0 { Err(ErrorKind::StorageFull.into()) } else { Ok(room) }
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a tool wants.
#[derive(Clone, Copy, PartialEq)]
enum Wants {
    /// Every call of every process, registers and memory.
    All,
    /// Calls that write, of the first process.
    Writes,
    /// To step.
    Steps,
    /// No call to be made.
    Skips,
}

/// Follows a program to its end, or to an error, and tells all that it saw.
fn tell(host: &dyn Host, program: &Program, wants: Wants) -> String {
    let mut story = String::new();
    let end = follow(host, program, wants, &mut story);
    writeln!(story, "{end:?}").unwrap();
    story
}

fn follow(
    host: &dyn Host,
    program: &Program,
    wants: Wants,
    story: &mut String,
) -> Result<Option<Status>, Errno> {
    let mut mask = PtraceFlags::STOP_PRE_SYSCALL | PtraceFlags::STOP_SIGNAL | PtraceFlags::EVENT_DEATH;
    match wants {
        Wants::All => mask |= PtraceFlags::STOP_POST_SYSCALL | PtraceFlags::EVENT_CLONE,
        Wants::Writes => {}
        Wants::Skips => mask |= PtraceFlags::FLAG_IGNORE,
        Wants::Steps => mask |= PtraceFlags::STOP_SINGLESTEP,
    }
    let root = host.spawn(program)?;
    let queue = EventQueue::open(host, OpenFlags::empty())?;
    let mut traces: Vec<Option<(Pid, Trace<'_>)>> = Vec::new();
    let adopt = |pid: Pid, traces: &mut Vec<Option<(Pid, Trace<'_>)>>, story: &mut String| {
        let trace = Trace::experimental(host, pid, OpenFlags::O_NONBLOCK)?;
        if wants == Wants::Writes {
            trace.handle().dup("sets/entry")?.write(b"write")?;
        }
        queue.watch(trace.handle().fd(), traces.len() as u64)?;
        let exe = read_text(host, &format!("proc:{pid}/exe"))?;
        writeln!(
            story,
            "{pid} {} ready {:?}",
            String::from_utf8_lossy(&exe),
            host.fevent(trace.handle().fd(), EventFlags::READ)
        )
        .unwrap();
        trace.resume(mask)?;
        traces.push(None);
        Ok::<_, Errno>(trace)
    };
    let trace = adopt(root, &mut traces, story)?;
    traces[0] = Some((root, trace));
    while traces.iter().any(Option::is_some) {
        let key = queue.next()?.data as usize;
        while let Some((pid, trace)) = &traces[key] {
            let pid = *pid;
            match trace.next() {
                Err(Errno::EAGAIN) => break,
                Err(Errno::ESRCH) => traces[key] = None,
                Err(errno) => return Err(errno),
                Ok(None) => trace.resume(mask)?,
                Ok(Some(event)) => {
                    let regs = Regs::open(host, pid).and_then(|regs| regs.int());
                    let mut text = [0; 8];
                    let read = regs.and_then(|regs| Mem::open(host, pid)?.read_at(regs.rsi, &mut text));
                    writeln!(story, "{pid} {event:?} {regs:?} {read:?} {text:?}").unwrap();
                    if event.cause() == PtraceFlags::EVENT_CLONE {
                        let child = Pid(event.a as u32);
                        let (at, trace) = (traces.len(), adopt(child, &mut traces, story)?);
                        traces[at] = Some((child, trace));
                    }
                }
            }
        }
    }
    host.wait(root, true)
}

fn on<M: Machine>(machine: M, caller: Caller, wants: Wants) -> (String, Local<M>) {
    let local = Local::new(Kernel::new(machine, Policy::Descendants));
    let story = tell(&local.client(caller), &Program::new("pingpong"), wants);
    (story, local)
}

/// A recording by this tool, and what the tool saw.
fn recorded(wants: Wants) -> (String, Vec<u8>) {
    let (sim, disk) = (sim(), Disk(Rc::default(), usize::MAX));
    let (caller, header) = (caller(&sim), header(&sim));
    let (story, local) = on(Recording::new(sim, &header, disk.clone()), caller, wants);
    local.with_machine(|recording| assert!(recording.failure().is_none()));
    drop(local);
    let bytes = disk.0.borrow().clone();
    (story, bytes)
}

fn replayed(file: &[u8], wants: Wants) -> Result<(String, Option<Damage>), Damage> {
    let replay = Replay::open(Cursor::new(file.to_vec()), calls)?;
    let caller = replay.header().caller;
    let (story, local) = on(replay, caller, wants);
    Ok((story, local.with_machine(|replay| replay.finish().cloned())))
}

#[test]
fn wrapping_changes_nothing_and_a_replay_tells_the_same() {
    let sim = sim();
    let caller = caller(&sim);
    let (bare, _) = on(sim, caller, Wants::All);
    let (story, file) = recorded(Wants::All);
    assert_eq!(story, bare);
    assert!(story.lines().count() > 15 && story.ends_with("Ok(Some(Status(0)))\n"), "{story}");
    let (again, damage) = replayed(&file, Wants::All).unwrap();
    assert_eq!((again, damage), (story, None));
}

#[test]
fn the_header_comes_back_and_so_does_the_clock() {
    let (_, file) = recorded(Wants::All);
    let mut replay = Replay::open(Cursor::new(file), calls).unwrap();
    assert_eq!(*replay.header(), header(&sim()));
    assert_eq!(replay.header().notes("why").collect::<Vec<_>>(), [b"a test"]);
    assert_eq!(replay.program().unwrap(), Program::new("pingpong"));
    let time = replay.time();
    assert_eq!(time.nanos(), 0);
    on(replay, caller(&sim()), Wants::All);
    assert!(time.nanos() > 0);
}

#[test]
fn a_tool_that_asks_for_less_gets_what_it_would_have_got() {
    let (story, file) = recorded(Wants::All);
    let (less, damage) = replayed(&file, Wants::Writes).unwrap();
    assert_eq!(damage, None);
    let sim = sim();
    let caller = caller(&sim);
    let (bare, _) = on(sim, caller, Wants::Writes);
    // The clocks of calls differ, if at all, by nothing that this tool sees.
    assert_eq!(less, bare);
    assert!(less.lines().count() < story.lines().count());
}

#[test]
fn what_was_not_recorded_is_enodata() {
    let (_, file) = recorded(Wants::Writes);
    for wants in [Wants::All, Wants::Steps, Wants::Skips] {
        let (story, damage) = replayed(&file, wants).unwrap();
        assert_eq!(story.lines().last(), Some("Err(ENODATA)"), "{story}");
        assert_eq!(damage, None);
    }
    let replay = Replay::open(Cursor::new(file), calls).unwrap();
    let local = Local::new(Kernel::new(replay, Policy::Descendants));
    let client = local.client(caller(&sim()));
    assert_eq!(client.spawn(&Program::new("another")), Err(Errno::ENODATA));
    let pid = client.spawn(&Program::new("pingpong")).unwrap();
    assert_eq!(Mem::open(&client, pid).unwrap().word(0x40_0000), Err(Errno::ENODATA));
}

#[test]
fn a_full_disk_ends_the_recording_and_nothing_else() {
    let (story, file) = recorded(Wants::All);
    for room in [0, 10, 100, file.len() / 2, file.len() - 1] {
        let sim = sim();
        let (disk, caller, header) = (Disk(Rc::default(), room), caller(&sim), header(&sim));
        let (same, local) = on(Recording::new(sim, &header, disk.clone()), caller, Wants::All);
        assert_eq!(same, story);
        local.with_machine(|recording| match recording.failure() {
            Some(failure) => assert_eq!(failure.kind(), ErrorKind::StorageFull),
            None => assert_eq!(room, file.len() - 1, "the end is what did not fit"),
        });
    }
}

/// Whether all that was told before the first answer that is missing is so, and nothing but the end comes after that.
fn is_prefix(part: &str, whole: &str) -> bool {
    let told = part.lines().take_while(|line| !line.contains("ENODATA")).count();
    let lines: Vec<&str> = part.lines().collect();
    lines.len() - told <= 2 && lines[..told].iter().zip(whole.lines()).all(|(part, whole)| *part == whole)
}

#[test]
fn every_cut_is_told_and_what_was_whole_is_replayed() {
    let (story, file) = recorded(Wants::All);
    let mut longest = 0;
    for cut in 0..file.len() {
        match replayed(&file[..cut], Wants::All) {
            Err(damage) => assert!(damage.offset <= cut as u64, "{cut}: {damage}"),
            Ok((part, damage)) => {
                let damage = damage.unwrap_or_else(|| panic!("cut at {cut}: not told"));
                assert!(damage.offset <= cut as u64, "{cut}: {damage}");
                assert!(part == story || is_prefix(&part, &story), "cut at {cut}: {part}");
                assert!(part.len() + 40 >= longest, "cut at {cut}: a longer file tells less");
                longest = longest.max(part.len());
            }
        }
    }
    assert!(longest >= story.len(), "nearly all of a file tells nearly all");
}

#[test]
fn every_changed_byte_is_told() {
    let (story, file) = recorded(Wants::All);
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 1 << (at % 8);
        match replayed(&changed, Wants::All) {
            Err(damage) => assert!(damage.offset <= at as u64, "{at}: {damage}"),
            Ok((part, damage)) => {
                let damage = damage.unwrap_or_else(|| panic!("changed at {at}: not told"));
                assert!(damage.offset <= at as u64, "{at}: {damage}");
                assert!(part == story || is_prefix(&part, &story), "changed at {at}: {part}");
            }
        }
    }
}

/// The payloads of a file's records, the header's first: where each begins and ends. The seal follows.
fn payloads(file: &[u8]) -> Vec<(usize, usize, usize)> {
    let mut found = Vec::new();
    let mut at = file.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    while at < file.len() {
        let (mut from, mut length) = (at + 1, 0);
        for shift in (0..).step_by(7) {
            length |= usize::from(file[from] & 0x7f) << shift;
            from += 1;
            if file[from - 1] < 0x80 {
                break;
            }
        }
        found.push((at, from, from + length));
        at = from + length + 4;
    }
    found
}

/// A forged file, with good checksums: it may tell any story, but it ends, and nothing breaks.
#[test]
fn forged_records_end_too() {
    let (_, file) = recorded(Wants::All);
    let records = payloads(&file);
    assert!(records.len() > 50);
    let mut other = 0;
    for (start, from, end) in records {
        for at in (start..end).filter(|at| *at == start || *at >= from) {
            for bits in [0x01, 0x7f] {
                let mut forged = file.clone();
                forged[at] ^= bits;
                let mut seal = crc32fast::Hasher::new();
                seal.update(&(start as u64).to_le_bytes());
                seal.update(&forged[start..end]);
                forged[end..end + 4].copy_from_slice(&seal.finalize().to_le_bytes());
                other += u32::from(!matches!(replayed(&forged, Wants::All), Ok((_, Some(_)))));
            }
        }
    }
    assert!(other > 100, "the seals are good: most forgeries are believed ({other})");
}

/// Holds the parent before its write, while its child waits for that; `ask` then gets the child, and a look must find nothing.
fn held_and_looked<M: Machine>(machine: &mut M, ask: impl Fn(&mut M, Task)) -> Vec<(Task, Report)> {
    let wanted = Demand::CALL_ENTRY | Demand::CALL_EXIT | Demand::BORN;
    let write = sim().calls().iter().find(|call| call.name == "write").unwrap().number;
    let root = machine.spawn(&Program::new("pingpong")).unwrap();
    machine.demand(root, wanted).unwrap();
    machine.resume(root, Verdict::Proceed).unwrap();
    let (mut story, mut child, mut held) = (Vec::new(), None, false);
    while let Some((task, report)) = machine.next_stop(Wait::Block).unwrap() {
        story.push((task, report));
        match report {
            Report::Gone { .. } if task == root => break,
            Report::Gone { .. } => continue,
            Report::Born { child: born, .. } => {
                child = Some(born);
                machine.demand(born, wanted).unwrap();
                machine.resume(born, Verdict::Proceed).unwrap();
            }
            _ => {}
        }
        let detail = machine.detail(task).unwrap();
        let writes = matches!(detail, Detail::Call { number, .. } if number == write);
        if task == root && report == Report::CallEntry && writes && !std::mem::replace(&mut held, true) {
            while let Some((task, report)) = machine.next_stop(Wait::Poll).unwrap() {
                story.push((task, report));
                machine.resume(task, Verdict::Proceed).unwrap();
            }
            ask(machine, child.unwrap());
            assert_eq!(machine.next_stop(Wait::Poll).unwrap(), None);
        }
        machine.resume(task, Verdict::Proceed).unwrap();
    }
    assert!(held);
    story
}

#[test]
fn a_look_finds_nothing_that_comes_after_what_is_held() {
    let (sim, disk) = (sim(), Disk(Rc::default(), usize::MAX));
    let header = header(&sim);
    let mut recording = Recording::new(sim, &header, disk.clone());
    let story = held_and_looked(&mut recording, |_, _| ());
    drop(recording);
    let mut replay = Replay::open(Cursor::new(disk.0.borrow().clone()), calls).unwrap();
    // A question that was not recorded makes the reader look for it beyond the next report.
    let again = held_and_looked(&mut replay, |replay, child| replay.interrupt(child).unwrap());
    assert_eq!(again, story);
}
