//! The same seed and script give the same log to the byte; copies are independent, and equal as long as they are.

use std::hash::{DefaultHasher, Hash, Hasher};

use kernel_model::machine::{Machine, Program, Verdict, Wait};
use kernel_model::sim::{Sim, SimConfig};

use super::config;

const RACE: &str = "
program main
    sys pipe, fds
    sys fork
    test rax, rax
    je child
    mov rbx, 20
loop:
    sys write, 1, p, 1
    dec rbx
    jne loop
    sys wait4, -1, 0, 0, 0
    sys exit, 0
child:
    mov rbx, 20
again:
    sys write, 1, c, 1
    dec rbx
    jne again
    sys exit, 0
.data
fds: .word 0
p: .byte 'p'
c: .byte 'c'
";

fn run(seed: u64) -> (String, String) {
    let mut sim = Sim::new(SimConfig { seed, ..config() });
    sim.load(RACE).unwrap();
    let task = sim.spawn(&Program::new("main")).unwrap();
    sim.resume(task, Verdict::Proceed).unwrap();
    sim.next_stop(Wait::Block).unwrap().unwrap();
    let lines: Vec<&str> = sim.log().collect();
    (lines.join("\n"), String::from_utf8(sim.output(1).to_vec()).unwrap())
}

#[test]
fn same_seed_same_log() {
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed));
    }
}

#[test]
fn other_seeds_other_interleavings() {
    let mut outputs: Vec<String> = (0..20).map(|seed| run(seed).1).collect();
    assert!(outputs.iter().all(|output| output.len() == 40));
    outputs.sort();
    outputs.dedup();
    assert!(outputs.len() > 10, "{outputs:?}");
}

#[test]
fn the_log_is_the_same_on_every_computer() {
    let (log, output) = run(1);
    assert_eq!(output, OUTPUT_OF_SEED_1);
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines[..3], ["4 born: runs main", "4 resumed: Proceed", "4 calls: pipe"]);
    assert_eq!(lines[lines.len() - 3..], ["4 returns: wait4 = 5", "4 calls: exit", "4 ended: exit 0"]);
}

/// Changes only if the scheduler or the language does: then say so in RFC 0004.
const OUTPUT_OF_SEED_1: &str = "pccccccccppccccpcpccccppcccppppppppppppp";

#[test]
fn the_log_keeps_only_as_much_as_was_asked_for() {
    let mut sim = Sim::new(SimConfig { log: 2, ..config() });
    sim.load(RACE).unwrap();
    let task = sim.spawn(&Program::new("main")).unwrap();
    sim.resume(task, Verdict::Proceed).unwrap();
    sim.next_stop(Wait::Block).unwrap();
    assert_eq!(sim.log().collect::<Vec<_>>(), ["4 calls: exit", "4 ended: exit 0"]);
    let silent = Sim::new(SimConfig { log: 0, ..config() });
    assert_eq!(silent.log().count(), 0);
}

#[test]
fn a_copy_goes_its_own_way_and_hashes_alike_until_then() {
    let hash = |sim: &Sim| {
        let mut hasher = DefaultHasher::new();
        sim.hash(&mut hasher);
        hasher.finish()
    };
    let mut sim = Sim::new(config());
    sim.load(RACE).unwrap();
    let task = sim.spawn(&Program::new("main")).unwrap();
    let mut copy = sim.clone();
    assert!(sim == copy && hash(&sim) == hash(&copy));
    sim.resume(task, Verdict::Proceed).unwrap();
    assert_ne!(hash(&sim), hash(&copy));
    copy.resume(task, Verdict::Proceed).unwrap();
    assert_eq!(hash(&sim), hash(&copy));
    // Turns can be given by hand: this is what an explorer does.
    let pid = sim.runnable()[0];
    sim.turn(pid);
    copy.turn(pid);
    assert!(sim == copy);
}
