//! Every order in which a scenario can happen on the simulator, and what must hold in all of them (RFC 0008).
//!
//! A [`World`] is a [`Kernel`](crate::kernel::Kernel) over a [`Sim`](crate::sim::Sim), its clients' places in their scripts,
//! and what they are owed. A [`Move`] takes it to the next: a client's operation, a task's turns, a report that arrives, an
//! event. [`search`] goes through all worlds, breadth first, so the first [`Violation`] has the shortest schedule, which
//! [`schedule`] writes, and plays forward and back.
//!
//! `client` and `reads` make operations, `ledger` knows what each session is owed, `check` says what is wrong with a world.
//!
//! ```
//! use kernel_model::explore::{Setup, search::explore};
//! use kernel_model::scenario::Scenario;
//!
//! let text = "client a\n spawn main\n open main\n serve main pre\nsignal main usr1\nprogram main\n sys exit, 0";
//! let found = explore(&Setup::new(Scenario::parse(text).unwrap(), &[]).unwrap(), 10_000, |_| true);
//! assert!(found.violation.is_none() && found.exhausted);
//! ```

mod check;
mod client;
mod ledger;
pub mod quirk;
mod reads;
pub mod schedule;
pub mod search;
mod world;

use std::fmt;

use crate::abi::{OpenFlags, Pid};
use crate::scenario::{Act, Client, Event, Scenario};
use crate::sim::Quirks;
use quirk::Quirk;
pub use world::World;

/// What is explored, and how.
#[derive(Clone, Debug)]
pub struct Setup {
    scenario: Scenario,
    quirks: Vec<Quirk>,
    /// A task's move is one turn of the simulator; otherwise all turns that only the task itself can tell apart.
    single_turns: bool,
    /// Moves say what they did. Nothing else depends on it.
    told: bool,
}

impl Setup {
    /// Errors: what of the scenario can only be played.
    pub fn new(scenario: Scenario, quirks: &[Quirk]) -> Result<Setup, String> {
        let mut scenario = scenario;
        for client in &mut scenario.clients {
            unscript(client)?;
        }
        if scenario.events.len() > 64 {
            return Err("there are more than 64 events".into());
        }
        Ok(Setup { scenario, quirks: quirks.to_vec(), single_turns: false, told: false })
    }

    /// The same, turn by turn: many more worlds.
    #[must_use]
    pub fn single_turns(mut self) -> Setup {
        self.single_turns = true;
        self
    }

    /// The same, with every move saying what it did.
    #[must_use]
    pub fn told(mut self) -> Setup {
        self.told = true;
        self
    }

    /// What is explored.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// What is broken.
    pub fn quirks(&self) -> &[Quirk] {
        &self.quirks
    }

    fn breaks(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }

    fn machine_quirks(&self) -> Quirks {
        let of_machine =
            |quirk: &Quirk| if let Quirk::Machine(quirks) = quirk { Some(*quirks) } else { None };
        self.quirks.iter().filter_map(of_machine).collect()
    }
}

/// `at` lines as acts. What they do to registers and memory, and to children, is only played.
fn unscript(client: &mut Client) -> Result<(), String> {
    if !client.acts.is_empty() {
        return Ok(());
    }
    if !client.child.is_empty() || client.manner.children != Default::default() {
        return Err(format!("client {}: what is done with children can only be played", client.name));
    }
    let task = || "main".to_owned();
    client.acts = vec![
        Act::Spawn { program: task(), task: task() },
        Act::Open { task: task(), flags: OpenFlags::O_RDWR },
    ];
    for line in std::mem::take(&mut client.main) {
        if !line.edits.is_empty() {
            return Err(format!("client {}: `{line}`: edits can only be played", client.name));
        }
        client.acts.push(Act::Write { task: task(), mask: line.mask });
        client.acts.push(Act::Read { task: task() });
    }
    Ok(())
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Move {
    /// A client does what is next in its script, or tries again what waited.
    Client(usize),
    /// A task takes a turn, and those after it that nobody else can tell from it.
    Task(Pid),
    /// The machine's oldest report reaches the kernel.
    Report,
    /// An event of the scenario.
    Event(usize),
}

/// What must hold, by the name it is reported under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// An operation that could go on is woken.
    NoLostWakeUp,
    /// No client waits when nothing can happen any more.
    NoHang,
    /// Records come in the order of what happened.
    Fifo,
    /// What a mask asks for is told, once.
    NoEventLost,
    /// Nothing is told that did not happen, or was not asked for.
    NoEventInvented,
    /// A task that is held does nothing.
    HeldIsHeld,
    /// Whoever is stopped, is stopped by somebody who can let go.
    NoOrphanStop,
    /// Every death is reported once, and last.
    OneDeath,
    /// What a client does changes nothing for others' sessions.
    Independence,
    /// Tasks end as the scenario says.
    Ends,
}

impl Rule {
    /// All of them.
    pub const ALL: [Rule; 10] = [
        Rule::NoLostWakeUp,
        Rule::NoHang,
        Rule::Fifo,
        Rule::NoEventLost,
        Rule::NoEventInvented,
        Rule::HeldIsHeld,
        Rule::NoOrphanStop,
        Rule::OneDeath,
        Rule::Independence,
        Rule::Ends,
    ];

    /// A sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Rule::NoLostWakeUp => "an operation that could go on is not woken",
            Rule::NoHang => "an operation waits, and nothing can end that",
            Rule::Fifo => "records come in another order than what they tell of",
            Rule::NoEventLost => "something happened that had to be told, and was not",
            Rule::NoEventInvented => "something is told that was not due",
            Rule::HeldIsHeld => "a task runs although it is held",
            Rule::NoOrphanStop => "a task is stopped, and nobody is there to let it go",
            Rule::OneDeath => "a death is reported twice, or something after it",
            Rule::Independence => "a client's operation changed another's session",
            Rule::Ends => "a task ended in a way that the scenario does not allow",
        }
    }
}

/// A rule that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// Of whom, and how it shows.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule.sentence(), self.detail)
    }
}

fn violated<T>(rule: Rule, detail: impl Into<String>) -> Result<T, Violation> {
    Err(Violation { rule, detail: detail.into() })
}

/// A move as a schedule writes it.
impl Setup {
    fn event_text(&self, index: usize) -> String {
        match &self.scenario.events[index] {
            Event::Signal { task, signal } => format!("signal {task} {signal}"),
            Event::Death { client } => format!("death {client}"),
        }
    }
}
