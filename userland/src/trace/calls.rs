//! The part of the loop that is about calls: what the options want done at an entry, what is told of beginnings and ends.

use kernel_model::abi::{PtraceEvent, Signal};

use super::args::{Memory, Words, words};
use super::call::{InCall, name, put_call, put_rest, put_result};
use super::dump::{self, Way};
use super::follow::{Follow, LeftAt, Next};
use super::tasks::Open;
use super::view::{CallView, Ended, Outcome, What};
use super::whole::RECORDED;
use crate::decode::{Begun, STACK, sigreturn_result};
use crate::qualify::Ending;
use crate::tables::{Call, Kind};

/// What is told of a call's end.
pub(super) struct End<'a> {
    pub(super) outcome: Outcome,
    pub(super) rest: &'a [u8],
    pub(super) result: &'a [u8],
    pub(super) dump: &'a [u8],
    pub(super) cut: bool,
}

impl End<'_> {
    /// It does not end.
    const NEVER: End<'static> =
        End { outcome: Outcome::Never, rest: b"", result: b"?", dump: b"", cut: false };
    /// exec came through.
    pub(super) const EXEC: End<'static> = End { outcome: Outcome::Value(0), result: b"0", ..End::NEVER };
}

impl Follow<'_> {
    /// `-P`: whether the call has one of the paths as an argument, or a descriptor of one of the files.
    fn is_about_paths(&mut self, key: usize, number: u64, abi: u64) -> bool {
        let paths = &self.options.paths;
        if paths.is_empty() {
            return true;
        }
        let task = &mut self.tasks[key];
        let (Some(call), Ok(record)) = (self.options.calls.get(abi, number), task.call()) else {
            return false;
        };
        let memory = task.memory();
        call.arguments.iter().zip(record.args).any(|(argument, word)| match argument.kind {
            Kind::Str => paths.iter().any(|path| is_text_at(memory, word, path)),
            Kind::Fd | Kind::Dirfd if (word as i32) >= 0 => {
                memory.descriptor(&format!("fd/{}", word as i32)).is_some_and(|name| paths.contains(&name))
            }
            _ => false,
        })
    }

    pub(super) fn call_begins(&mut self, key: usize, event: &PtraceEvent) {
        let (number, id, abi) = (event.d, event.e, event.f);
        if self.tasks[key].hidden && !self.options.calls.get(abi, number).is_some_and(|call| call.is_exec()) {
            return;
        }
        if !self.is_about_paths(key, number, abi) {
            return;
        }
        let injected = self.interfere(key, number, abi);
        let task = &self.tasks[key];
        let (leaves, delayed) = (task.leave_at.is_some(), task.delay.is_some() || task.delay_exit.is_some());
        if !self.options.shows(abi, number) && !leaves {
            return;
        }
        let call = self.options.calls.get(abi, number);
        let task = &mut self.tasks[key];
        task.midway = false;
        let (mut args, mut pc, mut begun) = ([0; 7], None, Begun::default());
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        if self.needs.arguments {
            // Without arguments and pc there is nothing to read. Unreadable registers: it is dying, and the line says
            // `<unfinished ...>` presently.
            let shows = |call: &Call| !call.arguments.is_empty() || call.never_returns();
            let bare = call.is_some_and(|call| !shows(call)) && !self.needs.pc;
            // Only sigreturn's arguments are on the stack.
            let on_stack = call.is_some_and(|call| call.name.ends_with("sigreturn"));
            if self.needs.pc || on_stack {
                if let Ok(regs) = task.registers() {
                    (args, pc) = (words(&regs, abi), Some(regs.rip));
                }
            } else if !bare && let Ok(record) = task.call() {
                args[..6].copy_from_slice(&record.args);
            }
            let show = self.options.show_of(abi, number);
            if self.options.whole {
                put_call(&mut text, call, number, &args, abi, task.memory(), RECORDED);
                text.clear();
            }
            begun = put_call(&mut text, call, number, &args, abi, task.memory(), show);
        }
        let began = self.now;
        let open = |text| Open {
            call: InCall { id, number, abi, words: args, begun },
            words: six(&args),
            began,
            text,
            injected,
            delayed,
        };
        if call.is_some_and(|call| call.never_returns()) && !injected && !leaves {
            if !self.needs.joined {
                let call =
                    CallView { name: name(call, number), number, abi, id, words: six(&args), text: &text };
                self.tell(key, pc, What::Begins(call));
                text.clear();
            }
            let open = open(std::mem::take(&mut text));
            let mut result = Vec::new();
            // What sigreturn restores can be read from its frame; of the others nobody hears again.
            let task = &mut self.tasks[key];
            let restored = match call {
                Some(call) if call.name == "rt_sigreturn" && abi == 0 && self.needs.arguments => {
                    sigreturn_result(task.memory(), args[STACK])
                }
                _ => None,
            };
            let outcome = match restored {
                Some(register) => {
                    let show = self.options.show_of(abi, number);
                    put_result(&mut result, call, &args, abi, register, task.memory(), show);
                    outcome(register, abi)
                }
                None => {
                    result.push(b'?');
                    // It does return, to where the signal came; nobody asked with what.
                    let returns = call.is_some_and(|call| call.name.ends_with("sigreturn"));
                    if returns { Outcome::Value(0) } else { Outcome::Never }
                }
            };
            self.tell_end(key, pc, &open, &End { outcome, result: &result, ..End::NEVER });
            text = open.text;
        } else if self.needs.joined {
            task.calls.push(open(std::mem::take(&mut text)));
        } else {
            task.calls.push(open(Vec::new()));
            let call = CallView { name: name(call, number), number, abi, id, words: six(&args), text: &text };
            self.tell(key, pc, What::Begins(call));
        }
        self.text = text;
    }

    /// What the options want done to a call at its entry. Answers whether it gets a result of ours.
    fn interfere(&mut self, key: usize, number: u64, abi: u64) -> bool {
        let task = &mut self.tasks[key];
        if self.options.stop_at.as_ref().is_some_and(|calls| calls.has(abi, number)) {
            // The result register keeps the number: all that is missing to make the call again is the pc.
            (task.skip, task.leave_at) = (true, Some((number, abi)));
            return false;
        }
        if self.options.rules.is_empty() {
            return false;
        }
        let action = task.counts.meet(&self.options.rules, abi, number);
        if let Some(signal) = action.signal {
            let _ = self.host.kill(task.pid, signal); // it may be dying
        }
        (task.delay, task.delay_exit) = (action.delay_enter, action.delay_exit);
        let Some(result) = action.result else { return false };
        let written = task.registers().and_then(|mut regs| {
            regs.rax = result as u64;
            task.set_registers(&regs)
        });
        task.skip = written.is_ok();
        task.skip
    }

    /// The call was skipped: the pc goes back before it, the process is stopped, everything is let go.
    pub(super) fn leave(&mut self, key: usize) -> Next {
        /// Bytes of `syscall`, `int 0x80` and `sysenter`, all of which the kernel itself restarts this way.
        const CALL_BYTES: u64 = 2;
        let task = &mut self.tasks[key];
        let Some((number, abi)) = task.leave_at.take() else { return Next::Goes };
        let back = task.registers().and_then(|mut regs| {
            regs.rip = regs.rip.wrapping_sub(CALL_BYTES);
            task.set_registers(&regs)
        });
        if back.is_err() {
            return Next::Goes; // it is dying
        }
        let pid = task.process.unwrap_or(task.pid);
        let _ = self.host.kill(pid, Signal::STOP);
        let call = name(self.options.calls.get(abi, number), number).into_owned();
        self.left_at = Some(LeftAt { pid, call, root: self.root });
        Next::Left
    }

    pub(super) fn call_ends(&mut self, key: usize, event: &PtraceEvent) {
        let task = &mut self.tasks[key];
        task.delay = task.delay_exit.take();
        let began = task.take_call(event.e);
        let midway = std::mem::take(&mut task.midway);
        // After an injected call the event's number is that of the result that took its place.
        let (number, abi) =
            began.as_ref().map_or((event.d, event.f), |open| (open.call.number, open.call.abi));
        // A child's first POST is of the call that made it, which its parent shows.
        if began.is_none() && !(midway && self.options.shows(abi, number)) {
            return;
        }
        let call = self.options.calls.get(abi, number);
        let mut result = std::mem::take(&mut self.text);
        let mut rest = std::mem::take(&mut self.rest);
        let mut dump = Vec::new();
        result.clear();
        rest.clear();
        let show = self.options.show_of(abi, number);
        let pc = if self.needs.pc { task.registers().ok().map(|regs| regs.rip) } else { None };
        let outcome = match task.call() {
            Ok(record) => {
                let register = record.result as u64;
                if self.needs.arguments {
                    let words = began.as_ref().map_or([0; 7], |open| open.call.words);
                    let injected = began.as_ref().is_some_and(|open| open.injected);
                    if let Some(open) = began.as_ref().filter(|_| !injected && self.options.whole) {
                        put_rest(&mut rest, call, &open.call, register, task.memory(), RECORDED);
                        rest.clear();
                    }
                    if let Some(open) = began.as_ref() {
                        put_rest(&mut rest, call, &open.call, register, task.memory(), show);
                    }
                    put_result(&mut result, call, &words, abi, register, task.memory(), show);
                    let moved = crate::decode::value(register, abi);
                    if let Some((way, in_parts)) = call.and_then(dump::way).filter(|_| !injected && moved > 0)
                    {
                        let set = match way {
                            Way::Read => self.options.read,
                            Way::Written => self.options.written,
                        };
                        if set.has_descriptor(words[0]) {
                            dump::put(&mut dump, task.memory(), &words, abi, in_parts, moved as u64);
                        }
                    }
                }
                outcome(register, abi)
            }
            Err(_) => {
                result.push(b'?');
                Outcome::Unreadable
            }
        };
        match began {
            Some(open) => {
                let end = End { outcome, rest: &rest, result: &result, dump: &dump, cut: false };
                self.tell_end(key, pc, &open, &end);
            }
            None => {
                let call =
                    CallView { name: name(call, number), number, abi, id: event.e, words: [0; 6], text: b"" };
                let (began, spent) = (None, None);
                let ended = Ended {
                    call,
                    outcome,
                    rest: b"",
                    result: &result,
                    began,
                    spent,
                    dump: b"",
                    injected: false,
                    delayed: false,
                    cut: false,
                };
                self.tell(key, pc, What::Ends(ended));
            }
        }
        (self.text, self.rest) = (result, rest);
    }

    pub(super) fn tell_end(&mut self, key: usize, pc: Option<u64>, open: &Open, end: &End<'_>) {
        let &End { outcome, rest, result, dump, cut } = end;
        let ending = match outcome {
            Outcome::Value(_) => Ending::Successful,
            Outcome::Error(_) => Ending::Failed,
            Outcome::Never => Ending::Unfinished,
            Outcome::Unreadable => Ending::Unavailable,
        };
        if !self.options.endings.has_ending(ending) {
            return;
        }
        let InCall { id, number, abi, .. } = open.call;
        let name = name(self.options.calls.get(abi, number), number);
        let call = CallView { name, number, abi, id, words: open.words, text: &open.text };
        let spent = self.needs.times.then(|| self.now.steady - open.began.steady);
        let (began, injected, delayed) = (Some(open.began), open.injected, open.delayed);
        let ended = Ended { call, outcome, rest, result, dump, began, spent, injected, delayed, cut };
        self.tell(key, pc, What::Ends(ended));
    }

    /// The task has come to another program, and is traced no more.
    pub(super) fn let_it_go(&mut self, key: usize) {
        let open = self.tasks[key].calls.pop();
        self.tasks[key].calls.clear();
        let shown = open.filter(|_| self.options.endings.has_ending(Ending::Detached));
        let call = shown.as_ref().map(|open| {
            let InCall { id, number, abi, .. } = open.call;
            let name = name(self.options.calls.get(abi, number), number);
            CallView { name, number, abi, id, words: open.words, text: &open.text }
        });
        self.tell(key, None, What::LetGo(call));
    }

    /// The task has died, and with it its calls.
    pub(super) fn end_calls(&mut self, key: usize) {
        if !self.needs.ends {
            return self.cut_calls(key);
        }
        while let Some(open) = self.tasks[key].calls.pop() {
            self.tell_end(key, None, &open, &End::NEVER);
        }
    }

    /// The task is gone from inside these calls.
    pub(super) fn cut_calls(&mut self, key: usize) {
        for open in std::mem::take(&mut self.tasks[key].calls) {
            if self.needs.joined {
                self.tell_end(key, None, &open, &End { cut: true, ..End::NEVER });
            }
        }
    }
}

/// Whether this text, with its NUL, lies at an address.
fn is_text_at(memory: &mut dyn Memory, address: u64, text: &[u8]) -> bool {
    let mut bytes = vec![0; text.len() + 1];
    memory.read(address, &mut bytes).is_ok() && bytes.strip_suffix(&[0]) == Some(text)
}

/// The argument words without the stack pointer.
fn six(words: &Words) -> [u64; 6] {
    let [a, b, c, d, e, f, _] = *words;
    [a, b, c, d, e, f]
}

/// Errors are -4095 to -1 in the result register (MAX_ERRNO, linux/err.h).
fn outcome(register: u64, abi: u64) -> Outcome {
    let value = if abi == 0 { register as i64 } else { i64::from(register as u32 as i32) };
    if (-4095..0).contains(&value) { Outcome::Error(-value as i32) } else { Outcome::Value(value) }
}
