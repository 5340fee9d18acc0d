//! One random program under one random tracer, on both machines, and what the tracer saw compared.
//!
//! [`program`]: what tracees can do, and its text. Cases are scenarios (RFC 0008) of one client with `at` lines.
//! [`generate`]: random ones. [`session`] and [`drive`]: the tracer itself, over `&dyn Host`, so it is the same code on
//! both machines; [`machines`] supplies those. [`compare`]: the first difference.
//!
//! What several tasks do at a time is ordered by nobody, so each task's events are a list of their own, and programs are
//! made so that no task's list depends on another's speed. What RFCs 0003 and 0004 allow to differ is kept out or written
//! in the same way, in [`session`], where each case names its row.

pub mod compare;
pub mod drive;
pub mod generate;
pub mod machines;
pub mod program;
pub mod session;
