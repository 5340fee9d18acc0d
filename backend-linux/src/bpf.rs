//! A set of calls as a seccomp program: SECCOMP_RET_TRACE for its members, ALLOW for all else.
//!
//! Each ABI has its own numbers; one that is not known here is traced whole. What ALLOW costs does not depend on the
//! program's length: the kernel keeps a bitmap of numbers that always pass (seccomp_cache_prepare in kernel/seccomp.c).

use kernel_model::machine::CallSet;
use libc::sock_filter;

use crate::calls::{ARCH_I386, ARCH_X64, CLONES};

/// BPF_MAXINSNS: the kernel takes no more.
const LONGEST: usize = 4096;

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const JUMP: u32 = libc::BPF_JMP | libc::BPF_JA;
const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const IF_AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
/// Which filter it was that asked for the stop: of several the newest is heard (seccomp_run_filters).
pub(crate) const OURS: u32 = 0x74fd;
const STOP: u32 = libc::SECCOMP_RET_TRACE | OURS;
/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;

fn op(code: u32, k: u32) -> sock_filter {
    branch(code, k, 0, 0)
}

/// Jumps over `yes` or `no` instructions.
fn branch(code: u32, k: u32, yes: u8, no: u8) -> sock_filter {
    sock_filter { code: code as u16, jt: yes, jf: no, k }
}

/// The program that stops at `calls`, and at those by which a child could escape its tracer.
pub(crate) fn program(calls: &CallSet) -> Vec<sock_filter> {
    let mut calls = calls.clone();
    for (abi, number) in CLONES {
        calls.put(abi as u64, number, true);
    }
    let (x64, i386) = (body(&calls, 0), body(&calls, 1));
    // A conditional jump reaches 255 instructions, so it skips one that reaches any.
    let mut program = vec![
        op(LOAD, ARCH),
        branch(IF_EQUAL, ARCH_X64, 0, 1),
        op(JUMP, 3),
        branch(IF_EQUAL, ARCH_I386, 0, 1),
        op(JUMP, 1 + x64.len() as u32),
        op(RETURN, STOP),
    ];
    program.extend(x64);
    program.extend(i386);
    // More stops than wanted are allowed, fewer are not.
    if program.len() > LONGEST { vec![op(RETURN, STOP)] } else { program }
}

/// The numbers of one ABI.
fn body(calls: &CallSet, abi: u64) -> Vec<sock_filter> {
    let (trace, allow) = (STOP, libc::SECCOMP_RET_ALLOW);
    let (listed, others) = if calls.has_others() { (allow, trace) } else { (trace, allow) };
    // From which number on which answer is given, ascending.
    let mut answers = vec![(0, others)];
    for number in calls.listed().filter(|(of, _)| *of == abi).filter_map(|(_, n)| u32::try_from(n).ok()) {
        if answers.last().is_some_and(|last| last.0 == number) {
            answers.pop();
        }
        if answers.last().is_none_or(|last| last.1 != listed) {
            answers.push((number, listed));
        }
        answers.extend(number.checked_add(1).map(|next| (next, others)));
    }
    // Written from its end, where the answers stand: an instruction is told how far what it leads to is from the end.
    let mut reversed = vec![op(RETURN, trace), op(RETURN, allow)];
    let start = search(&answers, &mut reversed);
    jump(start, &mut reversed);
    reversed.push(op(LOAD, NUMBER));
    reversed.reverse();
    reversed
}

/// Halves the numbers until one answer is left; where that begins, counted from the end. (The kernel tries every number when
/// a program is installed, which took as long as starting a small command while they were compared one after the other, and
/// its compiler takes a time for each instruction, so both answers stand there once.)
fn search(answers: &[(u32, u32)], reversed: &mut Vec<sock_filter>) -> usize {
    if let [(_, answer)] = answers {
        return if *answer == STOP { 1 } else { 2 };
    }
    let (low, high) = answers.split_at(answers.len() / 2);
    let (first, high, low) = (high[0].0, search(high, reversed), search(low, reversed));
    // A conditional jump reaches 255 instructions, one of which may be the jump, which reaches any, to the other answer.
    let yes = if reversed.len() - high < 255 { high } else { jump(high, reversed) };
    let no = if reversed.len() - low < 255 { low } else { jump(low, reversed) };
    let offset = |to: usize| (reversed.len() - to) as u8;
    reversed.push(branch(IF_AT_LEAST, first, offset(yes), offset(no)));
    reversed.len()
}

/// A jump to what begins there, if it does not begin here; where it is.
fn jump(to: usize, reversed: &mut Vec<sock_filter>) -> usize {
    if to < reversed.len() {
        reversed.push(op(JUMP, (reversed.len() - to) as u32));
    }
    reversed.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel's part, as far as these programs use it.
    fn run(program: &[sock_filter], arch: u32, number: u32) -> u32 {
        let (mut pc, mut a) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[pc];
            let skipped = |yes: bool| usize::from(if yes { jt } else { jf });
            pc += 1;
            match u32::from(code) {
                LOAD => a = if k == ARCH { arch } else { number },
                JUMP => pc += k as usize,
                IF_EQUAL => pc += skipped(a == k),
                IF_AT_LEAST => pc += skipped(a >= k),
                RETURN => return k,
                other => panic!("no such instruction: {other:#x}"),
            }
        }
    }

    #[test]
    fn members_are_traced_and_no_others() {
        let some = [(0, 0), (0, 1), (0, 2), (0, 39), (0, 435), (1, 3), (1, 20), (1, 21), (0, u64::MAX)];
        let evens = (0..500).map(|n| (0, 2 * n)).chain((0..400).map(|n| (1, 2 * n + 1)));
        for set in [
            CallSet::NONE,
            CallSet::ALL,
            CallSet::only(some),
            CallSet::all_but(some),
            CallSet::only(evens.clone()),
            CallSet::all_but(evens),
        ] {
            let program = program(&set);
            for (abi, arch) in [(0, ARCH_X64), (1, ARCH_I386)] {
                for number in (0..1100).chain([0x4000_0000, 0x4000_0027, u32::MAX]) {
                    let escapes = CLONES.iter().any(|&(of, n)| (of as u64, n) == (abi, u64::from(number)));
                    let traced = set.has(abi, u64::from(number)) || escapes;
                    let want = if traced { STOP } else { libc::SECCOMP_RET_ALLOW };
                    assert_eq!(run(&program, arch, number), want, "{abi} {number}");
                }
            }
            assert_eq!(run(&program, 0xc000_00b7, 1), STOP);
        }
    }

    #[test]
    fn one_that_is_too_long_stops_everywhere() {
        let program = program(&CallSet::only((0..3000).map(|n| (0, 2 * n))));
        assert_eq!((program.len(), run(&program, ARCH_X64, 1)), (1, STOP));
    }
}
