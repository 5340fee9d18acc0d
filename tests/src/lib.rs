//! Conformance: one list of rules run on every machine, and black-box tests of `tracefd` on real programs.
//!
//! - [`harness`]: test lists whose members may be skipped with a reason; [`needs`]: what a test needs, and whether it is here.
//! - [`rules`]: RFC 0002 as code; [`quirk`]: each rule broken, to see its test fail.
//! - [`differential`]: random programs under random tracers, on both machines, compared.
//! - [`fuzz`]: hostile input for every decoder.
//! - [`observed`]: two observers of one program, compared.
//! - [`tracer`]: the binary under test. [`cell`]: a command run so that everything it leaves behind is seen.
//! - [`subjects`]: the programs that are traced, own guests and real tools. [`trace_text`]: what a trace file must hold.
//! - [`elf`]: simulator images, and programs made by hand, as real executables. [`i386`]: a 32-bit one.
//! - [`documents`]: the examples in README and RFCs, compiled.
//! - [`scratch`]: a changed copy of this tree, built and tested beside it.
//! - [`unprobed`]: calls that no probe makes.
//! - [`sys`]: every unsafe block of this package.

pub mod calls;
pub mod cell;
pub mod differential;
pub mod documents;
pub mod elf;
pub mod fuzz;
pub mod harness;
pub mod i386;
pub mod needs;
pub mod observed;
pub mod procfs;
pub mod pty;
pub mod quirk;
pub mod rules;
pub mod scratch;
pub mod subjects;
pub mod sys;
pub mod trace_text;
pub mod tracer;
pub mod unprobed;
