//! The text of a scenario, read: one line after the other up to the first program, whose text is taken as it is.

use std::fmt;

use super::script::{Line, bit};
use super::text::FLAGS;
use super::{Act, Children, Client, Ends, Event, Scenario};
use crate::abi::{OpenFlags, PtraceFlags, Signal, Status};
use crate::sim::SimNames;
use crate::sim::asm::assemble;

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongLine {
    /// From 1.
    pub line: usize,
    /// A sentence.
    pub message: String,
}

impl fmt::Display for WrongLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for WrongLine {}

type Parsed<T> = Result<T, String>;

impl Scenario {
    /// Reads a text. The programs are not assembled here, and names of tasks not looked up: both are the player's.
    pub fn parse(text: &str) -> Result<Scenario, WrongLine> {
        let mut scenario = Scenario::default();
        let mut reader = Reader::default();
        let mut start = 0;
        for (index, whole) in text.split_inclusive('\n').enumerate() {
            let line = whole.split('#').next().unwrap_or_default().trim();
            if line.split_whitespace().next() == Some("program") {
                scenario.programs = text[start..].to_owned();
                let wrong = |message| WrongLine { line: index + 1, message };
                // Assembled already here, for the sake of errors that name this file's lines.
                let images = assemble(&scenario.programs, &SimNames)
                    .map_err(|error| WrongLine { line: index + error.line, message: error.text })?;
                let names: Vec<String> = images.into_iter().map(|image| image.name).collect();
                return finish(scenario, &names).map_err(wrong);
            }
            start += whole.len();
            // What is told in free text may have a `#` in it.
            let line = if reader.is_free(line) { whole.trim() } else { line };
            if !line.is_empty() {
                let wrong = |message| WrongLine { line: index + 1, message };
                reader.line(line, &mut scenario).map_err(wrong)?;
            }
        }
        let message = "there is no program: a line `program NAME` and its text must follow".into();
        Err(WrongLine { line: text.lines().count().max(1), message })
    }
}

#[derive(Default)]
struct Reader {
    /// `at` lines are for children.
    of_child: bool,
}

impl Reader {
    fn is_free(&self, line: &str) -> bool {
        line.starts_with("known:") || line.starts_with("sees ")
    }

    fn line(&mut self, line: &str, scenario: &mut Scenario) -> Parsed<()> {
        if let Some(reason) = line.strip_prefix("known:") {
            scenario.known = Some(reason.trim().into());
            return Ok(());
        }
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        let words: Vec<&str> = words.collect();
        match first {
            "signals:" => scenario.deferred_signals = order_of_signals(&words)?,
            "client" => {
                self.of_child = false;
                let client = client(&words)?;
                if scenario.clients.iter().any(|other| other.name == client.name) {
                    return Err(format!("there are two clients `{}`", client.name));
                }
                scenario.clients.push(client);
            }
            "signal" => {
                let (task, signal) = task_and_signal(&words)?;
                scenario.events.push(Event::Signal { task, signal });
            }
            "death" => {
                let client = one(&words, "the name of a client")?;
                scenario.events.push(Event::Death { client });
            }
            "ends" => scenario.ends.push(ends(line)?),
            "sees" => scenario.sees.push(sees(line)?),
            _ => {
                let client = scenario.clients.last_mut();
                let client = client.ok_or_else(|| format!("`{first}` stands before the first client"))?;
                self.statement(first, &words, line, client)?;
            }
        }
        Ok(())
    }

    fn statement(&mut self, first: &str, words: &[&str], line: &str, client: &mut Client) -> Parsed<()> {
        match first {
            "at" => {
                let line = Line::parse(line)?;
                if self.of_child { client.child.push(line) } else { client.main.push(line) }
            }
            "child" => self.of_child = true,
            _ => client.acts.push(act(first, words)?),
        }
        if client.acts.is_empty() || (client.main.is_empty() && client.child.is_empty()) {
            return Ok(());
        }
        Err("a client has either `at` lines or other ones, not both".into())
    }
}

/// What can only be known when all was read.
fn finish(scenario: Scenario, programs: &[String]) -> Parsed<Scenario> {
    if scenario.clients.is_empty() {
        return Err("there is no client: a line `client NAME` must stand before the programs".into());
    }
    for event in &scenario.events {
        if let Event::Death { client } = event
            && scenario.clients.iter().all(|known| known.name != *client)
        {
            return Err(format!("`death {client}`: there is no such client"));
        }
    }
    for act in scenario.clients.iter().flat_map(|client| &client.acts) {
        if let Act::Spawn { program, .. } = act
            && !programs.contains(program)
        {
            return Err(format!("`{act}`: there is no such program"));
        }
    }
    scenario.clients.iter().try_for_each(led)?;
    known(&scenario)?;
    Ok(scenario)
}

/// Every label that is gone to is there, once, and what waits by a queue has one.
fn led(client: &Client) -> Parsed<()> {
    for (place, act) in client.acts.iter().enumerate() {
        if let Some(label) = act.labels().find(|label| client.place(label).is_none()) {
            return Err(format!("`{act}`: client {} has no label `{label}`", client.name));
        }
        match act {
            Act::Label { label } if client.place(label) != Some(place) => {
                return Err(format!("client {} has two labels `{label}`", client.name));
            }
            Act::Goto { .. } if client.settle(place).is_none() => {
                return Err(format!("`{act}`: client {} would go round and round", client.name));
            }
            Act::Await | Act::Take { .. } if !client.manner.queue => {
                return Err(format!("`{act}`: this is for a client that is `queue`"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Every task that is named is spawned by somebody, or descends from one that is.
fn known(scenario: &Scenario) -> Parsed<()> {
    let acts = || scenario.clients.iter().flat_map(|client| &client.acts);
    let mut roots: Vec<&str> = acts()
        .filter_map(|act| if let Act::Spawn { task, .. } = act { Some(task.as_str()) } else { None })
        .collect();
    if scenario.clients.iter().any(super::Client::is_scripted) {
        roots.push("main");
    }
    let of_events = scenario.events.iter().filter_map(|event| match event {
        Event::Signal { task, .. } => Some(task.as_str()),
        Event::Death { .. } => None,
    });
    let of_ends = scenario.ends.iter().map(|ends| ends.task.as_str());
    let mut named = acts().filter_map(Act::task).chain(of_events).chain(of_ends);
    let stranger = named.find(|name| !roots.contains(&name.split('.').next().unwrap_or(name)));
    match stranger {
        Some(name) => {
            Err(format!("`{name}`: nobody spawns a task of this name, or one that it descends from"))
        }
        None => Ok(()),
    }
}

fn order_of_signals(words: &[&str]) -> Parsed<bool> {
    match words {
        ["deferred"] => Ok(true),
        ["nested"] => Ok(false),
        _ => Err("signals are `nested` or `deferred`".into()),
    }
}

fn client(words: &[&str]) -> Parsed<Client> {
    let (name, words) = words.split_first().ok_or("a client needs a name")?;
    let mut client = Client { name: (*name).into(), ..Client::default() };
    for word in words {
        match *word {
            "experimental" => client.manner.experimental = true,
            "exclusive" => client.manner.exclusive = true,
            "queue" => client.manner.queue = true,
            "follow" => client.manner.children = Children::Follow,
            "release" => client.manner.children = Children::Release,
            "shut" => client.manner.children = Children::Shut,
            word => {
                return Err(format!(
                    "a client is experimental, exclusive, queue, follow, release or shut, not `{word}`"
                ));
            }
        }
    }
    Ok(client)
}

fn act(first: &str, words: &[&str]) -> Parsed<Act> {
    Ok(match first {
        "spawn" => match words {
            [program] => Act::Spawn { program: (*program).into(), task: (*program).into() },
            [program, "as", task] => Act::Spawn { program: (*program).into(), task: (*task).into() },
            _ => return Err("it is `spawn PROGRAM` or `spawn PROGRAM as TASK`".into()),
        },
        "open" => {
            let (task, words) = words.split_first().ok_or("open needs a task")?;
            let mut flags = OpenFlags::O_RDWR;
            for word in words {
                let known = FLAGS.iter().find(|(known, _)| known == word);
                flags |= known.ok_or_else(|| format!("`{word}` is no way to open"))?.1;
            }
            Act::Open { task: (*task).into(), flags }
        }
        "write" | "serve" => {
            let (task, words) = words.split_first().ok_or_else(|| format!("{first} needs a task"))?;
            let (task, mask) = ((*task).into(), mask(words)?);
            if first == "write" { Act::Write { task, mask } } else { Act::Serve { task, mask } }
        }
        "read" => Act::Read { task: one(words, "a task")? },
        "close" => Act::Close { task: one(words, "a task")? },
        "regs" => Act::Regs { task: one(words, "a task")? },
        "wait" => Act::Wait { task: one(words, "a task")? },
        "kill" => {
            let (task, signal) = task_and_signal(words)?;
            Act::Kill { task, signal }
        }
        "die" => Act::Die,
        "await" if words.is_empty() => Act::Await,
        "take" => take(words)?,
        "goto" => Act::Goto { label: one(words, "a label")? },
        "label" => Act::Label { label: one(words, "a name")? },
        other => return Err(format!("`{other}` is nothing that a client does")),
    })
}

fn take(words: &[&str]) -> Parsed<Act> {
    let (task, words) = words.split_first().ok_or("take needs a task")?;
    let (mut none, mut gone) = (None, None);
    for pair in words.chunks(2) {
        match pair {
            ["none", label] => none = Some((*label).into()),
            ["gone", label] => gone = Some((*label).into()),
            _ => return Err("it is `take TASK`, and perhaps `none LABEL` and `gone LABEL`".into()),
        }
    }
    Ok(Act::Take { task: (*task).into(), none, gone })
}

fn one(words: &[&str], what: &str) -> Parsed<String> {
    match words {
        [word] => Ok((*word).into()),
        _ => Err(format!("{what} is expected, and nothing else")),
    }
}

fn mask(words: &[&str]) -> Parsed<PtraceFlags> {
    words.iter().map(|word| bit(word).ok_or_else(|| format!("`{word}` is no bit of a mask"))).collect()
}

fn task_and_signal(words: &[&str]) -> Parsed<(String, Signal)> {
    match words {
        [task, word] => Ok(((*task).into(), signal(word)?)),
        _ => Err("a task and a signal are expected".into()),
    }
}

/// `usr1`, `SIGUSR1` or `10`.
fn signal(word: &str) -> Parsed<Signal> {
    let upper = word.to_uppercase();
    let named = |signal: &&Signal| {
        signal.name().is_some_and(|name| name == upper || name.strip_prefix("SIG") == Some(&upper))
    };
    let numbered = || word.parse().ok().filter(|number| (1..=64).contains(number)).map(Signal);
    let found = Signal::ALL.iter().find(named).copied().or_else(numbered);
    found.ok_or_else(|| format!("`{word}` is no signal"))
}

fn ends(line: &str) -> Parsed<Ends> {
    let form = "it is `ends TASK: WAY, …`, a way being `exit CODE` or a signal";
    let (task, ways) = line.strip_prefix("ends").and_then(|rest| rest.split_once(':')).ok_or(form)?;
    let way = |text: &str| match text.trim().strip_prefix("exit") {
        Some(code) => code.trim().parse().map(Status::exited).map_err(|_| form.to_owned()),
        None => signal(text.trim()).map(Status::killed),
    };
    let ways = ways.split(',').map(way).collect::<Parsed<Vec<_>>>()?;
    Ok(Ends { task: one(&[task.trim()], "a task")?, ways })
}

fn sees(line: &str) -> Parsed<(usize, String)> {
    let form = "it is `sees N: LINE`, N being the session's number, from 0";
    let (number, text) = line.strip_prefix("sees").and_then(|rest| rest.split_once(':')).ok_or(form)?;
    Ok((number.trim().parse().map_err(|_| form)?, text.trim().into()))
}
