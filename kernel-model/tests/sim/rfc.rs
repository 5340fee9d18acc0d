//! RFC 0004 is executed: its programs run and do what they say, its tables have everything there is.

use kernel_model::abi::Status;
use kernel_model::machine::{Machine, Program, Report, Verdict};
use kernel_model::sim::{CALLS, Quirks, Sim, SimConfig};

use super::{config, next};

const RFC: &str = include_str!("../../../rfcs/0004-simulator.md");

fn programs() -> Vec<&'static str> {
    RFC.split("```asm\n").skip(1).map(|rest| rest.split_once("```").expect("the block is closed").0).collect()
}

/// The rest of a comment line `# key: …`.
fn promise<'a>(text: &'a str, key: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix("# ")?.strip_prefix(key)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("an example does not say its {key}:\n{text}"))
}

fn ending(status: Status) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => signal.to_string(),
        (None, None) => "nothing".into(),
    }
}

#[test]
fn every_example_runs_and_keeps_its_promise() {
    assert!(programs().len() >= 6);
    for text in programs() {
        for nested_signals in [true, false] {
            for seed in 0..30 {
                let mut sim = Sim::new(SimConfig { seed, nested_signals, ..config() });
                let names = sim.load(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
                let task = sim.spawn(&Program::new(names[0].as_str())).unwrap();
                sim.resume(task, Verdict::Proceed).unwrap();
                let (_, Report::Gone { status: Some(status) }) = next(&mut sim) else { panic!("{text}") };
                assert_eq!(ending(status), promise(text, "ends"), "seed {seed}\n{text}");
                let output = String::from_utf8(sim.output(1).to_vec()).unwrap();
                assert_eq!(output.trim_end(), promise(text, "output"), "seed {seed}\n{text}");
            }
        }
    }
}

#[test]
fn the_table_of_calls_is_the_code_s() {
    let section = RFC.split("### 4.2").nth(1).unwrap().split("### 4.3").next().unwrap();
    let cells: Vec<&str> = section
        .lines()
        .filter(|line| line.starts_with("| "))
        .flat_map(|line| line.trim_matches('|').split('|'))
        .map(str::trim)
        .filter(|cell| cell.starts_with(|c: char| c.is_ascii_digit()))
        .collect();
    let expected: Vec<String> = CALLS.iter().map(|call| format!("{} {}", call.number, call.name)).collect();
    assert_eq!(cells, expected);
}

#[test]
fn the_table_of_quirks_is_the_code_s() {
    let section = RFC.split("### 4.5").nth(1).unwrap().split("## 5").next().unwrap();
    let names: Vec<&str> =
        section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let expected: Vec<&str> = Quirks::all().iter_names().map(|(name, _)| name).collect();
    assert_eq!(names, expected);
}

#[test]
fn the_rules_name_tests_that_exist() {
    let main = include_str!("main.rs");
    let section = RFC.split("## 5 Rules").nth(1).unwrap().split("## 6").next().unwrap();
    let named: Vec<&str> =
        section.lines().filter_map(|line| line.strip_suffix("` |")?.rsplit('`').next()).collect();
    assert_eq!(named.len(), 7);
    for test in named {
        assert!(main.contains(&format!("mod {test};")), "{test}");
    }
}
