//! The contract of tracefd, the kernel that keeps it, and a machine made for study.
//!
//! Read in this order; each module needs only those above it:
//!
//! 1. [`abi`]: numbers and layouts that cross a file handle, and nothing else.
//! 2. [`scheme`]: **the claim of the project**: tracing is file operations.
//! 3. [`machine`]: the least that something which runs processes must offer.
//! 4. [`core`]: tasks, seats, who holds a stop, queues, waiters. Knows no mask and no path, never blocks.
//! 5. [`front`]: one tracing API per module, on `core`; [`kernel`] puts descriptors around them.
//! 6. [`local`] and [`shared`]: two ways for a client to wait. [`client`]: typed handles for tools.
//! 7. [`sim`]: a deterministic machine. [`replay`]: any machine written down, and a machine that reads it back.
//! 8. [`scenario`]: who does what on the simulator, as a text; [`explore`]: in every order.

#![forbid(unsafe_code)]

pub mod abi;
pub mod client;
pub mod core;
pub mod explore;
pub mod front;
pub mod kernel;
pub mod local;
pub mod machine;
pub mod replay;
pub mod scenario;
pub mod scheme;
pub mod sets;
pub mod shared;
pub mod sim;
mod sync;
