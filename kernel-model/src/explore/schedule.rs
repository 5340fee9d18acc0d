//! [`Schedule`]: a scenario, what is broken, and the moves that show it, as one text; and its replay, forward and back.
//!
//! ```text
//! # tracefd schedule 1
//! quirks: F8
//! turns: single
//! finds: no hang
//! move client a
//! move task main
//! move report
//! scenario
//! client a
//! …
//! ```

use std::fmt;

use super::quirk::Quirk;
use super::{Move, Setup, Violation, World};
use crate::scenario::{Scenario, WrongLine};

/// The first line of every schedule; another form will have another number.
const FIRST: &str = "# tracefd schedule 1";

/// A way through a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// What is broken.
    pub quirks: Vec<Quirk>,
    /// Whether a task's move is one turn.
    pub single_turns: bool,
    /// What it is kept for, for people.
    pub finds: String,
    /// Moves, by their text.
    pub moves: Vec<String>,
    /// Of what.
    pub scenario: Scenario,
}

/// A move that was made, and what it did.
#[derive(Clone, Debug)]
pub struct Made {
    /// Its text.
    pub text: String,
    /// Each transition of the machine and each operation, with its reason.
    pub told: Vec<String>,
    /// What does not hold after it.
    pub violation: Option<Violation>,
    /// Everything that can be seen then.
    pub after: Vec<String>,
}

impl Schedule {
    /// As a search found it.
    pub fn of(setup: &Setup, scenario: &Scenario, violation: &Violation, moves: &[Move]) -> Schedule {
        let mut world = World::new(setup);
        let mut texts = Vec::new();
        for chosen in moves {
            texts.push(world.move_text(setup, *chosen));
            let _ = world.make(setup, *chosen, &mut Vec::new());
        }
        Schedule {
            quirks: setup.quirks.clone(),
            single_turns: setup.single_turns,
            finds: violation.to_string(),
            moves: texts,
            scenario: scenario.clone(),
        }
    }

    /// Reads a text.
    pub fn parse(text: &str) -> Result<Schedule, WrongLine> {
        let wrong = |line: usize, message: &str| WrongLine { line: line + 1, message: message.into() };
        let mut schedule = Schedule {
            quirks: Vec::new(),
            single_turns: false,
            finds: String::new(),
            moves: Vec::new(),
            scenario: Scenario::default(),
        };
        let mut start = 0;
        for (n, whole) in text.split_inclusive('\n').enumerate() {
            start += whole.len();
            let line = whole.trim();
            if n == 0 && line != FIRST {
                return Err(wrong(0, "this is no schedule: its first line says `# tracefd schedule 1`"));
            }
            if line == "scenario" {
                let inside = |error: WrongLine| WrongLine { line: n + 1 + error.line, ..error };
                schedule.scenario = Scenario::parse(&text[start..]).map_err(inside)?;
                return Ok(schedule);
            }
            match line.split_once([':', ' ']).map(|(word, rest)| (word, rest.trim())) {
                Some(("quirks", names)) => {
                    let quirks: Result<_, String> = names.split_whitespace().map(str::parse).collect();
                    schedule.quirks = quirks.map_err(|message| wrong(n, &message))?;
                }
                Some(("turns", "single")) => schedule.single_turns = true,
                Some(("finds", what)) => schedule.finds = what.into(),
                Some(("move", what)) => schedule.moves.push(what.into()),
                _ if line.is_empty() || line.starts_with('#') => {}
                _ => return Err(wrong(n, "not a line of a schedule")),
            }
        }
        Err(wrong(text.lines().count().max(1) - 1, "a line `scenario` and a scenario must follow"))
    }

    /// Plays it: every move, and what it did. The error says which cannot be made.
    pub fn replay(&self) -> Result<Vec<Made>, String> {
        let mut setup = Setup::new(self.scenario.clone(), &self.quirks)?.told();
        setup.single_turns = self.single_turns;
        let mut world = World::new(&setup);
        let mut made = Vec::new();
        for (n, text) in self.moves.iter().enumerate() {
            let moves = world.moves(&setup);
            let chosen = moves.iter().copied().find(|chosen| world.move_text(&setup, *chosen) == *text);
            let chosen = chosen.ok_or_else(|| {
                let could: Vec<String> = moves.iter().map(|other| world.move_text(&setup, *other)).collect();
                format!("move {}: `{text}` cannot happen here; these can: {}", n + 1, could.join(", "))
            })?;
            let mut told = Vec::new();
            let violation = world.make(&setup, chosen, &mut told).err();
            let ended = world.moves(&setup).is_empty() && violation.is_none();
            let violation = if ended { world.check_end(&setup).err() } else { violation };
            let after = world.describe(&setup);
            let over = violation.is_some();
            made.push(Made { text: text.clone(), told, violation, after });
            if over {
                break;
            }
        }
        Ok(made)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST}")?;
        if !self.quirks.is_empty() {
            let quirks: Vec<String> = self.quirks.iter().map(ToString::to_string).collect();
            writeln!(f, "quirks: {}", quirks.join(" "))?;
        }
        if self.single_turns {
            writeln!(f, "turns: single")?;
        }
        if !self.finds.is_empty() {
            writeln!(f, "finds: {}", self.finds)?;
        }
        self.moves.iter().try_for_each(|text| writeln!(f, "move {text}"))?;
        write!(f, "scenario\n{}", self.scenario)
    }
}
