//! Lab 1.

use conformance::harness::Suite;

use super::fails;

#[path = "../../labs/1-tracer/checks.rs"]
mod checks;
#[path = "../../labs-solutions/1-tracer/tracer.rs"]
mod solution;
#[path = "../../labs/1-tracer/tracer.rs"]
mod starter;

const SOLUTION: checks::Work =
    checks::Work { trace: solution::trace, text: include_str!("../../labs-solutions/1-tracer/tracer.rs") };
const STARTER: checks::Work =
    checks::Work { trace: starter::trace, text: include_str!("../../labs/1-tracer/tracer.rs") };

pub(crate) fn add(suite: &mut Suite) {
    for &(name, check) in checks::CHECKS {
        suite.test(&format!("tracer::solution::{name}"), &[], move || check(&SOLUTION));
        suite.test(&format!("tracer::starter_fails::{name}"), &[], move || fails(&check(&STARTER)));
    }
}
