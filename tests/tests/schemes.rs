//! What is behind the mounts of `tracefd run`, each against the real thing: GNU tar, python3's web server and one that
//! misbehaves, a scheme in Python, a directory under random changes.

mod schemes {
    pub(crate) mod archives;
    pub(crate) mod compare;
    pub(crate) mod fsx;
    pub(crate) mod lazy;
    pub(crate) mod program;
    pub(crate) mod programs;
    pub(crate) mod server;
    pub(crate) mod web;
}

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut suite = conformance::harness::Suite::new("schemes");
    schemes::archives::add(&mut suite);
    schemes::program::add(&mut suite);
    schemes::fsx::add(&mut suite);
    schemes::web::add(&mut suite);
    schemes::lazy::add(&mut suite);
    schemes::programs::add(&mut suite);
    suite.run()
}
