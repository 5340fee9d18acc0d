//! The only place that names a machine: [`with_host`] lends one to a tool as `&dyn Host`; [`calls`] says which calls it has.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use backend_linux::Linux;
use kernel_model::abi::Errno;
use kernel_model::kernel::{Kernel, Policy};
use kernel_model::local::Local;
use kernel_model::machine::Machine;
use kernel_model::replay::{Damage, Header, Recording, Replay};
use kernel_model::scheme::{Caller, Host, Program};
use kernel_model::sim::{CALLS, Sim, SimConfig};
use userland::cli::Placement;
use userland::output::Raw;
use userland::tables::Calls;
use userland::trace::delay::Ringer;
use userland::trace::whole::Source;

const LINUX: &str = "linux";
const SIM: &str = "sim";

/// Which machine.
pub(crate) enum Backend {
    /// Processes of this system.
    Linux(Placement),
    /// The simulator, with its programs loaded (RFC 0004).
    Sim(Box<Sim>),
    /// A recording of either (RFC 0007).
    Replay(Box<Replay>),
}

impl Backend {
    /// A simulator with the programs of `text`, and the name of the main one. The error has the line.
    pub(crate) fn simulator(text: &str) -> Result<(Backend, String), String> {
        let mut sim = Sim::new(SimConfig::default());
        let names = sim.load(text).map_err(|error| error.to_string())?;
        let main = names.into_iter().next().ok_or("there is no program in it")?;
        Ok((Backend::Sim(Box::new(sim)), main))
    }
}

/// Opens a recording.
pub(crate) fn replay(path: &Path) -> Result<Replay, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let calls = |header: &Header| match &*header.machine {
        SIM => Sim::new(SimConfig::default()).calls().to_vec(),
        _ => Linux::new().calls().to_vec(),
    };
    let replay = Replay::open(BufReader::new(file), calls).map_err(|damage| damage.to_string())?;
    match &*replay.header().machine {
        LINUX | SIM => Ok(replay),
        other => Err(format!("it is of a machine that this tracefd does not know: {other}")),
    }
}

/// Where all that a machine says goes, and what the tool wants to find there again.
pub(crate) struct Record {
    pub(crate) to: Raw,
    pub(crate) notes: Vec<(String, Vec<u8>)>,
}

/// What is known of a recording once it was replayed.
#[derive(Default)]
pub(crate) struct Played {
    /// Where it ends to be one.
    pub(crate) damage: Option<Damage>,
    /// The recorder left, and its processes went on.
    pub(crate) left: bool,
}

/// Lends a host on that machine, seen as this process sees it, its clock, and what ends its waits; it ends with the call.
pub(crate) fn with_host<R>(
    backend: Backend,
    record: Option<Record>,
    tool: impl FnOnce(&dyn Host, Source, &Ringer<'_>) -> R,
) -> (R, Played) {
    match backend {
        Backend::Linux(placement) => {
            backend_linux::quiet_stops();
            let mut machine = Linux::new();
            machine.follow_core(placement == Placement::Follow);
            let seen = Seen {
                machine: LINUX,
                caller: backend_linux::caller(),
                policy: Policy::SameUser,
                rings: true,
            };
            (seen.lend(machine, record, tool, |_| ()).0, Played::default())
        }
        Backend::Sim(sim) => {
            let SimConfig { uid, gid, .. } = SimConfig::default();
            let caller = Caller { pid: sim.owner(), uid, gid };
            // Nothing there happens by itself: to wait for a time would be to wait for ever.
            let seen = Seen { machine: SIM, caller, policy: Policy::Descendants, rings: false };
            let output = |sim: &mut Sim| (sim.take_output(1), sim.take_output(2));
            let (result, (out, err)) = seen.lend(*sim, record, tool, output);
            // What the programs wrote belongs where they wrote it; a closed pipe there is not the tool's failure.
            let _ = std::io::stdout().write_all(&out);
            let _ = std::io::stderr().write_all(&err);
            (result, Played::default())
        }
        Backend::Replay(replay) => {
            let Header { caller, policy, began, .. } = *replay.header();
            let clock = Source::recorded(began, replay.time());
            let local = Local::new(Kernel::new(*replay, policy));
            let result = tool(&local.client(caller), clock, &|| None);
            let played =
                |replay: &mut Replay| Played { damage: replay.finish().cloned(), left: replay.is_left() };
            (result, local.with_machine(played))
        }
    }
}

/// How a machine is seen.
struct Seen {
    machine: &'static str,
    caller: Caller,
    policy: Policy,
    /// Its waits can be ended from outside.
    rings: bool,
}

/// What ends waits of this kernel.
fn ring<M: Machine>(local: &Local<M>) -> Option<Box<dyn Fn() + Send>> {
    let waker = local.ringer().ok()?;
    Some(Box::new(move || waker.wake()))
}

impl Seen {
    /// Lends it, recorded or not; then `after` may look at it.
    fn lend<M: Machine, R, A>(
        self,
        machine: M,
        record: Option<Record>,
        tool: impl FnOnce(&dyn Host, Source, &Ringer<'_>) -> R,
        after: impl FnOnce(&mut M) -> A,
    ) -> (R, A) {
        let Seen { machine: name, caller, policy, rings } = self;
        let Some(Record { to, notes }) = record else {
            let local = Local::new(Kernel::new(machine, policy));
            let result = tool(&local.client(caller), Source::Own, &|| ring(&local).filter(|_| rings));
            return (result, local.with_machine(after));
        };
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let began = wall.as_nanos() as u64;
        let header = Header { machine: name.to_owned(), caller, policy, began, notes };
        let recording = Recording::new(machine, &header, to);
        let clock = Source::recorded(began, recording.time());
        let local = Local::new(Kernel::new(recording, policy));
        let result = tool(&local.client(caller), clock, &|| ring(&local).filter(|_| rings));
        (result, local.with_machine(|recording| after(recording.machine())))
    }
}

/// Which signals the tool was started with as ignored: bit n − 1 is signal n.
pub(crate) fn ignored_at_start() -> u64 {
    backend_linux::ignored_at_start()
}

/// Makes this process the program; why it could not.
pub(crate) fn become_program(program: &Program) -> Errno {
    backend_linux::become_program(program)
}

/// Any process of this user may trace this one, until it becomes another program.
pub(crate) fn allow_tracers() {
    backend_linux::allow_tracers();
}

/// The calls that this machine has.
pub(crate) fn calls(backend: &Backend) -> Calls {
    match backend {
        Backend::Replay(replay) if replay.header().machine == LINUX => Calls::linux(),
        Backend::Linux(_) => Calls::linux(),
        Backend::Sim(_) | Backend::Replay(_) => {
            Calls::renumbered(CALLS.iter().map(|call| (call.number, call.name, call.arguments)))
        }
    }
}
