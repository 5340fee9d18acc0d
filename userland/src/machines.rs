//! The only place that names a machine: [`with_host`] makes one, and lends it to a tool as `&dyn Host`.

use kernel_model::scheme::Host;

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
    let _ = tool;
    match backend {
        Backend::Linux => Err("this build has no Linux machine yet".to_owned()),
        Backend::Sim { program } => {
            Err(format!("this build has no simulator yet, for a program of {} bytes", program.len()))
        }
    }
}
