//! [`World`]: one moment of a scenario, what can happen in it, and what it becomes.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::client::{Party, Waits};
use super::ledger::Ledger;
use super::{Move, Rule, Setup, Violation, violated};
use crate::abi::{Pid, Status};
use crate::kernel::{ClientId, Kernel, Policy};
use crate::machine::{Machine, Report, Wait};
use crate::scenario::{Event, text::way};
use crate::scheme::Caller;
use crate::sim::{Doing, Look, Sim, SimConfig};

/// Turns that one move may take: an endless loop is cut into pieces, and the same piece twice is the same world.
const MOST_TURNS: usize = 1000;
/// Lines of the simulator's log that one move can make.
const LOG: usize = 4 * MOST_TURNS;

/// One moment. Worlds that hash alike have the same future.
#[derive(Clone, Hash)]
pub struct World {
    pub(super) kernel: Kernel<Sim>,
    pub(super) parties: Vec<Party>,
    /// Events that can still happen, as a set of bits.
    events: u64,
    /// Of every task there ever was.
    names: BTreeMap<Pid, Arc<str>>,
    /// Tasks that the kernel started, or was told of: what is on its way about them keeps nobody from using them.
    pub(super) heard: BTreeSet<Pid>,
    /// Children that each task made.
    births: BTreeMap<Pid, u32>,
    pub(super) ledger: Ledger,
    /// Only under F5: who holds what nobody will ever let go.
    pub(super) nobody: Option<ClientId>,
}

impl World {
    /// Before anything happened.
    pub fn new(setup: &Setup) -> World {
        let config = SimConfig {
            nested_signals: !setup.scenario.deferred_signals,
            quirks: setup.machine_quirks(),
            log: if setup.told { LOG } else { 0 },
            ..SimConfig::default()
        };
        let mut sim = Sim::new(config);
        // It was assembled when the scenario was read.
        let _ = sim.load(&setup.scenario.programs);
        let mut kernel = Kernel::new(sim, Policy::SameUser);
        let caller = World::caller(&mut kernel);
        let parties = setup.scenario.clients.iter().map(|_| Party::new(kernel.client(caller))).collect();
        let events = u64::MAX.checked_shr(64 - setup.scenario.events.len() as u32).unwrap_or(0);
        let (names, births, heard) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        let mut world =
            World { kernel, parties, events, names, heard, births, ledger: Ledger::default(), nobody: None };
        (0..world.parties.len()).for_each(|n| world.settle(setup, n));
        world
    }

    pub(super) fn caller(kernel: &mut Kernel<Sim>) -> Caller {
        let SimConfig { uid, gid, .. } = SimConfig::default();
        Caller { pid: kernel.machine().owner(), uid, gid }
    }

    /// Equal ones have the same future.
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    pub(super) fn sim(&self) -> &Sim {
        self.kernel.machine_ref()
    }

    /// What a task is called.
    pub fn name(&self, pid: Pid) -> Arc<str> {
        self.names.get(&pid).cloned().unwrap_or_else(|| format!("task {pid}").into())
    }

    /// Who has this name, if it was born.
    pub fn task(&self, name: &str) -> Option<Pid> {
        self.names.iter().find(|(_, known)| ***known == *name).map(|(pid, _)| *pid)
    }

    pub(super) fn call_it(&mut self, pid: Pid, name: &str) {
        self.names.insert(pid, name.into());
    }

    /// Everything that can happen now, in an order that depends on nothing else.
    pub fn moves(&self, setup: &Setup) -> Vec<Move> {
        let clients = (0..self.parties.len()).filter(|n| self.can_act(setup, *n)).map(Move::Client);
        let report = self.sim().coming().map(|_| Move::Report);
        let tasks = self.sim().runnable().into_iter().map(Move::Task);
        let events = (0..setup.scenario.events.len()).filter(|n| self.can_happen(setup, *n)).map(Move::Event);
        clients.chain(report).chain(tasks).chain(events).collect()
    }

    fn can_happen(&self, setup: &Setup, index: usize) -> bool {
        if self.events & (1 << index) == 0 {
            return false;
        }
        match &setup.scenario.events[index] {
            Event::Signal { task, .. } => {
                self.task(task).and_then(|pid| self.sim().look(pid)).is_some_and(|look| {
                    !matches!(look.doing, Doing::Ending(_) | Doing::Ended(_)) && !look.killed
                })
            }
            Event::Death { client } => {
                let party = setup.scenario.clients.iter().position(|known| known.name == *client);
                party.is_some_and(|party| self.parties[party].id.is_some())
            }
        }
    }

    /// What the move is called in a schedule.
    pub fn move_text(&self, setup: &Setup, chosen: Move) -> String {
        match chosen {
            Move::Client(n) => format!("client {}", setup.scenario.clients[n].name),
            Move::Task(pid) => format!("task {}", self.name(pid)),
            Move::Report => "report".into(),
            Move::Event(n) => format!("event {}", setup.event_text(n)),
        }
    }

    /// Makes one of [`moves`](Self::moves) happen. What it did is added to `told` if the setup says so.
    pub fn make(&mut self, setup: &Setup, chosen: Move, told: &mut Vec<String>) -> Result<(), Violation> {
        let made = match chosen {
            Move::Client(n) => self.operate(setup, n, told),
            Move::Task(pid) => self.turns(setup, pid),
            Move::Report => self.report(setup, told),
            Move::Event(n) => self.happen(setup, n),
        };
        if setup.told {
            let lines = self.kernel.machine().take_log();
            let lines = lines.into_iter().map(|line| self.with_name(&line));
            told.extend(lines);
            // What only the task itself can see has no line in the log.
            if let (Move::Task(pid), true) = (chosen, told.is_empty())
                && let Some(look) = self.sim().look(pid)
            {
                told.push(format!("{} {}", self.name(pid), doing_text(look.doing)));
            }
        }
        made?;
        self.check(setup)
    }

    fn operate(&mut self, setup: &Setup, n: usize, told: &mut Vec<String>) -> Result<(), Violation> {
        let before = self.others(n);
        let client = &setup.scenario.clients[n];
        let act = client.acts.get(self.parties[n].at);
        let answer = self.act(setup, n);
        if setup.told {
            let act = act.map_or("ends".into(), ToString::to_string);
            let came = answer.as_deref().map_or("against a rule", |text| text);
            told.push(format!("{}: {act}: {came}", client.name));
        }
        answer?;
        self.unchanged(setup, n, &before)
    }

    /// A log line with the task's name for its pid.
    fn with_name(&self, line: &str) -> String {
        match line.split_once(' ').and_then(|(pid, rest)| Some((pid.parse().ok()?, rest))) {
            Some((pid, rest)) => format!("{}: {rest}", self.name(Pid(pid))),
            None => line.to_owned(),
        }
    }

    fn happen(&mut self, setup: &Setup, index: usize) -> Result<(), Violation> {
        self.events &= !(1 << index);
        match &setup.scenario.events[index] {
            Event::Signal { task, signal } => {
                if let Some(pid) = self.task(task) {
                    let _ = self.kernel.machine().signal(pid, *signal);
                }
            }
            Event::Death { client } => {
                let party = setup.scenario.clients.iter().position(|known| known.name == *client);
                if let Some(party) = party {
                    let before = self.others(party);
                    self.die(setup, party);
                    self.unchanged(setup, party, &before)?;
                }
            }
        }
        Ok(())
    }

    fn turns(&mut self, setup: &Setup, pid: Pid) -> Result<(), Violation> {
        let first = self.sim().look(pid);
        for _ in 0..MOST_TURNS {
            let Some(before) = self.sim().look(pid) else { break };
            self.kernel.machine().turn(pid);
            self.christen();
            let after = self.sim().look(pid);
            self.ended(setup, pid, &before, after.as_ref())?;
            let Some(after) = after else { break };
            self.told_of(pid, &before, &after)?;
            let in_program = |look: &Look| look.doing == Doing::Program && look.held.is_none() && look.alone;
            let on = after.quiet || (first.is_some_and(|look| in_program(&look)) && in_program(&after));
            if setup.single_turns || after.held.is_some() || !on {
                break;
            }
        }
        Ok(())
    }

    /// Names tasks that were born.
    fn christen(&mut self) {
        let new: Vec<Pid> = self.sim().programs().filter(|pid| !self.names.contains_key(pid)).collect();
        for child in new {
            let Some(parent) = self.sim().look(child).and_then(|look| look.parent) else { continue };
            let nth = self.births.get(&parent).map_or(1, |born| born + 1);
            self.births.insert(parent, nth);
            let name = format!("{}.{nth}", self.name(parent));
            self.call_it(child, &name);
        }
    }

    /// Whether a task that ended in this turn could end like that.
    fn ended(&self, setup: &Setup, pid: Pid, before: &Look, after: Option<&Look>) -> Result<(), Violation> {
        let Doing::Ending(status) = before.doing else { return Ok(()) };
        if after.is_some_and(|look| !matches!(look.doing, Doing::Ended(_))) {
            return Ok(());
        }
        let name = self.name(pid);
        let plain = |status: Status| status.0 & !0x80;
        let alike =
            |way: &Status| way.0 == status.0 || (status.signal().is_some() && plain(*way) == plain(status));
        match setup.scenario.ends.iter().find(|ends| *ends.task == *name) {
            Some(ends) if !ends.ways.iter().any(alike) => {
                violated(Rule::Ends, format!("{name}: {}", way(status)))
            }
            _ => Ok(()),
        }
    }

    fn report(&mut self, setup: &Setup, told: &mut Vec<String>) -> Result<(), Violation> {
        let Some((pid, report)) = self.sim().coming() else { return Ok(()) };
        let name = self.name(pid);
        let held = self.session_of(pid).is_some_and(|session| session.held);
        if setup.told {
            told.push(format!("the kernel learns that {name} {}", self.report_text(report)));
        }
        if let Report::Born { pid, .. } = report {
            self.heard.insert(pid);
        }
        self.ledger.report(pid, &name, held, report)?;
        // It is there, so nothing waits and nothing runs.
        let _ = self.kernel.pump(Wait::Poll);
        Ok(())
    }

    fn report_text(&self, report: Report) -> String {
        match report {
            Report::Gone { status } => format!("has ended: {}", status.map_or("?".into(), way)),
            Report::Exiting { status } => format!("is about to end: {}", way(status)),
            Report::Born { pid, .. } => format!("made {}", self.name(pid)),
            Report::GroupStop { signal } => format!("was stopped by {signal}"),
            Report::Image { .. } => "runs another program".into(),
            other => format!("is stopped: {other:?}"),
        }
    }

    /// Everything that can be seen now, for people.
    pub fn describe(&self, setup: &Setup) -> Vec<String> {
        let mut lines = Vec::new();
        for (n, party) in self.parties.iter().enumerate() {
            let client = &setup.scenario.clients[n];
            let at = match (party.id, client.acts.get(party.at)) {
                (None, _) => "is gone".to_owned(),
                (Some(_), None) => "has done everything".to_owned(),
                (Some(_), Some(act)) if party.waits != Waits::No => format!("waits in `{act}`"),
                (Some(_), Some(act)) => format!("is about to `{act}`"),
            };
            lines.push(format!("client {} {at}", client.name));
        }
        let stops = self.kernel.stops();
        for pid in self.sim().programs() {
            let Some(look) = self.sim().look(pid) else { continue };
            let mut line = format!("task {} {}", self.name(pid), doing_text(look.doing));
            if let Some((_, keepers)) = stops.iter().find(|(other, _)| *other == pid) {
                let keepers: Vec<String> =
                    keepers.iter().map(|keeper| self.keeper_text(setup, *keeper)).collect();
                line += &format!(", held by {}", keepers.join(" and "));
            } else if look.held.is_some() {
                line += ", stopped, which the kernel does not know";
            }
            if let Some(session) = self.session_of(pid) {
                line += &format!(", {} records unread", session.queued);
            }
            lines.push(line);
        }
        lines
    }
}

fn doing_text(doing: Doing) -> String {
    match doing {
        Doing::Program => "is in its program".into(),
        Doing::Call(number) => format!("is about to make {}", Sim::call_name(number)),
        Doing::Waits(why) => format!("waits: {why}"),
        Doing::Returns => "is about to return from a call".into(),
        Doing::Signal(signal) => format!("is about to act on {signal}"),
        Doing::Ending(status) => format!("is about to end: {}", way(status)),
        Doing::Ended(status) => format!("has ended: {}", way(status)),
    }
}
