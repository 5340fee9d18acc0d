//! The explorer finds every quirk with the rule it breaks, by a shortest schedule that replays, and nothing without one.
//!
//! Scenarios are `scenarios/*.scenario`. Those in `scenarios/large` are too large for a build without optimisation: here they
//! are begun, and gone through to the end by hand (RFC 0008 has the figures).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use kernel_model::explore::quirk::Quirk;
use kernel_model::explore::schedule::{Made, Schedule};
use kernel_model::explore::search::{Found, Progress, explore};
use kernel_model::explore::{Rule, Setup, World};
use kernel_model::scenario::Scenario;

/// More states than any scenario here has, and few enough to end soon.
const MOST: usize = 30_000;
/// States of the large ones that are seen here.
const BEGINNING: usize = 1_500;

/// Quirk, scenario, and the rule that shows it.
const FOUND: [(&str, &str, Rule); 12] = [
    ("F5", "F5", Rule::NoOrphanStop),
    ("F7", "F7", Rule::HeldIsHeld),
    ("F8", "F8", Rule::NoHang),
    ("F9", "F9", Rule::NoHang),
    ("F11", "F11", Rule::Ends),
    ("F19", "F19", Rule::NoEventLost),
    ("LIFO", "two-clients", Rule::Fifo),
    ("TWICE", "F19", Rule::NoEventInvented),
    ("DEAF", "F8", Rule::NoLostWakeUp),
    ("SHARED", "two-clients", Rule::Independence),
    ("DIES_TWICE", "F8", Rule::OneDeath),
    ("CHILDREN_ESCAPE", "F5", Rule::HeldIsHeld),
];

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

fn scenario(name: &str) -> Scenario {
    let path = dir().join(name).with_extension("scenario");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let scenario = Scenario::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(Scenario::parse(&scenario.to_string()).as_ref(), Ok(&scenario), "{name}: its text is another");
    scenario
}

/// The scenarios of a directory, by name.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .expect("there are scenarios")
        .filter_map(|entry| {
            entry.ok()?.file_name().into_string().ok()?.strip_suffix(".scenario").map(str::to_owned)
        })
        .collect();
    names.sort();
    names
}

fn setup(name: &str, quirks: &[&str]) -> Setup {
    let quirks: Vec<Quirk> = quirks.iter().map(|quirk| quirk.parse().expect("a quirk")).collect();
    Setup::new(scenario(name), &quirks).expect("a scenario to explore")
}

fn look(setup: &Setup) -> Found {
    explore(setup, MOST, |_| true)
}

#[test]
fn nothing_is_found_where_nothing_is_broken() {
    let names = names(&dir());
    assert!(names.len() >= 10, "{names:?}");
    for name in names {
        let found = look(&setup(&name, &[]));
        assert!(found.violation.is_none(), "{name}: {:?}", found.violation);
        assert!(found.exhausted, "{name}: {:?}", found.progress);
        assert!(found.progress.states <= found.progress.moves, "{name}: no world is reached in two ways");
        eprintln!("{name}: {:?}", found.progress);
    }
}

#[test]
fn nothing_is_found_at_the_beginning_of_the_large_ones() {
    let names = names(&dir().join("large"));
    assert!(names.len() >= 4, "{names:?}");
    for name in names {
        let found = explore(&setup(&format!("large/{name}"), &[]), BEGINNING, |_| true);
        assert!(found.violation.is_none(), "{name}: {:?}", found.violation);
        assert!(!found.exhausted, "{name} is not large: {:?}", found.progress);
    }
}

#[test]
fn every_quirk_is_found_by_a_shortest_schedule_that_replays() {
    for (quirk, name, rule) in FOUND {
        let setup = setup(name, &[quirk]);
        let found = look(&setup);
        let Some((violation, moves)) = found.violation else { panic!("{quirk} is not found in {name}") };
        assert_eq!(violation.rule, rule, "{quirk}: {violation}");
        let schedule = Schedule::of(&setup, setup.scenario(), &violation, &moves);
        let again = Schedule::parse(&schedule.to_string()).expect("its own text");
        assert_eq!(again, schedule, "{quirk}");
        let made = again.replay().unwrap_or_else(|error| panic!("{quirk}: {error}"));
        assert_eq!(made.len(), moves.len(), "{quirk}: another rule breaks before");
        let last: Option<&Made> = made.last();
        assert_eq!(last.and_then(|made| made.violation.as_ref()), Some(&violation), "{quirk}");
        assert!(made.iter().all(|made| !made.told.is_empty()), "{quirk}: a move does not say why");
        // The same moves break nothing where nothing is broken: what shows is the quirk.
        let healthy = Schedule { quirks: Vec::new(), ..schedule };
        if let Ok(made) = healthy.replay() {
            assert!(made.iter().all(|made| made.violation.is_none()), "{quirk}");
        }
    }
}

#[test]
fn every_rule_is_seen_to_fail() {
    let seen: BTreeSet<Rule> = FOUND.iter().map(|(.., rule)| *rule).collect();
    assert_eq!(seen, Rule::ALL.into_iter().collect());
}

#[test]
fn single_turns_find_the_same() {
    for (quirk, name, rule) in FOUND.iter().filter(|(quirk, ..)| quirk.starts_with('F')) {
        let found = look(&setup(name, &[quirk]).single_turns());
        assert_eq!(found.violation.map(|(violation, _)| violation.rule), Some(*rule), "{quirk}");
    }
    for name in ["F5", "F7", "F8", "F11", "F19"] {
        let (coarse, fine) = (look(&setup(name, &[])), look(&setup(name, &[]).single_turns()));
        assert!(fine.exhausted && fine.violation.is_none(), "{name}: {:?}", fine.violation);
        assert!(fine.progress.states > coarse.progress.states, "{name}");
    }
}

#[test]
fn a_search_is_the_same_twice_and_stops_where_it_is_told() {
    let setup = setup("F9", &[]);
    let (first, second) = (look(&setup), look(&setup));
    assert_eq!(first.progress, second.progress);
    let few = explore(&setup, 100, |_| true);
    assert!(!few.exhausted && few.violation.is_none() && few.progress.states < first.progress.states);
}

#[test]
fn a_schedule_that_cannot_happen_says_what_can() {
    let setup = setup("F8", &["F8"]);
    let (violation, moves) = look(&setup).violation.expect("found");
    let mut schedule = Schedule::of(&setup, setup.scenario(), &violation, &moves);
    schedule.moves.insert(1, "report".into());
    let error = schedule.replay().expect_err("nothing was reported yet");
    assert!(error.starts_with("move 2: `report` cannot happen here; these can: client a"), "{error}");
}

const RFC: &str = include_str!("../../rfcs/0008-explorer.md");

#[test]
fn the_rfc_s_example_runs_and_has_as_many_states_as_it_says() {
    let text = RFC.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block");
    let found = look(&Setup::new(Scenario::parse(text).expect("a scenario"), &[]).expect("to explore"));
    assert!(found.violation.is_none() && found.exhausted, "{:?}", found.violation);
    let Progress { states, moves, depth, .. } = found.progress;
    let said = format!("`{states} states, {moves} moves, depth {depth} ");
    assert!(RFC.contains(&said), "{said}");
}

#[test]
fn the_rfc_s_quirks_are_found_as_it_says() {
    let section = RFC.split("### 4.4").nth(1).and_then(|rest| rest.split("## 5").next()).expect("there");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let said: Vec<(&str, &str)> = rows
        .filter_map(|row| Some((row.split('`').next()?, row.strip_suffix(" |")?.rsplit(' ').next()?)))
        .collect();
    let rule_of =
        |rule: Rule| format!("X{}", 1 + Rule::ALL.iter().position(|known| *known == rule).unwrap_or(99));
    assert_eq!(said.len(), 10);
    for (quirk, rule) in said {
        let found = FOUND.iter().find(|(name, ..)| *name == quirk);
        assert_eq!(found.map(|(.., found)| rule_of(*found)).as_deref(), Some(rule), "{quirk}");
    }
}

/// Digests are kept and shared between copies: however a world came to be, its digest is the same.
#[test]
fn a_world_s_digest_does_not_depend_on_copies() {
    let mut random = fastrand::Rng::with_seed(8);
    for name in ["two-clients", "queue", "registers", "step-and-handler", "large/vfork"] {
        let setup = setup(name, &[]);
        for _ in 0..20 {
            let (mut alone, mut copied) = (World::new(&setup), World::new(&setup));
            let mut copies = Vec::new();
            while let Some(chosen) = random.choice(alone.moves(&setup)) {
                assert_eq!(alone.make(&setup, chosen, &mut Vec::new()), Ok(()), "{name}");
                copies.push((copied.clone(), copied.digest()));
                assert_eq!(copied.make(&setup, chosen, &mut Vec::new()), Ok(()), "{name}");
                assert_eq!(alone.digest(), copied.digest(), "{name}");
            }
            assert!(
                copies.iter().all(|(copy, digest)| copy.digest() == *digest),
                "{name}: a copy has changed"
            );
        }
    }
}

#[test]
fn no_text_is_too_broken_to_be_refused() {
    for name in ["F5", "registers", "job-control"] {
        let text = scenario(name).to_string();
        let mut accepted = 0;
        for (at, _) in text.char_indices() {
            accepted += usize::from(Scenario::parse(&text[..at]).is_ok());
            let _ = Scenario::parse(&format!("{}{}", &text[..at], &text[at + 1..]));
        }
        assert!(accepted < text.len() / 2, "{name}: most of a text is not a text");
    }
}

#[test]
fn wrong_texts_are_told_with_their_line() {
    let program = "program main\n sys exit, 0\n";
    for (text, message) in [
        (String::new(), "line 1: there is no program"),
        (format!("spawn main\n{program}"), "line 1: `spawn` stands before the first client"),
        (format!("client a\n  dance\n{program}"), "line 2: `dance` is nothing that a client does"),
        (format!("client a\n  write main pre psot\n{program}"), "line 2: `psot` is no bit of a mask"),
        (format!("client a\n  spawn mian\n{program}"), "line 3: `spawn mian`: there is no such program"),
        (format!("client a\n  spawn main\n  at write pre\n{program}"), "line 3: a client has either"),
        (format!("client a\nclient a\n{program}"), "line 2: there are two clients `a`"),
        (format!("client a\ndeath b\n{program}"), "line 3: `death b`: there is no such client"),
        (format!("client a queue\n  goto x\n{program}"), "line 3: `goto x`: client a has no label `x`"),
        (format!("client a queue\n  label x\n  goto x\n{program}"), "line 4: `goto x`: client a would go"),
        (format!("client a queue\n  label x\n  label x\n{program}"), "line 4: client a has two labels `x`"),
        (format!("client a\n  await\n{program}"), "line 3: `await`: this is for a client that is `queue`"),
        (format!("client a queue\n  take main soon x\n{program}"), "line 2: it is `take TASK`, and perhaps"),
        (format!("client a\nends main: soon\n{program}"), "line 2: `soon` is no signal"),
        (format!("client a\n  spawn main\n  open mian.1\n{program}"), "line 4: `mian.1`: nobody spawns"),
        ("client a\nprogram main\n sys exit, 0\n mvo rax, 1\n".into(), "line 4: "),
    ] {
        let error = Scenario::parse(&text).expect_err(&text).to_string();
        assert!(error.starts_with(message), "{error}");
    }
}
