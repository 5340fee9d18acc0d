//! The two machines under a scenario: [`on_sim`] and [`on_linux`]; and [`Calls`], the names of their calls.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{Read, Seek};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use backend_linux::Linux;
use kernel_model::abi::Pid;
use kernel_model::kernel::{Kernel, Policy};
use kernel_model::local::Local;
use kernel_model::machine::Machine;
use kernel_model::scenario::Scenario;
use kernel_model::scheme::{Caller, Program};
use kernel_model::sim::asm::{Names, Segment, assemble};
use kernel_model::sim::{CALLS, Sim, SimConfig, constant};

use super::drive::{Observation, drive};
use crate::elf;

/// A machine's numbers of the calls that programs here make.
pub struct Calls(Vec<(&'static str, u64)>);

impl Calls {
    /// A number's name.
    pub fn name(&self, number: u64) -> String {
        let found = self.0.iter().find(|(_, known)| *known == number);
        found.map_or_else(|| format!("call {number}"), |(name, _)| (*name).into())
    }

    /// A name's number.
    pub fn number(&self, name: &str) -> u64 {
        self.0.iter().find(|(known, _)| *known == name).map_or(u64::MAX, |(_, number)| *number)
    }

    /// How many arguments it takes.
    pub fn arguments(&self, name: &str) -> usize {
        CALLS.iter().find(|call| call.name == name).map_or(0, |call| call.arguments.len())
    }
}

macro_rules! linux_calls {
    ($($name:ident => $number:ident)*) => {
        vec![$((stringify!($name), libc::$number as u64)),*]
    };
}

fn linux_calls() -> Calls {
    Calls(linux_calls! {
        exit => SYS_exit
        getpid => SYS_getpid
        getppid => SYS_getppid
        getuid => SYS_getuid
        fork => SYS_fork
        execve => SYS_execve
        wait4 => SYS_wait4
        kill => SYS_kill
        rt_sigaction => SYS_rt_sigaction
        rt_sigprocmask => SYS_rt_sigprocmask
        rt_sigreturn => SYS_rt_sigreturn
        sched_yield => SYS_sched_yield
        pipe => SYS_pipe
        read => SYS_read
        write => SYS_write
        close => SYS_close
        mprotect => SYS_mprotect
    })
}

struct LinuxNames<'a> {
    dir: &'a Path,
    calls: &'a Calls,
}

impl Names for LinuxNames<'_> {
    fn call(&self, name: &str) -> Option<u64> {
        Some(self.calls.number(name)).filter(|number| *number != u64::MAX)
    }

    fn constant(&self, name: &str) -> Option<u64> {
        constant(name)
    }

    fn path(&self, program: &str) -> Option<Vec<u8>> {
        Some(self.dir.join(program).into_os_string().into_vec())
    }
}

fn me() -> (u32, u32) {
    (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw())
}

fn play<M: Machine>(
    local: &Local<M>,
    me: Caller,
    calls: &Calls,
    scenario: &Scenario,
    program: &Program,
) -> Observation {
    let client = local.client(me);
    // A tracer's own error is an observation like others: the machines must agree about it.
    drive(&client, calls, scenario, program)
        .unwrap_or_else(|errno| Observation { status: format!("{errno:?}"), ..Observation::default() })
}

/// Plays a scenario on the simulator. What is compared with Linux asks for its order of signals (R32's row).
pub fn on_sim(scenario: &Scenario) -> Result<Observation, String> {
    let (uid, gid) = me();
    // Any order of tasks will do; so each program has its own.
    let seed = scenario.programs.bytes().fold(5, |seed: u64, byte| seed.wrapping_mul(31) ^ u64::from(byte));
    let config =
        SimConfig { seed, nested_signals: !scenario.deferred_signals, uid, gid, ..SimConfig::default() };
    let mut sim = Sim::new(config);
    sim.load(&scenario.programs).map_err(|error| error.to_string())?;
    let me = Caller { pid: sim.owner(), uid, gid };
    let calls = Calls(CALLS.iter().map(|call| (call.name, call.number)).collect());
    let local = Local::new(Kernel::new(sim, Policy::SameUser));
    let mut seen = play(&local, me, &calls, scenario, &Program::new("main"));
    seen.set_output(&local.with_machine(|sim| sim.take_output(1)));
    Ok(seen)
}

/// Where tracees on Linux write: a file that is this process's standard output, opened for appending.
pub struct Output {
    file: File,
    dir: PathBuf,
}

impl Output {
    /// `path` is that file; programs go to `dir`.
    pub fn new(path: &Path, dir: &Path) -> std::io::Result<Output> {
        Ok(Output { file: OpenOptions::new().read(true).write(true).open(path)?, dir: dir.into() })
    }

    fn take(&mut self) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file.rewind()?;
        self.file.read_to_end(&mut bytes)?;
        self.file.set_len(0)?;
        Ok(bytes)
    }
}

/// Plays a scenario on this system's kernel. The process must have no other thread.
pub fn on_linux(scenario: &Scenario, output: &mut Output) -> Result<Observation, String> {
    let calls = linux_calls();
    let names = LinuxNames { dir: &output.dir, calls: &calls };
    for image in assemble(&scenario.programs, &names).map_err(|error| error.to_string())? {
        let segments: Vec<elf::Segment> = image.segments.into_iter().map(elf_segment).collect();
        let path = output.dir.join(&image.name);
        elf::executable(elf::Class::Elf64, &segments, image.entry)
            .and_then(|bytes| {
                std::fs::remove_file(&path).or(Ok(())).and_then(|()| std::fs::write(&path, bytes))
            })
            .and_then(|()| std::fs::set_permissions(&path, Permissions::from_mode(0o755)))
            .map_err(|error| error.to_string())?;
    }
    let (uid, gid) = me();
    let me = Caller { pid: Pid(std::process::id()), uid, gid };
    let local = Local::new(Kernel::new(Linux::new(), Policy::SameUser));
    let program = Program::new(output.dir.join("main").into_os_string().into_vec());
    let mut seen = play(&local, me, &calls, scenario, &program);
    seen.set_output(&output.take().map_err(|error| error.to_string())?);
    Ok(seen)
}

fn elf_segment(segment: Segment) -> elf::Segment {
    let Segment { address, bytes, writable, executable } = segment;
    elf::Segment { address, bytes, writable, executable }
}
