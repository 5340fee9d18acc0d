//! `kill -9` of tracefd at random moments: the traced command goes on as if nothing had happened; with `--kill-on-exit`
//! everything dies. And of an observer (RFC 0006), whose death is to matter no more.
//!
//! A moment is so many bytes of trace seen, or so many nanoseconds, drawn by a seeded generator from what a whole run takes. Only kills that hit while the command was alive and traced count. `TRACEFD_KILLS` asks for more
//! than 200, `TRACEFD_SEED` for other moments.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use conformance::cell::{Cell, Ended, Kill};
use conformance::harness::{Outcome, Suite, ensure, same};
use conformance::subjects::{GUESTS, Subject, TOOLS};
use conformance::tracer::{own_program, tracing};
use fastrand::Rng;

static TRIED: AtomicU64 = AtomicU64::new(0);
static LANDED: AtomicU64 = AtomicU64::new(0);
static LANDED_TO_KILL: AtomicU64 = AtomicU64::new(0);
static LANDED_ON_OBSERVERS: AtomicU64 = AtomicU64::new(0);

/// The command line of a tracer that writes this file, and of what it traces.
type Tracer = fn(&Path, &[String]) -> Vec<String>;

const TRACE: Tracer = |file, cmd| tracing(file, &[], cmd);
const TRACE_TO_KILL: Tracer = |file, cmd| tracing(file, &["--kill-on-exit"], cmd);
/// Two logs that take memory along; nothing is written.
const OBSERVE: Tracer = |_, cmd| [&[own_program("observer"), "2".into()], cmd].concat();

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: not a number: {text}")))
}

fn main() -> ExitCode {
    let wanted = from_env("TRACEFD_KILLS", 200);
    let mut suite = Suite::new("death");
    let all: Vec<&Subject> = GUESTS.iter().chain(TOOLS).collect();
    // Some end too soon to be hit often; the others make up for them.
    let share = (wanted * 3 / 2).div_ceil(all.len() as u64);
    for (n, subject) in all.iter().enumerate() {
        let subject = **subject;
        suite.test(&format!("goes_on_{}", subject.name), subject.needs, move || {
            goes_on(&subject, TRACE, share, &LANDED)
        });
        // An observer's death is a simpler case of the same: some subjects will do.
        if n % 4 == 0 {
            suite.test(&format!("goes_on_unobserved_{}", subject.name), subject.needs, move || {
                goes_on(&subject, OBSERVE, share.div_ceil(2), &LANDED_ON_OBSERVERS)
            });
        }
        suite.test(&format!("dies_with_{}", subject.name), subject.needs, move || {
            dies(&subject, share.div_ceil(8))
        });
    }
    suite.test("dies_with_endless", &[], move || endless(share));
    let whole = suite.is_whole();
    let result = suite.run();
    if whole {
        let (tried, landed, to_kill) =
            (TRIED.load(Relaxed), LANDED.load(Relaxed), LANDED_TO_KILL.load(Relaxed));
        eprintln!(
            "death: {tried} kills of the tracer; hit while the command was alive and traced: {landed}, with"
        );
        eprintln!("death: --kill-on-exit {to_kill} more; wanted: {wanted}; TRACEFD_SEED={}", seed());
        let observers = LANDED_ON_OBSERVERS.load(Relaxed);
        eprintln!("death: kills of an observer that hit likewise: {observers}; wanted: {}", wanted / 8);
        if landed < wanted || observers < wanted / 8 {
            return ExitCode::FAILURE;
        }
    }
    result
}

fn seed() -> u64 {
    from_env("TRACEFD_SEED", 1)
}

/// One subject, its directory, and what whole runs of it take.
struct Target<'s> {
    subject: &'s Subject,
    scratch: tempfile::TempDir,
    tracer: Tracer,
    rng: Rng,
    untraced: Ended,
    bytes: u64,
    nanoseconds: u64,
}

/// Moments that never come.
const NEVER: (u64, Duration) = (u64::MAX, Duration::ZERO);
const NEVER_IN_TIME: (u64, Duration) = (0, Duration::from_secs(1_000_000));

impl Target<'_> {
    fn new(subject: &Subject, tracer: Tracer) -> Result<Target<'_>, std::io::Error> {
        let scratch = tempfile::tempdir()?;
        nix::unistd::mkfifo(&scratch.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU)?;
        let dir = scratch.path().join("run");
        let untraced = Cell::at(&dir).run(&subject.prepare(&dir)?)?;
        let name =
            subject.name.bytes().fold(seed(), |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let mut target = Target {
            subject,
            scratch,
            tracer,
            rng: Rng::with_seed(name),
            untraced,
            bytes: 0,
            nanoseconds: 0,
        };
        target.bytes = target.run(NEVER)?.number("bytes");
        target.nanoseconds = target.run(NEVER_IN_TIME)?.number("nanoseconds");
        Ok(target)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn run(&self, moment: (u64, Duration)) -> std::io::Result<Ended> {
        let cmd = self.subject.prepare(&self.path("run"))?;
        run(self.scratch.path(), &self.path("run"), self.tracer, &cmd, moment)
    }

    /// Traces and kills at a random moment.
    fn strike(&mut self) -> std::io::Result<Ended> {
        TRIED.fetch_add(1, Relaxed);
        let moment = if self.rng.bool() && self.bytes > 0 {
            (self.rng.u64(1..=self.bytes), self.rng.u64(0..20_000))
        } else {
            (0, self.rng.u64(0..=self.nanoseconds))
        };
        self.run((moment.0, Duration::from_nanos(moment.1)))
    }
}

/// `cmd`, marked, traced into a FIFO if bytes of it are counted, and killed.
fn run(
    scratch: &Path,
    dir: &Path,
    tracer: Tracer,
    cmd: &[String],
    (bytes, after): (u64, Duration),
) -> std::io::Result<Ended> {
    let mark = scratch.join("mark");
    if mark.exists() {
        std::fs::remove_file(&mark)?;
    }
    let mut marked = vec![own_program("guest"), "mark".into(), mark.display().to_string()];
    marked.extend_from_slice(cmd);
    let fifo = scratch.join("fifo");
    let trace = if bytes > 0 { fifo.clone() } else { scratch.join("trace") };
    let kill = Kill { after_bytes: (fifo, bytes), after, mark };
    Cell { kill: Some(kill), ..Cell::at(dir) }.run(&tracer(&trace, &marked))
}

/// Did it hit a command that was alive and traced? One that ended between the look and the kill, and that its parent, the
/// tracer, has buried, is no one else's to bury: then nothing is said of it.
fn landed(ended: &Ended) -> bool {
    ended.said("traced") == ["yes"] && ended.status == "killed 9" && !ended.said("main").is_empty()
}

fn nothing_left(ended: &Ended) -> Outcome {
    ensure(ended.said("left").is_empty(), || {
        format!("left behind: {:?}\n{}", ended.said("left"), ended.text())
    })
}

fn goes_on(subject: &Subject, tracer: Tracer, share: u64, hit: &AtomicU64) -> Outcome {
    let mut target = Target::new(subject, tracer)?;
    let mut hits = 0;
    for _ in 0..share * 4 {
        let ended = target.strike()?;
        nothing_left(&ended)?;
        if landed(&ended) {
            hit.fetch_add(1, Relaxed);
            hits += 1;
            let moment = format!("after {} bytes, {} ns", ended.number("bytes"), ended.number("nanoseconds"));
            same(&format!("status {moment}"), &target.untraced.status, &ended.said("main").join(", "))?;
            let told = |text: &str| beside_windows(subject, text);
            same(&format!("stdout {moment}"), &told(&target.untraced.stdout), &told(&ended.stdout))?;
            same(&format!("stderr {moment}"), &target.untraced.stderr, &ended.stderr)?;
        }
        if hits == share {
            break;
        }
    }
    Ok(())
}

/// Calls that RFC 0003 has in the list of L12, and that these subjects make.
const BREAKABLE: [&str; 3] = ["epoll_wait", "sigtimedwait", "semop"];

/// What must be equal, beside the windows of RFC 0003. W1: an ignored signal has ended a traced epoll_wait, and the tracer
/// that was to hide it died before it could; only one subject sends such signals to such a call. W2: a tracer that dies
/// at the entry of such a call interrupts it, with no signal to be seen.
fn beside_windows(subject: &Subject, text: &str) -> String {
    let mut equal = String::new();
    for line in text.lines() {
        let breakable = BREAKABLE.iter().any(|call| line.starts_with(call));
        match subject.name {
            "ignored" if line.starts_with("epoll_wait") => continue,
            "interrupts" if breakable => {
                equal += &line.replace("EINTR, signals seen: false", "EINTR, signals seen: true");
            }
            _ => equal += line,
        }
        equal.push('\n');
    }
    equal
}

/// All that was traced dies; nothing that was started stays.
fn dies(subject: &Subject, share: u64) -> Outcome {
    let mut target = Target::new(subject, TRACE_TO_KILL)?;
    for _ in 0..share {
        let ended = target.strike()?;
        nothing_left(&ended)?;
        if landed(&ended) {
            LANDED_TO_KILL.fetch_add(1, Relaxed);
            let main = ended.said("main").join(", ");
            // It may have ended by itself between the look and the kill.
            let over = main == target.untraced.status;
            ensure(main == "killed 9" || over, || format!("the command: {main}\n{}", ended.text()))?;
        }
    }
    Ok(())
}

/// Processes and threads that never end by themselves: each must be killed, whatever it was doing.
fn endless(share: u64) -> Outcome {
    let scratch = tempfile::tempdir()?;
    nix::unistd::mkfifo(&scratch.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU)?;
    let guest = [own_program("guest"), "endless".into()];
    let mut rng = Rng::with_seed(seed());
    for _ in 0..share {
        TRIED.fetch_add(1, Relaxed);
        let moment = (rng.u64(40_000..400_000), Duration::from_nanos(rng.u64(0..300_000)));
        let ended = run(scratch.path(), scratch.path(), TRACE_TO_KILL, &guest, moment)?;
        nothing_left(&ended)?;
        ensure(landed(&ended), || format!("not traced: {:?}", ended.report))?;
        LANDED_TO_KILL.fetch_add(1, Relaxed);
        let others = ended.said("main").iter().chain(ended.said("adopted"));
        for end in others {
            // Its short-lived children exit with 0 if they get that far.
            ensure(end == "killed 9" || end == "exited 0", || format!("{end}: {:?}", ended.report))?;
        }
        same("the command", "killed 9", &ended.said("main").join(", "))?;
    }
    Ok(())
}
