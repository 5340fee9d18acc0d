//! [`compare`]: both machines' observations of a scenario, where they part, and what the scenario expects of both.

use std::collections::BTreeSet;

use kernel_model::scenario::Scenario;
use kernel_model::scenario::text::way;

use super::drive::Observation;
use super::machines::{Output, on_linux, on_sim};

/// Plays a scenario on both machines, which must agree with each other and with it. An error shows both sides.
pub fn compare(scenario: &Scenario, output: &mut Output) -> Result<(), String> {
    let sim = on_sim(scenario)?;
    let linux = on_linux(scenario, output)?;
    if sim == linux { expected(scenario, &sim) } else { Err(difference(&sim, &linux)) }
}

/// What the scenario itself says. One that says nothing about a session, or the end, allows everything.
fn expected(scenario: &Scenario, seen: &Observation) -> Result<(), String> {
    let sessions = scenario.sees.iter().map(|(session, _)| *session).collect::<BTreeSet<_>>();
    for session in sessions {
        let expected: Vec<&str> =
            scenario.sees.iter().filter(|(of, _)| *of == session).map(|(_, line)| line.as_str()).collect();
        let lines = seen.tasks.get(&format!("task {session}")).map(Vec::as_slice).unwrap_or_default();
        if lines != expected {
            return Err(format!(
                "session {session} is to see\n{}\nand both machines show\n{seen}",
                expected.join("\n")
            ));
        }
    }
    match scenario.ends.iter().find(|ends| ends.task == "main") {
        Some(ends) if !ends.ways.iter().any(|status| way(*status) == seen.status) => {
            Err(format!("main is not to end like this: {}", seen.status))
        }
        _ => Ok(()),
    }
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
