//! Reading everything, whatever is shown: a recording is to answer for options that nobody has given yet (RFC 0007).
//!
//! With [`Options::whole`] the loop decodes every call, and once more with strings of [`RECORDED`] bytes; [`Shown`] stands
//! before the view and passes on what the options ask for, as if nothing else had been read. A replay reads the same.

use std::time::Duration;

use super::moment::Moment;
use super::view::{CallView, Ended, Happened, Needs, View, What};
use super::{Options, Show};

/// What a recording has: strings and lists up to this length. What `-v` and `-y` read besides is there if they were given.
pub const RECORDED: Show = Show { limit: 1024, ..Show::DEFAULT };

/// Times come from here.
#[derive(Clone, Debug, Default)]
pub enum Source {
    /// The tool's clocks.
    #[default]
    Own,
    /// The recorded clock of a machine.
    Recorded {
        /// When the recording began.
        began: Moment,
        /// What has passed since.
        time: kernel_model::replay::Time,
    },
}

impl Source {
    /// A recording that began so many nanoseconds after 1970.
    pub fn recorded(nanos: u64, time: kernel_model::replay::Time) -> Source {
        Source::Recorded { began: Moment { wall: Duration::from_nanos(nanos), ..Moment::now() }, time }
    }

    /// This moment; for a recorded clock, that of the last report.
    pub fn now(&self) -> Moment {
        match self {
            Source::Own => Moment::now(),
            Source::Recorded { began, time } => {
                let passed = Duration::from_nanos(time.nanos());
                // A clock that nobody could have recorded stands still.
                let steady = began.steady.checked_add(passed).unwrap_or(began.steady);
                Moment { steady, wall: began.wall.saturating_add(passed) }
            }
        }
    }
}

/// A view that is told what the options select, and no more than it needs.
pub struct Shown<'v> {
    view: &'v mut dyn View,
    options: &'v Options,
    needs: Needs,
}

impl<'v> Shown<'v> {
    /// Before this view.
    pub fn new(view: &'v mut dyn View, options: &'v Options) -> Shown<'v> {
        Shown { needs: view.needs(), view, options }
    }

    fn call<'a>(&self, call: &'a CallView<'a>) -> CallView<'a> {
        let CallView { number, abi, id, .. } = *call;
        let (words, text) = if self.needs.arguments { (call.words, call.text) } else { ([0; 6], &b""[..]) };
        CallView { name: call.name.clone(), number, abi, id, words, text }
    }

    fn selects(&self, call: &CallView<'_>) -> bool {
        self.options.select.has(call.abi, call.number)
    }
}

impl View for Shown<'_> {
    fn needs(&self) -> Needs {
        Needs { arguments: true, times: true, pc: true, origins: true, programs: true, ..self.needs }
    }

    fn tell(&mut self, happened: &Happened<'_>) {
        let Happened { who, now, pc, .. } = *happened;
        let pc = pc.filter(|_| self.needs.pc);
        let tell = |what| Happened { who, now, pc, what };
        match &happened.what {
            What::Begins(call) | What::Ends(Ended { call, .. }) if !self.selects(call) => {}
            What::Signal { signal, .. } if !self.options.signals.has_signal(*signal) => {}
            What::Program(_) if !self.needs.programs => {}
            What::Begins(call) => {
                let call = self.call(call);
                self.view.tell(&tell(What::Begins(call)));
            }
            What::Ends(ended) => {
                let Ended { outcome, began, injected, delayed, cut, .. } = *ended;
                let (rest, result) =
                    if self.needs.arguments { (ended.rest, ended.result) } else { (&b""[..], &b""[..]) };
                let spent = ended.spent.filter(|_| self.needs.times);
                let call = self.call(&ended.call);
                let dump = ended.dump;
                let ended = Ended { call, outcome, rest, result, dump, began, spent, injected, delayed, cut };
                self.view.tell(&tell(What::Ends(ended)));
            }
            What::Joins(joined) => self.view.tell(&tell(What::Joins(*joined))),
            What::Signal { signal, handler, info } => {
                let info = info.filter(|_| self.needs.origins);
                self.view.tell(&tell(What::Signal { signal: *signal, handler: *handler, info }));
            }
            What::Born { child, process } => {
                self.view.tell(&tell(What::Born { child: *child, process: *process }));
            }
            What::Image => self.view.tell(&tell(What::Image)),
            What::Program(path) => self.view.tell(&tell(What::Program(path))),
            What::Superseded { by } => self.view.tell(&tell(What::Superseded { by: *by })),
            What::Stopped(signal) => self.view.tell(&tell(What::Stopped(*signal))),
            What::Dies(status) => self.view.tell(&tell(What::Dies(*status))),
            What::LetGo(_) => {} // nothing is let go while everything is read
            What::Leaves => self.view.tell(&tell(What::Leaves)),
        }
    }

    fn note(&mut self, text: &str) {
        self.view.note(text);
    }

    fn idle(&mut self, tasks: usize) {
        self.view.idle(tasks);
    }
}
