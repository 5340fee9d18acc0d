//! The only place that names a machine: [`with_host`] makes one, and lends it to a tool as `&dyn Host`.

use std::io::Write;

use backend_linux::Linux;
use kernel_model::abi::Pid;
use kernel_model::kernel::{Kernel, Policy};
use kernel_model::local::Local;
use kernel_model::scheme::{Caller, Host};
use kernel_model::sim::{Sim, SimConfig};
use nix::unistd::{getegid, geteuid, getpid};

/// Which machine, and what it needs to start.
pub(crate) enum Backend {
    /// Processes of this system.
    Linux,
    /// The simulator, with the text of a program (RFC 0004).
    Sim {
        /// The text.
        program: String,
    },
}

/// Lends a host on that machine, seen as this process sees it; it ends with the call. The error says why there is none.
pub(crate) fn with_host<R>(backend: &Backend, tool: impl FnOnce(&dyn Host) -> R) -> Result<R, String> {
    match backend {
        Backend::Linux => {
            let caller = Caller {
                pid: Pid(getpid().as_raw() as u32),
                uid: geteuid().as_raw(),
                gid: getegid().as_raw(),
            };
            backend_linux::quiet_stops();
            let local = Local::new(Kernel::new(Linux::new(), Policy::SameUser));
            let client = local.client(caller);
            Ok(tool(&client))
        }
        Backend::Sim { program } => {
            let config = SimConfig::default();
            let mut sim = Sim::new(config.clone());
            sim.load(program).map_err(|error| error.to_string())?;
            let caller = Caller { pid: sim.owner(), uid: config.uid, gid: config.gid };
            let local = Local::new(Kernel::new(sim, Policy::Descendants));
            let result = tool(&local.client(caller));
            // What the programs wrote belongs where they wrote it; a closed pipe there is not the tool's failure.
            let (out, err) = local.with_machine(|sim| (sim.take_output(1), sim.take_output(2)));
            let _ = std::io::stdout().write_all(&out);
            let _ = std::io::stderr().write_all(&err);
            Ok(result)
        }
    }
}
