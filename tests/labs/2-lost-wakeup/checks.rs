//! What lab 2 asks for: the census is right under the schedule in which it was not, and under many others; and the
//! student can say where the wake-up was lost.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use conformance::harness::{Outcome, ensure};
use kernel_model::abi::{Event, EventFlags, OpenFlags, Pid, PtraceEvent, Result, Signal, Stat, Status};
use kernel_model::kernel::{Kernel, Policy};
use kernel_model::local::{Client, Local};
use kernel_model::scheme::{Caller, Fd, Host, Program, Scheme};
use kernel_model::sim::{Sim, SimConfig};
use zerocopy::FromBytes;

/// What is handed in.
pub(crate) struct Work {
    /// The function.
    pub(crate) census: fn(&dyn Host, &[Pid]) -> Result<Vec<u32>>,
    /// The file.
    pub(crate) answer: &'static str,
}

/// A check with its name.
pub(crate) type Named = (&'static str, fn(&Work) -> Outcome);

/// All of them.
pub(crate) const CHECKS: &[Named] = &[
    ("counts_under_the_schedule", scheduled),
    ("counts_under_every_schedule", every),
    ("the_answer_names_the_step_and_the_rule", answer),
];

/// The run in which the wake-up is lost, as `replay` tells it.
pub(crate) const SCHEDULE: &str = include_str!("schedule.txt");
/// Schedules that are tried.
const SEEDS: std::ops::Range<u64> = 0..400;

/// Two workers, with two and with three children that end at once.
const GUEST: &str = "
program main
    sys fork
    test rax, rax
    je child
    sys fork
    test rax, rax
    je child
    sys exit, 0
child:
    sys exit, 1
program other
    sys fork
    test rax, rax
    je child
    sys fork
    test rax, rax
    je child
    sys fork
    test rax, rax
    je child
    sys exit, 0
child:
    sys exit, 1
";
const RIGHT: [u32; 2] = [2, 3];

/// Runs the census under one schedule of the simulator, and tells what happened: what the tool did, and between that what
/// the tasks did and why. The same seed gives the same lines.
pub(crate) fn replay(
    census: fn(&dyn Host, &[Pid]) -> Result<Vec<u32>>,
    seed: u64,
) -> (Result<Vec<u32>>, String) {
    let mut sim = Sim::new(SimConfig { seed, log: 10_000, ..SimConfig::default() });
    sim.load(GUEST).expect("the guest is right");
    let me = Caller { pid: sim.owner(), uid: 1000, gid: 1000 };
    let local = Local::new(Kernel::new(sim, Policy::SameUser));
    let host = Recorder {
        client: local.client(me),
        local,
        paths: RefCell::default(),
        lines: RefCell::default(),
        seen: Cell::new(0),
    };
    let workers = ["main", "other"].map(|name| host.client.spawn(&Program::new(name)).expect("it starts"));
    host.catch_up();
    let answer = census(&host, &workers);
    host.say(format!("tool: ends with {answer:?}"));
    let lines = host.lines.take();
    let numbered = lines.iter().zip(1..).map(|(line, n)| format!("{n:3} {line}\n"));
    (answer, format!("seed {seed}\n{}", numbered.collect::<String>()))
}

fn scheduled(work: &Work) -> Outcome {
    let seed = SCHEDULE.lines().next().and_then(|line| line.strip_prefix("seed ")?.parse().ok());
    let (answer, told) = replay(work.census, seed.ok_or("schedule.txt begins with its seed")?);
    ensure(answer == Ok(RIGHT.into()), || format!("{answer:?}, not {RIGHT:?}\n{told}"))
}

fn every(work: &Work) -> Outcome {
    for seed in SEEDS {
        let (answer, told) = replay(work.census, seed);
        ensure(answer == Ok(RIGHT.into()), || format!("{answer:?}, not {RIGHT:?}\n{told}"))?;
    }
    Ok(())
}

fn answer(work: &Work) -> Outcome {
    let said = |key: &str| work.answer.lines().find_map(|line| line.strip_prefix(key)).map_or("", str::trim);
    let step = silent_step(SCHEDULE).ok_or("no wake-up is lost in schedule.txt")?;
    ensure(said("step:").parse() == Ok(step), || format!("it is not lost at step {:?}", said("step:")))?;
    ensure(said("rule:") == "R59", || format!("{:?} is not the rule that says so", said("rule:")))
}

/// The step at which a record is queued behind another one, so that nobody is told.
pub(crate) fn silent_step(schedule: &str) -> Option<u32> {
    let mut queued: BTreeMap<&str, u32> = BTreeMap::new();
    for line in schedule.lines().skip(1) {
        let (step, what) = line.trim_start().split_once(' ')?;
        if let Some((pid, _)) = what.split_once(" stopped: Born") {
            let waiting = queued.entry(pid).or_default();
            *waiting += 1;
            if *waiting > 1 {
                return step.parse().ok();
            }
        } else if let Some(rest) = what.strip_prefix("tool: read proc:")
            && let Some((pid, _)) = rest.split_once("/trace = CLONE")
        {
            queued.insert(pid, 0);
        }
    }
    None
}

/// A host that writes down what is done with it.
struct Recorder {
    client: Client<Sim>,
    local: Local<Sim>,
    paths: RefCell<BTreeMap<Fd, String>>,
    lines: RefCell<Vec<String>>,
    seen: Cell<usize>,
}

impl Recorder {
    /// What the tasks have done since the last line.
    fn catch_up(&self) {
        let new: Vec<String> = self.local.with_machine(|sim| {
            let lines = sim.log().skip(self.seen.get()).map(str::to_owned).collect();
            self.seen.set(sim.log().count());
            lines
        });
        let shown = |line: &String| {
            [" stopped: ", " resumed: ", " ended: ", " born: "].iter().any(|word| line.contains(word))
        };
        self.lines.borrow_mut().extend(new.into_iter().filter(shown));
    }

    fn say(&self, line: String) {
        self.catch_up();
        self.lines.borrow_mut().push(line);
    }

    fn path(&self, fd: Fd) -> String {
        self.paths.borrow().get(&fd).cloned().unwrap_or_default()
    }

    fn note(&self, path: &str, answer: Result<Fd>) -> Result<Fd> {
        if let Ok(fd) = answer {
            self.paths.borrow_mut().insert(fd, path.to_owned());
        }
        answer
    }
}

impl Scheme for Recorder {
    fn open(&self, path: &str, flags: OpenFlags) -> Result<Fd> {
        self.note(path, self.client.open(path, flags))
    }

    fn dup(&self, fd: Fd, path: &str) -> Result<Fd> {
        let process = self.path(fd);
        let process = process.split_once('/').map_or("", |(process, _)| process);
        self.note(&format!("{process}/{path}"), self.client.dup(fd, path))
    }

    fn read(&self, fd: Fd, buf: &mut [u8]) -> Result<usize> {
        let path = self.path(fd);
        if path == "event:" || path.contains("/regs/") {
            self.say(format!("tool: read {path} waits"));
        }
        let answer = self.client.read(fd, buf);
        let what = match answer {
            Err(errno) => format!("{errno:?}"),
            Ok(n) if path == "event:" => match Event::read_from_bytes(&buf[..n]) {
                Ok(event) => format!("{} is readable", self.path(Fd(event.id as u32))),
                Err(_) => format!("{n} bytes"),
            },
            Ok(n) if path.ends_with("/trace") => match PtraceEvent::read_from_prefix(&buf[..n]) {
                Ok((event, _)) => format!("CLONE {}, {n} bytes", event.a),
                Err(_) => "nothing, it is held".to_owned(),
            },
            Ok(n) => format!("{n} bytes"),
        };
        self.say(format!("tool: read {path} = {what}"));
        answer
    }

    fn write(&self, fd: Fd, buf: &[u8]) -> Result<usize> {
        let answer = self.client.write(fd, buf);
        self.say(format!("tool: write {} = {answer:?}", self.path(fd)));
        answer
    }

    fn seek(&self, fd: Fd, offset: i64, whence: u32) -> Result<u64> {
        self.client.seek(fd, offset, whence)
    }

    fn fcntl(&self, fd: Fd, command: u32, argument: u64) -> Result<u64> {
        self.client.fcntl(fd, command, argument)
    }

    fn fevent(&self, fd: Fd, flags: EventFlags) -> Result<EventFlags> {
        self.client.fevent(fd, flags)
    }

    fn fstat(&self, fd: Fd) -> Result<Stat> {
        self.client.fstat(fd)
    }

    fn fpath(&self, fd: Fd, buf: &mut [u8]) -> Result<usize> {
        self.client.fpath(fd, buf)
    }

    fn close(&self, fd: Fd) -> Result<()> {
        self.client.close(fd)
    }
}

impl Host for Recorder {
    fn spawn(&self, program: &Program) -> Result<Pid> {
        self.client.spawn(program)
    }

    fn wait(&self, pid: Pid, block: bool) -> Result<Option<Status>> {
        self.client.wait(pid, block)
    }

    fn kill(&self, pid: Pid, signal: Signal) -> Result<()> {
        self.client.kill(pid, signal)
    }
}
