//! Scenarios on both machines ([`conformance::differential`]): kept ones, those with all they expect (`scenarios/played`), and
//! random ones.
//!
//! `DIFFERENTIAL_CASES` says how many (300, or 2,000 where CI is set), `DIFFERENTIAL_SEED` which. Cases run in a process of
//! its own, one process for many, because tracees are waited for by the thread that traces them, and because what hangs has
//! to be ended: a case that takes longer than [`LIMIT`] is a failure, and its process group is killed.

use std::cell::{Cell, RefCell};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use conformance::differential::compare::compare;
use conformance::differential::generate::scenario;
use conformance::differential::machines::Output;
use kernel_model::scenario::Scenario;
use libtest_mimic::{Arguments, Failed, Trial};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

/// The worker's directory; set in workers only.
const WORKER: &str = "TRACEFD_DIFFERENTIAL";
/// Far more than any case takes.
const LIMIT: Duration = Duration::from_secs(20);
/// The line after an answer.
const END: &str = "=== end of answer";

/// A process that plays scenarios.
struct Worker {
    child: Child,
    requests: ChildStdin,
    answers: Receiver<String>,
    _dir: tempfile::TempDir,
}

impl Worker {
    fn start() -> std::io::Result<Worker> {
        let dir = tempfile::tempdir()?;
        let output = std::fs::OpenOptions::new().append(true).create(true).open(dir.path().join("output"))?;
        let mut child = Command::new(std::env::current_exe()?)
            .env(WORKER, dir.path())
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stderr.take());
        let (requests, replies) = pipes.ok_or(std::io::ErrorKind::BrokenPipe)?;
        let (send, answers) = channel();
        std::thread::spawn(move || {
            let mut answer = String::new();
            for line in BufReader::new(replies).lines().map_while(Result::ok) {
                if line == END {
                    if send.send(std::mem::take(&mut answer)).is_err() {
                        return;
                    }
                } else {
                    answer += &line;
                    answer.push('\n');
                }
            }
            let _ = send.send(format!("the worker ended\n{answer}"));
        });
        Ok(Worker { child, requests, answers, _dir: dir })
    }

    fn play(&mut self, text: &str) -> Result<(), String> {
        let request = format!("{}\n{text}", text.len());
        self.requests
            .write_all(request.as_bytes())
            .map_err(|error| format!("the worker is gone: {error}"))?;
        match self.answers.recv_timeout(LIMIT) {
            Ok(answer) if answer.is_empty() => Ok(()),
            Ok(answer) => Err(answer),
            Err(_) => Err(format!("it did not end in {LIMIT:?}")),
        }
    }
}

/// Tracees that a failed case leaves behind end with it.
impl Drop for Worker {
    fn drop(&mut self) {
        if let Ok(group) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}

/// Workers are started when needed, and again after every failure.
#[derive(Default)]
struct Player(RefCell<Option<Worker>>);

impl Player {
    fn play(&self, text: &str) -> Result<(), String> {
        let mut worker = match self.0.take() {
            Some(worker) => worker,
            None => Worker::start().map_err(|error| error.to_string())?,
        };
        let result = worker.play(text);
        if result.is_ok() {
            self.0.replace(Some(worker));
        }
        result
    }
}

/// The other side of [`Worker`].
fn work(dir: &Path) -> Result<(), String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    // Whether a core is dumped is not what is compared.
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(|error| told(&error))?;
    let mut output = Output::new(&dir.join("output"), dir).map_err(|error| told(&error))?;
    let mut requests = BufReader::new(std::io::stdin());
    loop {
        let mut size = String::new();
        if requests.read_line(&mut size).map_err(|error| told(&error))? == 0 {
            return Ok(());
        }
        let mut text = vec![0; size.trim().parse().map_err(|error| told(&error))?];
        requests.read_exact(&mut text).map_err(|error| told(&error))?;
        let scenario = Scenario::parse(&String::from_utf8_lossy(&text)).map_err(|error| told(&error))?;
        if let Err(difference) = compare(&scenario, &mut output) {
            eprintln!("{difference}");
        }
        eprintln!("{END}");
    }
}

fn number(name: &str, otherwise: u64) -> Result<u64, Failed> {
    match std::env::var(name) {
        Ok(text) => text.parse().map_err(|_| format!("{name} is not a number: {text}").into()),
        Err(_) => Ok(otherwise),
    }
}

/// Kept scenarios: they agree, or are known not to.
fn replay(path: &Path) -> Result<(), Failed> {
    let text = std::fs::read_to_string(path)?;
    let scenario = Scenario::parse(&text)?;
    match (Player::default().play(&scenario.to_string()), scenario.known) {
        (Ok(()), None) | (Err(_), Some(_)) => Ok(()),
        (Ok(()), Some(_)) => Err("the machines agree by now: remove its line `known`".into()),
        (Err(difference), None) => Err(difference.into()),
    }
}

/// What tracers do in random scenarios: several tracees, waits by O_NONBLOCK and `event:`, every bit, edits of registers and
/// memory, dups, closes at odd moments.
const OF_TRACERS: [&str; 35] = [
    " queue",
    " exclusive",
    " experimental",
    " follow",
    " shut",
    "child",
    " pre",
    " post",
    " step",
    " signal",
    " break",
    " exit",
    " clone",
    " image",
    " death",
    " ignore",
    " result=",
    " argument=",
    " number=",
    " rbx=",
    " rewrite",
    " poke=",
    " peek",
    " plant",
    " restore",
    " dup",
    " short",
    " unknown",
    " read ",
    " send=9 ",
    " send=10 ",
    " send=18 ",
    " send=23 ",
    " close ",
    " closeafter ",
];
/// And what programs do.
const OF_PROGRAMS: [&str; 14] = [
    "sys fork",
    "sys wait4",
    "sys pipe",
    "sys kill",
    "sys rt_sigaction",
    "sys rt_sigprocmask",
    "sys mprotect",
    "sys execve",
    "int3",
    "call tick",
    ", default,",
    ", ignore,",
    ", once,",
    ", nest,",
];

/// Each of these is in one scenario of fifty at least: what is not made is not compared.
fn complete() -> Result<(), Failed> {
    const CASES: usize = 300;
    let mut runner = TestRunner::deterministic();
    let mut found = std::collections::BTreeMap::<&str, usize>::new();
    for _ in 0..CASES {
        let text = scenario().new_tree(&mut runner)?.current().to_string();
        let (tracer, programs) = text.split_once("program main").ok_or("no program")?;
        for (parts, text) in [(&OF_TRACERS[..], tracer), (&OF_PROGRAMS[..], programs)] {
            for part in parts {
                *found.entry(part).or_default() += usize::from(text.contains(part));
            }
        }
    }
    found.retain(|_, times| *times < CASES / 50);
    if found.is_empty() { Ok(()) } else { Err(format!("rare among {CASES}: {found:?}").into()) }
}

/// Random ones, until the machines differ.
fn explore() -> Result<(), Failed> {
    let in_ci = std::env::var_os("CI").is_some();
    let cases = number("DIFFERENTIAL_CASES", if in_ci { 2000 } else { 300 })?;
    let seed = number("DIFFERENTIAL_SEED", 5)?;
    let config = Config {
        cases: u32::try_from(cases)?,
        max_shrink_iters: 400,
        failure_persistence: None,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let (player, played) = (Player::default(), Cell::new(0_u64));
    let result = TestRunner::new_with_rng(config, rng).run(&scenario(), |scenario| {
        played.set(played.get() + 1);
        player.play(&scenario.to_string()).map_err(TestCaseError::fail)
    });
    match result {
        Ok(()) => {
            eprintln!("differential: {cases} cases agree (seed {seed})");
            Ok(())
        }
        Err(TestError::Abort(reason)) => Err(reason.to_string().into()),
        Err(TestError::Fail(reason, scenario)) => {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("seed-{seed}.scenario"));
            std::fs::write(&path, scenario.to_string())?;
            Err(format!(
                "after {} cases, seed {seed}:\n{reason}\n{scenario}\nkept as {}",
                played.get(),
                path.display()
            )
            .into())
        }
    }
}

/// Scenarios that were kept, and those whose every event is written down.
const KEPT: [(&str, &str); 2] = [
    ("regression", concat!(env!("CARGO_MANIFEST_DIR"), "/src/differential/regressions")),
    ("scenario", concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/played")),
];

fn scenarios(dir: &str) -> std::io::Result<Vec<PathBuf>> {
    let mut all =
        std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    all.retain(|path| path.extension().is_some_and(|extension| extension == "scenario"));
    all.sort();
    Ok(all)
}

fn main() -> ExitCode {
    if let Some(dir) = std::env::var_os(WORKER) {
        return match work(Path::new(&dir)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let mut trials = Vec::new();
    for (kind, dir) in KEPT {
        match scenarios(dir) {
            Ok(paths) => {
                for path in paths {
                    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                    trials.push(Trial::test(format!("{kind}::{name}"), move || replay(&path)));
                }
            }
            Err(error) => trials.push(Trial::test(kind, move || Err(error.to_string().into()))),
        }
    }
    trials.push(Trial::test("differential::random_scenarios_have_everything", complete));
    trials.push(Trial::test("differential::random_scenarios_agree", explore));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
