//! [`on_sim`] and [`on_linux`]: a rule's guest on a fresh kernel over each machine, and the rule run on it.
//!
//! [`on_recording`] is the simulator again, recorded, and then the recording. All are one generic stage; they differ in how programs get there, what names mean, and who the tracer is.

use std::cell::RefCell;
use std::io::{Cursor, Write, sink};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::rc::Rc;

use backend_linux::Linux;
use kernel_model::abi::{Errno, Pid};
use kernel_model::kernel::{Kernel, Policy};
use kernel_model::local::{self, Local};
use kernel_model::machine::Machine;
use kernel_model::replay::{Header, Recording, Replay};
use kernel_model::scheme::{Caller, Host, Program};
use kernel_model::shared::Shared;
use kernel_model::sim::asm::{Image, Names, Segment, assemble};
use kernel_model::sim::{Quirks, Sim, SimConfig, SimNames, constant};

use super::{Access, BYSTANDER, Bench, Check, Client, Failure, Stage};
use crate::elf;
use crate::quirk::Quirky;

/// A test of a rule or of a divergence.
pub type Run = fn(&Bench<'_>) -> Check;

fn policy(access: Access) -> Policy {
    match access {
        Access::Descendants => Policy::Descendants,
        Access::SameUser => Policy::SameUser,
    }
}

/// What the two stages have in common.
struct OnLocal<M: Machine + 'static> {
    local: Local<M>,
    machine: &'static str,
    access: Access,
    me: Caller,
    images: Vec<Image>,
    names: Box<dyn Names>,
    reuse_pid: fn(&mut M, Pid) -> bool,
    /// A second kernel with the same guest, in the form that threads share.
    shared: Box<dyn Fn() -> Result<Shared<M>, Errno>>,
}

impl<M: Machine + 'static> OnLocal<M> {
    fn run(&self, run: impl FnOnce(&Bench<'_>) -> Check, quirk: Option<&'static str>) -> Check {
        let client = self.local.client(self.me);
        match quirk {
            None => run(&Bench::new(self, &client, None)),
            Some(rule) => {
                let host: &dyn Host = &client;
                run(&Bench::new(self, &Quirky::new(host, rule, self.me), Some(rule)))
            }
        }
    }
}

impl<M: Machine + 'static> Stage for OnLocal<M> {
    fn machine(&self) -> &'static str {
        self.machine
    }

    fn access(&self) -> Access {
        self.access
    }

    fn me(&self) -> Caller {
        self.me
    }

    fn client(&self, caller: Caller) -> Box<dyn Client> {
        Box::new(LocalClient(self.local.client(caller)))
    }

    fn program(&self, name: &str) -> Program {
        Program::new(self.names.path(name).unwrap_or_default())
    }

    fn label(&self, program: &str, label: &str) -> Option<u64> {
        self.images.iter().find(|image| image.name == program)?.labels.get(label).copied()
    }

    fn call(&self, name: &str) -> u64 {
        self.names.call(name).unwrap_or_else(|| panic!("no call is named {name}"))
    }

    fn reuse_pid(&self, pid: Pid) -> bool {
        self.local.with_machine(|machine| (self.reuse_pid)(machine, pid))
    }

    fn shared(&self, body: &mut dyn FnMut(&(dyn Host + Sync)) -> Check) -> Check {
        let shared = (self.shared)()?;
        body(&shared.client(self.me)?)
    }
}

struct LocalClient<M: Machine>(local::Client<M>);

impl<M: Machine + 'static> Client for LocalClient<M> {
    fn host(&self) -> &dyn Host {
        &self.0
    }

    fn fork(&self, caller: Caller) -> Box<dyn Client> {
        Box::new(LocalClient(self.0.fork(caller)))
    }

    fn exec(&self) {
        self.0.exec();
    }
}

fn text_of(guest: &str) -> String {
    format!("{guest}\n{BYSTANDER}")
}

/// Programs are files in a directory; constants are the simulator's, which took them from here; calls have their own
/// numbers.
struct LinuxNames {
    dir: PathBuf,
}

impl Names for LinuxNames {
    fn call(&self, name: &str) -> Option<u64> {
        CALLS.iter().find(|(call, _)| *call == name).map(|(_, number)| *number as u64)
    }

    fn constant(&self, name: &str) -> Option<u64> {
        constant(name)
    }

    fn path(&self, program: &str) -> Option<Vec<u8>> {
        Some(self.dir.join(program).into_os_string().into_vec())
    }
}

macro_rules! calls {
    ($($name:ident => $number:ident)*) => {
        const CALLS: &[(&str, libc::c_long)] = &[$((stringify!($name), libc::$number)),*];
    };
}

calls! {
    exit => SYS_exit
    getpid => SYS_getpid
    getppid => SYS_getppid
    getuid => SYS_getuid
    setuid => SYS_setuid
    fork => SYS_fork
    vfork => SYS_vfork
    execve => SYS_execve
    wait4 => SYS_wait4
    kill => SYS_kill
    rt_sigaction => SYS_rt_sigaction
    rt_sigreturn => SYS_rt_sigreturn
    pause => SYS_pause
    sched_yield => SYS_sched_yield
    getpgid => SYS_getpgid
    pipe => SYS_pipe
    write => SYS_write
}

/// Runs a rule on this system's kernel.
pub fn on_linux(guest: &str, run: impl FnOnce(&Bench<'_>) -> Check, access: Access) -> Check {
    let dir = tempfile::tempdir().map_err(Failure::new)?;
    let names = LinuxNames { dir: dir.path().to_owned() };
    let images = assemble(&text_of(guest), &names).map_err(Failure::new)?;
    for image in &images {
        let segments: Vec<elf::Segment> = image.segments.iter().cloned().map(elf_segment).collect();
        elf::write_executable(&dir.path().join(&image.name), elf::Class::Elf64, &segments, image.entry)
            .map_err(Failure::new)?;
    }
    let me = Caller {
        pid: Pid(std::process::id()),
        uid: nix::unistd::geteuid().as_raw(),
        gid: nix::unistd::getegid().as_raw(),
    };
    let stage = OnLocal {
        machine: "linux",
        access,
        me,
        images,
        names: Box::new(names),
        reuse_pid: |_, pid| set_next_pid(pid),
        shared: Box::new(move || Shared::start(move || Ok(Kernel::new(Linux::new(), policy(access))))),
        local: Local::new(Kernel::new(Linux::new(), policy(access))),
    };
    stage.run(run, None)
}

fn elf_segment(segment: Segment) -> elf::Segment {
    let Segment { address, bytes, writable, executable } = segment;
    elf::Segment { address, bytes, writable, executable }
}

/// proc(5): the next process gets the number after it, unless another is faster.
const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";

fn set_next_pid(pid: Pid) -> bool {
    std::fs::write(LAST_PID, (pid.0 - 1).to_string()).is_ok()
}

/// Why F15 cannot be tried on this system, if it cannot.
pub fn cannot_reuse_pids() -> Option<String> {
    // The right is asked for when it is written: what is there already does no harm.
    let rewritten = std::fs::read(LAST_PID).and_then(|pid| std::fs::write(LAST_PID, pid));
    rewritten.err().map(|error| format!("pids cannot be chosen: {LAST_PID}: {error}"))
}

/// What is broken on the simulator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Broken {
    /// Nothing.
    Nothing,
    /// This rule, at the file boundary ([`Quirky`]) or by the simulator's configuration.
    Rule(&'static str),
    /// The machine itself.
    Machine(Quirks),
}

/// The machine's own quirks, and a rule that notices each.
pub const MACHINE_QUIRKS: &[(&str, Quirks)] = &[
    ("F7", Quirks::RUNS_WHILE_HELD),
    ("F11", Quirks::STALE_STEP),
    ("R39", Quirks::PC_AFTER_TRAP),
    ("R30", Quirks::SKIP_FAILS),
    ("R41", Quirks::ONLY_HANDLED_SIGNALS),
    ("F25", Quirks::GROUP_STOP_RUNS),
    ("R46", Quirks::CHILDREN_ESCAPE),
    ("R72", Quirks::GUARDED_WRITES),
    ("R43", Quirks::KILL_WAITS),
    ("R35", Quirks::STEP_ENDS_WITH_CALL),
];

/// Runs a rule on the simulator.
pub fn on_sim(guest: &str, run: impl FnOnce(&Bench<'_>) -> Check, access: Access, broken: Broken) -> Check {
    let mut text = text_of(guest);
    let mut config = SimConfig::default();
    match broken {
        // Signals are acted on after the call, not inside it.
        Broken::Rule("R32" | "R33") => config.nested_signals = false,
        // A handler's own signal is not held back while it runs.
        Broken::Rule("R44") => text = text.replace("sa.restorer", "sa.restorer+sa.nodefer"),
        Broken::Machine(quirks) => config.quirks = quirks,
        Broken::Rule(_) | Broken::Nothing => {}
    }
    let mut sim = Sim::new(config.clone());
    sim.load(&text).map_err(Failure::new)?;
    let fresh = sim.clone();
    let stage = OnLocal {
        machine: "sim",
        access,
        me: Caller { pid: sim.owner(), uid: config.uid, gid: config.gid },
        images: assemble(&text, &SimNames).map_err(Failure::new)?,
        names: Box::new(SimNames),
        reuse_pid: |sim: &mut Sim, pid| sim.use_pid_again(pid),
        shared: Box::new(move || {
            let sim = fresh.clone();
            Shared::start(move || Ok(Kernel::new(sim, policy(access))))
        }),
        local: Local::new(Kernel::new(sim, policy(access))),
    };
    stage.run(run, if let Broken::Rule(rule) = broken { Some(rule) } else { None })
}

/// Bytes of a recording.
#[derive(Clone, Default)]
struct Tape(Rc<RefCell<Vec<u8>>>);

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Runs a rule on the simulator while it is recorded, and then, unless it has threads, on the recording: which request
/// comes between which reports is not the same twice with them.
pub fn on_recording(guest: &str, run: Run, access: Access, threads: bool) -> Check {
    let text = text_of(guest);
    let config = SimConfig::default();
    let mut sim = Sim::new(config.clone());
    sim.load(&text).map_err(Failure::new)?;
    let images = assemble(&text, &SimNames).map_err(Failure::new)?;
    let me = Caller { pid: sim.owner(), uid: config.uid, gid: config.gid };
    let began = 0;
    let header =
        Header { machine: "sim".to_owned(), caller: me, policy: policy(access), began, notes: Vec::new() };
    let tape = Tape::default();
    let (fresh, same) = (sim.clone(), header.clone());
    let recorded = OnLocal {
        machine: "sim",
        access,
        me,
        images: images.clone(),
        names: Box::new(SimNames),
        reuse_pid: |recording: &mut Recording<Sim>, pid| recording.machine().use_pid_again(pid),
        shared: Box::new(move || {
            let (sim, header) = (fresh.clone(), same.clone());
            Shared::start(move || Ok(Kernel::new(Recording::new(sim, &header, sink()), policy(access))))
        }),
        local: Local::new(Kernel::new(Recording::new(sim, &header, tape.clone()), policy(access))),
    };
    recorded.run(run, None).map_err(|why| Failure::new(format!("while it is recorded: {why}")))?;
    drop(recorded);
    if threads {
        return Ok(());
    }
    let bytes = tape.0.take();
    let calls = Sim::new(config).calls().to_vec();
    let replay = Replay::open(Cursor::new(bytes), |_| calls).map_err(Failure::new)?;
    let replayed = OnLocal {
        machine: "sim",
        access,
        me,
        images,
        names: Box::new(SimNames),
        reuse_pid: |_, _| true,
        shared: Box::new(|| Err(Errno::ENODATA)),
        local: Local::new(Kernel::new(replay, policy(access))),
    };
    replayed.run(run, None).map_err(|why| Failure::new(format!("when it is replayed: {why}")))?;
    match replayed.local.with_machine(|replay| replay.finish().cloned()) {
        None => Ok(()),
        Some(damage) => Err(Failure::new(damage)),
    }
}
