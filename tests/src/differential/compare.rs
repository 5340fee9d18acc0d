//! [`compare`]: both machines' observations of a scenario, and where they part.

use super::drive::Observation;
use super::machines::{Output, on_linux, on_sim};
use super::scenario::Scenario;

/// Plays a scenario on both machines. An error shows both sides.
pub fn compare(scenario: &Scenario, output: &mut Output) -> Result<(), String> {
    let sim = on_sim(scenario)?;
    let linux = on_linux(scenario, output)?;
    if sim == linux { Ok(()) } else { Err(difference(&sim, &linux)) }
}

fn difference(sim: &Observation, linux: &Observation) -> String {
    let (sim, linux) = (sim.to_string(), linux.to_string());
    let (mut left, mut right) = (sim.lines(), linux.lines());
    let first = loop {
        match (left.next(), right.next()) {
            (None, None) => break String::new(),
            (a, b) if a == b => {}
            (a, b) => {
                break format!(
                    "sim:   {}\nlinux: {}",
                    a.unwrap_or("nothing more"),
                    b.unwrap_or("nothing more")
                );
            }
        }
    };
    format!("{first}\n--- sim\n{sim}--- linux\n{linux}")
}
