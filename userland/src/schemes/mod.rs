//! What can be behind a mount of `tracefd run`: trees of files, each an implementation of `Scheme`, or of the host.
//!
//! - [`tree`]: **what a scheme author writes** ([`tree::Tree`]), and [`tree::Files`], the scheme made of it.
//! - [`shadow`]: any scheme as host files that are made when somebody looks, and filled when somebody reads.
//! - [`http`]: web servers.
//! - [`tar`](mod@tar): archives.
//! - [`dir`]: directories of the host, and `mem:`; [`overlay`]: changes kept apart from what they change.
//! - [`cmd`]: programs of anybody, in any language. [`proc`]: the kernel's own `proc:`, whose files are opened live.
//! - [`spec`] and [`table`](mod@table): mounts as people write them, and as the interposer needs them; [`progress`]: bars.

pub mod cmd;
pub mod dir;
pub mod errors;
pub mod http;
pub mod names;
pub mod overlay;
pub mod private;
pub mod proc;
pub mod progress;
pub mod shadow;
pub mod spec;
pub mod table;
pub mod tar;
pub mod tree;
