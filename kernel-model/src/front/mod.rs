//! The tracing APIs, one per module, each opened by path; `open` has the one table of paths.
//!
//! A front-end turns bytes into orders to [`crate::core`] and notices into bytes. It adds a variant to `Node`, a line
//! to the table, and what the variant does for each file operation; nothing in `core` changes for it.

mod events;
mod log;
mod redox;
mod redox_g2;
mod sets;
mod state;
mod table;
mod text;
mod words;

pub(crate) use events::{Queues, subscribe};
pub(crate) use redox::bit_of;

use crate::abi::{CallRecord, Errno, EventFlags, OpenFlags, Pid, Result, SigInfo, Stat};
use crate::core::{ClientId, Core, Identity, Policy, SeatId, WaiterId};
use crate::machine::{Machine, RegSet, Which};
use crate::scheme::Caller;

/// What an operation answers: its result, or what to wait for before it is tried again.
#[derive(Debug)]
pub enum Step<T> {
    /// Over.
    Done(Result<T>),
    /// Wait for this, and try again.
    Wait(WaiterId),
}

impl<T> From<Result<T>> for Step<T> {
    fn from(result: Result<T>) -> Step<T> {
        Step::Done(result)
    }
}

/// What a description refers to.
#[derive(Clone, Hash, Debug)]
pub(crate) enum Node {
    Trace(redox::Trace),
    TraceG2(redox_g2::Trace),
    Mem(state::Mem),
    Regs(state::Regs),
    Info(state::Info),
    Call(state::Call),
    Text(text::Text),
    Set(sets::Set),
    Log(log::Log),
    Events(usize),
}

/// What the fronts work on: everything of the kernel but the descriptor tables.
pub(crate) struct Ctx<'k, M> {
    pub(crate) core: &'k mut Core<M>,
    pub(crate) queues: &'k mut Queues,
    pub(crate) policy: Policy,
    pub(crate) caller: Caller,
    pub(crate) client: ClientId,
}

/// Makes the node for an operation's name on a process that passed the checks of its path.
type Opener<M> = fn(&mut Ctx<'_, M>, Identity, OpenFlags) -> Result<Node>;

/// What a path needs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// A live process, and the right to control it.
    Control,
    /// A live process.
    Life,
    /// Not even that: it may have ended and not been waited for.
    Nothing,
}

/// The table of `proc:<pid>/<op>`.
fn operations<M: Machine>() -> [(&'static str, Needs, Opener<M>); 16] {
    use Needs::{Control, Life, Nothing};
    [
        ("trace", Control, |ctx, id, flags| redox::Trace::open(ctx, id, flags, false)),
        ("trace.x", Control, |ctx, id, flags| redox::Trace::open(ctx, id, flags, true)),
        ("trace.g2", Control, redox_g2::Trace::open),
        ("mem", Control, |_, id, _| Ok(Node::Mem(state::Mem::new(id)))),
        ("call", Control, |_, id, _| Ok(Node::Call(state::Call::new(id)))),
        ("regs/int", Control, |_, id, _| Ok(Node::Regs(state::Regs::new(id, RegSet::Int)))),
        ("regs/float", Control, |_, id, _| Ok(Node::Regs(state::Regs::new(id, RegSet::Float)))),
        ("regs/env", Control, |_, id, _| Ok(Node::Regs(state::Regs::new(id, RegSet::Env)))),
        ("siginfo", Control, |_, id, _| Ok(Node::Info(state::Info::new(id)))),
        ("sets/entry", Control, |ctx, id, _| sets::Set::open(ctx, id, words::Part::Entry)),
        ("sets/exit", Control, |ctx, id, _| sets::Set::open(ctx, id, words::Part::Exit)),
        ("sets/signal", Control, |ctx, id, _| sets::Set::open(ctx, id, words::Part::Signal)),
        ("log", Control, |ctx, id, _| log::Log::open(ctx, id)),
        ("exe", Life, |ctx, id, _| text::exe(ctx.core, id)),
        ("threads", Life, |ctx, id, _| text::threads(ctx.core, id)),
        ("status", Nothing, |ctx, id, _| text::status(ctx.core, id)),
    ]
}

/// Makes the node for a descriptor of a process that passed the checks of its path.
type DescriptorOpener<M> = fn(&mut Core<M>, Identity, Which) -> Result<Node>;

/// The table of `proc:<pid>/<op>/<descriptor>`. All need control.
fn of_descriptors<M: Machine>() -> [(&'static str, DescriptorOpener<M>); 2] {
    [("fd", text::descriptor), ("fdinfo", text::descriptor_facts)]
}

/// Opens a path. Errors in order: ENODEV, EINVAL, ESRCH, EPERM, then the operation's own.
pub(crate) fn open<M: Machine>(ctx: &mut Ctx<'_, M>, path: &str, flags: OpenFlags) -> Result<Node> {
    let (scheme, rest) = path.split_once(':').ok_or(Errno::ENODEV)?;
    match (scheme, rest) {
        ("event", "") => return Ok(Node::Events(ctx.queues.create())),
        ("event", _) => return Err(Errno::EINVAL),
        ("proc", "features") => {
            let names = operations::<M>().map(|(name, ..)| name);
            return Ok(text::features(names.into_iter().chain(of_descriptors::<M>().map(|(name, _)| name))));
        }
        ("proc", _) => {}
        _ => return Err(Errno::ENODEV),
    }
    let (pid, operation) = rest.split_once('/').ok_or(Errno::EINVAL)?;
    let pid = parse_pid(pid)?;
    let of_descriptors = of_descriptors::<M>();
    let on_descriptor = of_descriptors
        .iter()
        .find_map(|(name, make)| Some((make, operation.strip_prefix(name)?.strip_prefix('/')?)));
    if let Some((make, which)) = on_descriptor {
        let which = parse_which(which)?;
        let id = ctx.core.identify(pid)?;
        ctx.core.check(ctx.policy, ctx.client, ctx.caller, pid)?;
        return make(ctx.core, id, which);
    }
    let table = operations::<M>();
    let (_, needs, make) = table.iter().find(|(name, ..)| *name == operation).ok_or(Errno::EINVAL)?;
    let id = match needs {
        // What needs nothing looks at the process itself, and holds on to none.
        Needs::Nothing => Identity { pid, start: 0 },
        Needs::Control | Needs::Life => ctx.core.identify(pid)?,
    };
    if *needs == Needs::Control {
        ctx.core.check(ctx.policy, ctx.client, ctx.caller, pid)?;
    }
    make(ctx, id, flags)
}

fn parse_pid(text: &str) -> Result<Pid> {
    parse_number(text).map(Pid)
}

/// A descriptor's number, or `cwd`.
fn parse_which(text: &str) -> Result<Which> {
    if text == "cwd" { Ok(Which::Folder) } else { parse_number(text).map(Which::Number) }
}

/// Digits only: no sign, no space, no overflow.
fn parse_number(text: &str) -> Result<u32> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Errno::EINVAL);
    }
    text.parse().map_err(|_| Errno::EINVAL)
}

impl Node {
    /// The process it is about, for dup with a path.
    pub(crate) fn pid<M: Machine>(&self, core: &Core<M>) -> Option<Pid> {
        match self {
            Node::Trace(trace) => Some(core.pid_of(trace.seat())),
            Node::TraceG2(trace) => Some(core.pid_of(trace.seat())),
            Node::Mem(mem) => Some(mem.pid()),
            Node::Regs(regs) => Some(regs.pid()),
            Node::Info(info) => Some(info.pid()),
            Node::Call(call) => Some(call.pid()),
            Node::Text(text) => text.pid(),
            Node::Set(set) => set.pid(core),
            Node::Log(log) => Some(core.pid_of(log.seat())),
            Node::Events(_) => None,
        }
    }

    /// The seat whose queue makes it readable.
    pub(crate) fn seat(&self) -> Option<SeatId> {
        match self {
            Node::Trace(trace) => Some(trace.seat()),
            Node::TraceG2(trace) => Some(trace.seat()),
            Node::Log(log) => Some(log.seat()),
            _ => None,
        }
    }

    pub(crate) fn read<M: Machine>(
        &mut self,
        ctx: &mut Ctx<'_, M>,
        flags: OpenFlags,
        buf: &mut [u8],
    ) -> Step<usize> {
        match self {
            Node::Trace(trace) => trace.read(ctx, flags, buf),
            Node::TraceG2(trace) => trace.read(ctx, buf).into(),
            Node::Mem(mem) => mem.read(ctx, buf).into(),
            Node::Regs(regs) => regs.read(ctx, buf),
            Node::Info(info) => info.read(ctx, buf).into(),
            Node::Call(call) => call.read(ctx, buf).into(),
            Node::Text(text) => Step::Done(Ok(text.read(buf))),
            Node::Set(set) => set.read(ctx, buf).into(),
            Node::Log(log) => log.read(ctx, flags, buf),
            Node::Events(queue) => events::read(ctx, *queue, flags, buf),
        }
    }

    pub(crate) fn write<M: Machine>(
        &mut self,
        ctx: &mut Ctx<'_, M>,
        flags: OpenFlags,
        buf: &[u8],
    ) -> Step<usize> {
        match self {
            Node::Trace(trace) => trace.write(ctx, buf).into(),
            Node::TraceG2(trace) => trace.write(ctx, flags, buf),
            Node::Mem(mem) => mem.write(ctx, buf).into(),
            Node::Regs(regs) => regs.write(ctx, buf),
            Node::Set(set) => set.write(ctx, buf).into(),
            Node::Log(log) => log.write(ctx, buf).into(),
            Node::Call(call) => call.write(ctx, buf).into(),
            Node::Info(_) | Node::Text(_) | Node::Events(_) => Step::Done(Err(Errno::EBADF)),
        }
    }

    pub(crate) fn seek(&mut self, offset: i64, whence: u32) -> Result<u64> {
        match self {
            Node::Mem(mem) => mem.seek(offset, whence),
            Node::Text(text) => text.seek(offset, whence),
            Node::Set(set) => set.seek(offset, whence),
            Node::Trace(_)
            | Node::TraceG2(_)
            | Node::Regs(_)
            | Node::Info(_)
            | Node::Call(_)
            | Node::Log(_)
            | Node::Events(_) => Err(Errno::EBADF),
        }
    }

    pub(crate) fn fevent<M: Machine>(&self, ctx: &Ctx<'_, M>, flags: EventFlags) -> EventFlags {
        let ready = match self {
            Node::Events(queue) => ctx.queues.is_ready(*queue),
            node => node.seat().is_some_and(|seat| ctx.core.is_readable(seat)),
        };
        if ready { flags & EventFlags::READ } else { EventFlags::empty() }
    }

    pub(crate) fn fstat<M: Machine>(&self, ctx: &Ctx<'_, M>) -> Stat {
        let (mode, size) = match self {
            Node::Text(text) => (0o444, text.left()),
            Node::Regs(regs) => (0o666, ctx.core.reg_size(regs.set()) as u64),
            Node::Info(_) => (0o444, SigInfo::SIZE as u64),
            Node::Call(_) => (0o666, CallRecord::SIZE as u64),
            _ => (0o666, 0),
        };
        Stat { mode: Stat::MODE_FILE | mode, size, ..Stat::default() }
    }

    /// The last descriptor is gone.
    pub(crate) fn close<M: Machine>(self, core: &mut Core<M>, queues: &mut Queues) {
        match self {
            Node::Trace(trace) => {
                queues.forget_seat(trace.seat());
                core.leave(trace.seat());
            }
            Node::TraceG2(trace) => {
                queues.forget_seat(trace.seat());
                core.leave(trace.seat());
            }
            Node::Log(log) => {
                queues.forget_seat(log.seat());
                core.close_log(log.seat());
            }
            Node::Events(queue) => queues.remove(queue),
            Node::Mem(_) | Node::Regs(_) | Node::Info(_) | Node::Call(_) | Node::Text(_) | Node::Set(_) => {}
        }
    }
}
