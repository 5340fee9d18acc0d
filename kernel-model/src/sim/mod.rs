//! [`Sim`]: a deterministic system with real machine code, made to argue about. It implements [`Machine`].
//!
//! From the outside in: `machine.rs` answers the kernel above; `sched.rs` gives turns; `calls.rs`, `files.rs`,
//! `family.rs`, `signal.rs` and `frames.rs` are the system; `cpu.rs`, `alu.rs`, `fpu.rs` and `memory.rs` the hardware; [`asm`] makes programs
//! from text; `look.rs` is for explorers, and `kept.rs` makes copies cheap.
//! RFC 0004 has the language, the calls' numbers, and what is decided where real systems differ.
//!
//! ```
//! use kernel_model::machine::{Demand, Machine, Program, Report, Verdict, Wait};
//! use kernel_model::sim::{Sim, SimConfig};
//!
//! let mut sim = Sim::new(SimConfig::default());
//! sim.load("program hello\n  sys getpid\n  sys exit, 7").unwrap();
//! let task = sim.spawn(&Program::new("hello")).unwrap();
//! sim.demand(task, Demand::CALL_ENTRY).unwrap();
//! sim.resume(task, Verdict::Proceed).unwrap();
//! assert_eq!(sim.next_stop(Wait::Block).unwrap(), Some((task, Report::CallEntry)));
//! ```
//!
//! [`Machine`]: crate::machine::Machine

mod alu;
pub mod asm;
mod calls;
mod cpu;
mod family;
mod files;
mod fpu;
mod frames;
mod kept;
mod log;
mod look;
mod machine;
mod memory;
mod names;
mod process;
mod sched;
mod signal;
mod tasks;

use std::collections::{BTreeMap, VecDeque};

use bitflags::bitflags;

use crate::abi::{Errno, Pid, Signal};
use crate::machine::{OnDeath, Report, Task, Verdict};

use asm::{AsmError, Image};
use files::File;
use kept::Kept;
use log::{Bell, Clock, Log};
pub use look::{Doing, Look};
pub use names::{CALLS, CallInfo, SimNames, call, constant};
use process::{Kind, Process};

bitflags! {
    /// Switches that break one rule each, so that the rule's test can be seen to fail. Only what a wrapper around the
    /// file boundary could not break; RFC 0004 says which rule.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Quirks: u32 {
        /// [`Wake::wake`](crate::machine::Wake::wake) is forgotten.
        const LOSES_WAKES = 1 << 0;
        /// A handler runs although the task is stopped, and the stop is then reported again (F7).
        const RUNS_WHILE_HELD = 1 << 1;
        /// A step that another stop came before is not forgotten: it raises SIGTRAP later (F11, R34).
        const STALE_STEP = 1 << 2;
        /// Every death is reported twice.
        const DIES_TWICE = 1 << 3;
        /// At a breakpoint the program counter is after the instruction (R39).
        const PC_AFTER_TRAP = 1 << 4;
        /// A call that is skipped fails with ENOSYS (R30).
        const SKIP_FAILS = 1 << 5;
        /// Signals stop only if there is a handler (R41, F4).
        const ONLY_HANDLED_SIGNALS = 1 << 6;
        /// Resuming a job-control stop continues the task.
        const GROUP_STOP_RUNS = 1 << 7;
        /// A child runs although it was reported as stopped (R46).
        const CHILDREN_ESCAPE = 1 << 8;
        /// A tracer's memory writes obey the page's protection (R-mem).
        const GUARDED_WRITES = 1 << 9;
        /// SIGKILL does not end a stop (R43, F23).
        const KILL_WAITS = 1 << 10;
        /// A step from within a call ends at its end (R35).
        const STEP_ENDS_WITH_CALL = 1 << 11;
    }
}

/// What can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SimConfig {
    /// Decides who runs. 0: one turn each, in a circle.
    pub seed: u64,
    /// A signal is acted on inside the call that it is for (Redox), or after that call (Linux).
    pub nested_signals: bool,
    /// User of the owner, and so of what it spawns.
    pub uid: u32,
    /// Group of the same.
    pub gid: u32,
    /// Lines that the log keeps; 0 for no log.
    pub log: usize,
    /// What is broken.
    pub quirks: Quirks,
}

impl Default for SimConfig {
    fn default() -> SimConfig {
        SimConfig { seed: 0, nested_signals: true, uid: 1000, gid: 1000, log: 0, quirks: Quirks::empty() }
    }
}

/// A process that is to exist without having been spawned: see [`Sim::add_process`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Newcomer<'a> {
    /// What it runs.
    pub program: &'a str,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Whose child it is.
    pub parent: Pid,
    /// Who else traces it.
    pub tracer: Option<Pid>,
}

/// A use of a place in the table of tasks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Slot {
    generation: u32,
    /// `None`: free.
    pid: Option<Pid>,
    /// Its end is reported even after it was detached.
    spawned: bool,
}

/// The simulator. A copy goes on independently; equal ones (but for their logs) have the same future.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sim {
    config: SimConfig,
    images: BTreeMap<String, Kept<Image>>,
    processes: BTreeMap<u32, Kept<Process>>,
    slots: Vec<Slot>,
    reports: VecDeque<(Task, Report)>,
    pipes: BTreeMap<u32, VecDeque<u8>>,
    next_pipe: u32,
    next_pid: u32,
    next_start: u64,
    output: [Vec<u8>; 2],
    random: u64,
    /// Who had the last turn.
    last: Pid,
    log: Log,
    bell: Bell,
    clock: Clock,
}

const INIT: Pid = Pid(1);
const SYSTEM: Pid = Pid(2);
const OWNER: Pid = Pid(3);

impl Sim {
    /// A system with pid 1 that adopts orphans, pid 2 of the system itself, and the owner.
    pub fn new(config: SimConfig) -> Sim {
        let mut owner = Process::bare(OWNER, Kind::Owner, Some(INIT), "sim:/owner", 3);
        (owner.uid, owner.gid) = (config.uid, config.gid);
        let processes = [
            Process::bare(INIT, Kind::Init, None, "sim:/init", 1),
            Process::bare(SYSTEM, Kind::System, None, "", 2),
            owner,
        ];
        Sim {
            images: BTreeMap::new(),
            processes: processes.map(|process| (process.pid.0, Kept::new(process))).into(),
            slots: Vec::new(),
            reports: VecDeque::new(),
            pipes: BTreeMap::new(),
            next_pipe: 1,
            next_pid: 4,
            next_start: 4,
            output: [Vec::new(), Vec::new()],
            // A generator of this kind must not start at 0.
            random: config.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            last: Pid(0),
            log: Log::new(config.log),
            clock: Clock::default(),
            bell: Bell::new(config.quirks.contains(Quirks::LOSES_WAKES)),
            config,
        }
    }

    /// Assembles `text` and makes its programs known under their names, in place of others with the same names.
    /// The first name is the main program's.
    pub fn load(&mut self, text: &str) -> Result<Vec<String>, AsmError> {
        let images = asm::assemble(text, &SimNames)?;
        let names = images.iter().map(|image| image.name.clone()).collect();
        self.images.extend(images.into_iter().map(|image| (image.name.clone(), Kept::new(image))));
        Ok(names)
    }

    /// The process that traces, seen from inside.
    pub fn owner(&self) -> Pid {
        OWNER
    }

    /// Adds a process that nobody here traces; it runs when others do.
    ///
    /// Errors: ENOENT no such program; ESRCH no such parent.
    pub fn add_process(&mut self, newcomer: &Newcomer<'_>) -> Result<Pid, Errno> {
        if !self.processes.contains_key(&newcomer.parent.0) {
            return Err(Errno::ESRCH);
        }
        let name = newcomer.program.as_bytes().to_vec();
        let pid = self.start(&name, std::slice::from_ref(&name), &[], newcomer.parent)?;
        let process = self.process(pid);
        (process.uid, process.gid, process.foreign) = (newcomer.uid, newcomer.gid, newcomer.tracer);
        Ok(pid)
    }

    /// Makes the next process get this pid, if nobody has it now. Pids go on from there.
    pub fn use_pid_again(&mut self, pid: Pid) -> bool {
        let free = !self.processes.contains_key(&pid.0);
        if free {
            self.next_pid = pid.0;
        }
        free
    }

    /// What the programs wrote to descriptor 1 or 2.
    pub fn output(&self, fd: u32) -> &[u8] {
        if fd == 2 { &self.output[1] } else { &self.output[0] }
    }

    /// The same, taken out.
    pub fn take_output(&mut self, fd: u32) -> Vec<u8> {
        std::mem::take(&mut self.output[usize::from(fd == 2)])
    }

    /// The last transitions, each with its reason: `4 blocked: pipe empty`.
    pub fn log(&self) -> impl Iterator<Item = &str> {
        self.log.lines()
    }

    /// The death of the process that traces: what it promised for each task happens, and its children are adopted.
    /// The world goes on under [`next_stop`](crate::machine::Machine::next_stop), which has nothing more to report.
    pub fn kill_owner(&mut self) {
        let traced: Vec<(Pid, OnDeath)> = self
            .processes
            .values()
            .filter_map(|process| process.trace.as_ref().map(|trace| (process.pid, trace.on_death)))
            .collect();
        for (pid, on_death) in traced {
            if self.process(pid).held().is_some() {
                self.let_go(pid, Verdict::Proceed);
            }
            self.process(pid).trace = None;
            if on_death == OnDeath::Kill {
                self.post(pid, Signal::KILL, self.owner());
            }
        }
        self.reports.clear();
        self.slots.clear();
        self.log.add(OWNER, || "ended: killed".into());
        self.processes.remove(&OWNER.0);
        self.orphan(OWNER);
    }

    /// A process that is known to exist: the caller has just found it in the table, or it is the one that runs.
    fn process(&mut self, pid: Pid) -> &mut Process {
        self.processes.get_mut(&pid.0).expect("the caller found this process in the table")
    }

    fn new_pid(&mut self) -> Pid {
        let named = |pid: u32| {
            self.processes
                .values()
                .any(|process| [process.pid, process.group, process.session].contains(&Pid(pid)))
        };
        let pid = (self.next_pid..).find(|pid| !named(*pid)).expect("there are fewer processes than numbers");
        self.next_pid = pid + 1;
        Pid(pid)
    }

    fn new_start(&mut self) -> u64 {
        self.next_start += 1;
        self.next_start - 1
    }

    /// A new process, before its first instruction.
    fn start(&mut self, path: &[u8], args: &[Vec<u8>], env: &[Vec<u8>], parent: Pid) -> Result<Pid, Errno> {
        let image = self.image(path).ok_or(Errno::ENOENT)?;
        let (memory, cpu) = family::load(&image, args, env)?;
        let (pid, start) = (self.new_pid(), self.new_start());
        let exe = format!("sim:/{}", image.name);
        let mut process = Process::bare(pid, Kind::Program, Some(parent), &exe, start);
        let parent = self.process(parent);
        (process.uid, process.gid) = (parent.uid, parent.gid);
        (process.group, process.session) = (parent.group, parent.session);
        (process.memory, process.cpu) = (memory, cpu);
        process.files = [(0, File::Empty), (1, File::Output(0)), (2, File::Output(1))].into();
        self.processes.insert(pid.0, Kept::new(process));
        self.log.add(pid, || format!("born: runs {}", image.name));
        Ok(pid)
    }
}
