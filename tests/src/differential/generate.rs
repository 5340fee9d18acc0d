//! Random scenarios. What is generated is small: most differences need two or three things to meet.

use kernel_model::abi::PtraceFlags;
use kernel_model::scenario::script::{Edit, Line, Script};
use kernel_model::scenario::{Children, Client, Manner, Scenario};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::program::{Disposition, End, Op, Talk, forks, text};

const SIGNALS: [&str; 3] = ["usr1", "usr2", "urg"];

fn plain() -> impl Strategy<Value = Op> {
    let disposition = select(vec![
        Disposition::Default,
        Disposition::Ignore,
        Disposition::Handle,
        Disposition::Handle,
        Disposition::Once,
        Disposition::Nest,
    ]);
    let signals = || select(vec!["usr1", "usr1", "usr2", "urg", "trap"]);
    prop_oneof![
        2 => select(vec!["getpid", "getppid", "getuid", "sched_yield"]).prop_map(Op::Call),
        1 => (0_u64..4).prop_map(Op::TestUid),
        1 => (0_u64..4).prop_map(Op::TestSlot),
        // "setmask" would let SIGCHLD in. A step resets a SIGTRAP that is blocked or ignored (RFC 0003, contract 3).
        2 => (select(vec!["block", "unblock"]), select(SIGNALS.to_vec())).prop_map(|(how, signal)| Op::Mask(how, signal)),
        3 => (signals(), disposition).prop_map(|(signal, how)| match (signal, how) {
            ("trap", Disposition::Ignore) => Op::Action(signal, Disposition::Handle),
            _ => Op::Action(signal, how),
        }),
        3 => select(vec!["usr1", "usr1", "usr2", "urg", "term", "trap"]).prop_map(Op::Kill),
        2 => Just(Op::Say),
        2 => Just(Op::Tick),
        1 => Just(Op::Trap),
        1 => any::<bool>().prop_map(Op::Protect),
        1 => Just(Op::Store),
        1 => (0_u64..0x7fff_ffff).prop_map(Op::Compute),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let talk = select(vec![Talk::Silent, Talk::Down, Talk::Up]);
    prop_oneof![
        6 => plain(),
        1 => (talk, vec(plain(), 0..4), 0_u8..100).prop_map(|(talk, ops, code)| Op::Child(talk, ops, code)),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        3 => (0_u8..100).prop_map(End::Exit),
        1 => (vec(plain(), 0..4), 0_u8..100).prop_map(|(ops, code)| End::Exec(ops, code)),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        3 => (0_u64..4).prop_map(Edit::Result),
        3 => (0_u64..8).prop_map(Edit::Argument),
        2 => (0_u64..2).prop_map(Edit::Number),
        1 => (0_u64..1000).prop_map(Edit::Rbx),
        1 => Just(Edit::Rewrite),
        2 => (0_u64..4).prop_map(Edit::Poke),
        1 => Just(Edit::Peek),
        2 => Just(Edit::Plant),
        1 => Just(Edit::Restore),
        1 => Just(Edit::Dup),
        1 => Just(Edit::Short),
        1 => Just(Edit::Unknown),
        1 => Just(Edit::Read),
        2 => select(vec![9_u64, 10, 10, 12, 15, 18, 23]).prop_map(Edit::Send),
        1 => Just(Edit::Close),
        1 => Just(Edit::CloseAfter),
    ]
}

fn line() -> impl Strategy<Value = Line> {
    use PtraceFlags as F;
    let bit = |weight: f64, bit: F| {
        proptest::bool::weighted(weight).prop_map(move |set| if set { bit } else { F::empty() })
    };
    let mask = (
        bit(0.6, F::STOP_PRE_SYSCALL),
        bit(0.6, F::STOP_POST_SYSCALL),
        bit(0.2, F::STOP_SINGLESTEP),
        bit(0.6, F::STOP_SIGNAL),
        bit(0.6, F::STOP_BREAKPOINT),
        bit(0.4, F::STOP_EXIT),
        bit(0.6, F::EVENT_CLONE),
        bit(0.4, F::EVENT_IMAGE | F::EVENT_DEATH),
        bit(0.25, F::FLAG_IGNORE),
    );
    let mask = mask.prop_map(|(a, b, c, d, e, f, g, h, i)| a | b | c | d | e | f | g | h | i);
    let edits = prop_oneof![3 => Just(Vec::new()), 2 => vec(edit(), 1..3)];
    (edits, mask).prop_map(|(edits, mask)| Line { edits, mask })
}

fn manner() -> impl Strategy<Value = Manner> {
    let children = select(vec![Children::Release, Children::Shut, Children::Follow, Children::Follow]);
    (any::<bool>(), proptest::bool::weighted(0.2), any::<bool>(), children).prop_map(
        |(experimental, exclusive, queue, children)| Manner { experimental, exclusive, queue, children },
    )
}

/// Where there are children, their parent must live to wait for them: nothing else ends what they write.
fn spare(script: Script) -> Script {
    let edits = |edits: Vec<Edit>| {
        edits
            .into_iter()
            .map(|edit| if matches!(edit, Edit::Send(_)) { Edit::Send(23) } else { edit })
            .collect()
    };
    script.into_iter().map(|line| Line { edits: edits(line.edits), mask: line.mask }).collect()
}

/// Where the close kills, it must not race with the end.
fn unhurried(script: Script) -> Script {
    let edit = |edit| if edit == Edit::CloseAfter { Edit::Close } else { edit };
    script
        .into_iter()
        .map(|line| Line { edits: line.edits.into_iter().map(edit).collect(), ..line })
        .collect()
}

/// Any scenario.
pub fn scenario() -> impl Strategy<Value = Scenario> {
    (vec(op(), 0..8), end(), manner(), vec(line(), 1..14), vec(line(), 1..8)).prop_map(
        |(ops, end, mut manner, mut main, mut child)| {
            if manner.exclusive {
                main = unhurried(main);
            }
            if forks(&ops) {
                manner.exclusive = false;
                (main, child) = (spare(main), spare(child));
            } else {
                child.clear();
            }
            let programs = text(&ops, &end);
            let tracer = Client { name: "tracer".into(), manner, main, child, ..Client::default() };
            Scenario { deferred_signals: true, clients: vec![tracer], programs, ..Scenario::default() }
        },
    )
}
