//! Signals to the tool itself. [`block`] before any thread exists; then [`Signals::start`] has one thread wait for them.
//!
//! With every signal of interest blocked in every thread and taken by sigwait in one, there is no handler, no race with
//! a blocking read of the tool's thread, and no polling. What a child is started with is not affected: backend-linux
//! gives it the mask and the dispositions that the tool was started with.
//!
//! Signals that the tool was started with as ignored (nohup, background jobs of sh) stay ignored.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use crate::ending;
use crate::output::Output;

/// Two ^C within this time mean the tool, not the traced program.
const TWICE: Duration = Duration::from_secs(2);

/// Whose business a signal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The tool started the command: the terminal's signals reach the command by themselves, others are passed on.
    Spawned {
        /// Whether its pid is one of this system's.
        real: bool,
    },
    /// The tool attached to what was there: it can leave at any time.
    Attached,
    /// Every signal that would end a program ends the tool, and nothing is passed on.
    Fatal,
    /// None does.
    Deaf {
        /// ^Z stops the tool.
        stops: bool,
    },
}

/// What the waiting thread and the tool's thread share.
pub struct Signals {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    root: Root,
    /// ^Z came from the terminal, and the command has not stopped yet.
    stop_asked: bool,
    /// Job control has stopped the command.
    root_stopped: bool,
    last_interrupt: Option<Instant>,
}

#[derive(Default)]
enum Root {
    /// Not started yet: these wait for it.
    #[default]
    Unborn,
    Waiting(Vec<Signal>),
    Alive(Pid),
    Ended,
}

/// Held back for good. Writing to the terminal from the background is then no reason to stop (tty_ioctl(4), TOSTOP), and
/// writing more than a file may have (RLIMIT_FSIZE of setrlimit(2)) is an error like that of a full disk.
const UNHEARD: [Signal; 3] = [Signal::SIGTTOU, Signal::SIGTTIN, Signal::SIGXFSZ];
/// What the tool holds back, in all its threads.
const HELD: [Signal; 8] = [
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGTSTP,
    Signal::SIGTTOU,
    Signal::SIGTTIN,
    Signal::SIGXFSZ,
];

/// Blocks all signals that the tool handles, in this thread and those it will start; returns those to wait for. Bit n − 1 of
/// `ignored`: signal n was ignored when the tool was started.
pub fn block(ignored: u64) -> SigSet {
    let mut waited = SigSet::empty();
    let mut blocked = waited;
    for signal in HELD {
        if !UNHEARD.contains(&signal) && ignored & bit(signal) == 0 {
            waited.add(signal);
        }
        if UNHEARD.contains(&signal) || waited.contains(signal) {
            blocked.add(signal);
        }
    }
    // pthread_sigmask fails only for a bad `how`.
    let _ = blocked.thread_block();
    waited
}

/// Does something in this thread with the signals let through that [`block`] holds back: what it starts inherits that.
pub fn as_started<T>(act: impl FnOnce() -> T) -> T {
    let mut held = SigSet::empty();
    for signal in HELD {
        held.add(signal);
    }
    let before = SigSet::thread_get_mask();
    let _ = held.thread_unblock();
    let done = act();
    let _ = before.map(|before| before.thread_set_mask());
    done
}

fn bit(signal: Signal) -> u64 {
    1 << (signal as u32 - 1)
}

impl Signals {
    /// Starts the thread that waits for `waited`, all of which [`block`] has blocked.
    pub fn start(waited: SigSet, mode: Mode, output: Output) -> Signals {
        let state = Arc::new(Mutex::new(State::default()));
        let signals = Signals { state: Arc::clone(&state) };
        // Without the thread the tool cannot be interrupted, only killed; it works all the same.
        let _ = thread::Builder::new().name("signals".to_owned()).spawn(move || {
            while let Ok(signal) = waited.wait() {
                handle(signal, mode, &state, &output);
            }
        });
        signals
    }

    /// The command runs: what was to be passed on is, now.
    pub fn root_is(&self, pid: u32) {
        let pid = Pid::from_raw(pid as i32);
        let mut state = lock(&self.state);
        if let Root::Waiting(signals) = std::mem::replace(&mut state.root, Root::Alive(pid)) {
            for signal in signals {
                let _ = kill(pid, signal);
            }
        }
    }

    /// The command has ended, its pid may soon be another's.
    pub fn root_ended(&self) {
        lock(&self.state).root = Root::Ended;
    }

    /// Job control has stopped the command. If that was the terminal's ^Z the tool stops too, so that the shell that
    /// waits for the tool sees its job stopped; it continues both.
    pub fn root_stopped(&self) {
        let mut state = lock(&self.state);
        state.root_stopped = true;
        state.stop_together();
    }

    /// The command runs again, or still.
    pub fn root_runs(&self) {
        let mut state = lock(&self.state);
        state.root_stopped = false;
        state.stop_asked = false;
    }
}

impl State {
    /// Either order of ^Z and the command's stop ends here.
    fn stop_together(&mut self) {
        if self.root_stopped && self.stop_asked {
            self.stop_asked = false;
            let _ = kill(Pid::this(), Signal::SIGSTOP);
        }
    }
}

fn handle(signal: Signal, mode: Mode, state: &Mutex<State>, output: &Output) {
    let real = match mode {
        Mode::Attached if signal == Signal::SIGTSTP => return, // stopping would stop the traced processes, one by one
        Mode::Fatal | Mode::Deaf { stops: true } if signal == Signal::SIGTSTP => {
            let _ = kill(Pid::this(), Signal::SIGSTOP);
            return;
        }
        Mode::Attached | Mode::Fatal => return leave(signal, output),
        Mode::Deaf { .. } => return,
        Mode::Spawned { real } => real,
    };
    let mut state = lock(state);
    match signal {
        Signal::SIGTSTP => {
            state.stop_asked = true;
            state.stop_together();
        }
        Signal::SIGINT => {
            let now = Instant::now();
            let twice =
                state.last_interrupt.replace(now).is_some_and(|last| now.duration_since(last) < TWICE);
            if twice || !real {
                leave(signal, output);
            }
        }
        Signal::SIGQUIT if real => {}
        _ if !real => leave(signal, output),
        _ => match &mut state.root {
            Root::Unborn => state.root = Root::Waiting(vec![signal]),
            Root::Waiting(signals) => signals.push(signal),
            Root::Alive(pid) => {
                let _ = kill(*pid, signal);
            }
            Root::Ended => {}
        },
    }
}

/// Ends the process at once: its end detaches every tracee transparently, which closing handles one by one would not
/// do at one moment.
fn leave(signal: Signal, output: &Output) {
    output.finish(" <detached ...>");
    ending::die_of(signal as i32);
    std::process::exit(128 + signal as i32);
}

/// The state is valid between any two statements that change it.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
