//! The only place that names a machine: [`with_host`] lends one to a tool as `&dyn Host`; [`calls`] says which calls it has.

use std::io::Write;

use backend_linux::Linux;
use kernel_model::kernel::{Kernel, Policy};
use kernel_model::local::Local;
use kernel_model::scheme::{Caller, Host};
use kernel_model::sim::{CALLS, Sim, SimConfig};
use userland::cli::Placement;
use userland::tables::Calls;
use userland::trace::delay::Ringer;

/// Which machine.
pub(crate) enum Backend {
    /// Processes of this system.
    Linux(Placement),
    /// The simulator, with its programs loaded (RFC 0004).
    Sim(Box<Sim>),
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

/// Lends a host on that machine, seen as this process sees it, and what ends its waits; both end with the call.
pub(crate) fn with_host<R>(backend: Backend, tool: impl FnOnce(&dyn Host, &Ringer<'_>) -> R) -> R {
    match backend {
        Backend::Linux(placement) => {
            backend_linux::quiet_stops();
            let mut machine = Linux::new();
            machine.follow_core(placement == Placement::Follow);
            let local = Local::new(Kernel::new(machine, Policy::SameUser));
            let ringer = || {
                let waker = local.ringer().ok()?;
                Some(Box::new(move || waker.wake()) as Box<dyn Fn() + Send>)
            };
            tool(&local.client(backend_linux::caller()), &ringer)
        }
        Backend::Sim(sim) => {
            let SimConfig { uid, gid, .. } = SimConfig::default();
            let caller = Caller { pid: sim.owner(), uid, gid };
            let local = Local::new(Kernel::new(*sim, Policy::Descendants));
            // Nothing there happens by itself: to wait for a time would be to wait for ever.
            let result = tool(&local.client(caller), &|| None);
            // What the programs wrote belongs where they wrote it; a closed pipe there is not the tool's failure.
            let (out, err) = local.with_machine(|sim| (sim.take_output(1), sim.take_output(2)));
            let _ = std::io::stdout().write_all(&out);
            let _ = std::io::stderr().write_all(&err);
            result
        }
    }
}

/// The calls that this machine has.
pub(crate) fn calls(backend: &Backend) -> Calls {
    match backend {
        Backend::Linux(_) => Calls::linux(),
        Backend::Sim(_) => {
            Calls::renumbered(CALLS.iter().map(|call| (call.number, call.name, call.arguments)))
        }
    }
}
