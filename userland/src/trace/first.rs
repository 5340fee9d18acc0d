//! The line of the exec that began the command: over before the session began, so that no event tells of it.
//!
//! The command's words are the tool's own; the path that was executed and how many variables there are stand on the new
//! stack: the count of arguments, their addresses, NULL, the variables' addresses, NULL, then pairs of a type and a value
//! (the x86-64 psABI; getauxval(3)).

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use super::args::{Memory, Words};
use crate::decode::{self, Args, Show};

/// getauxval(3): the path that was given to execve.
const AT_EXECFN: u64 = 31;
/// More words than any stack has before its pairs end: MAX_ARG_STRINGS is not reached by people.
const MOST: u64 = 1 << 20;

/// `execve("/bin/true", ["true"], 0x… /* 34 vars */`; nothing if the stack is not as it should be.
pub fn put_exec(
    out: &mut Vec<u8>,
    command: &[OsString],
    memory: &mut dyn Memory,
    stack: u64,
    narrow: bool,
    show: Show,
) -> bool {
    let words: Words = [0; 7];
    let abi = u64::from(narrow);
    let mut args = Args::new(out, memory, &words, abi, show, None);
    let Some((variables, path)) = on_stack(&mut args, stack) else { return false };
    args.text("execve(");
    decode::put_path(&mut args, path);
    args.text(", [");
    for (at, word) in command.iter().enumerate() {
        args.text(if at == 0 { "" } else { ", " });
        if at == show.items(u64::MAX) {
            args.text("...");
            break;
        }
        decode::put_given(&mut args, word.as_bytes());
    }
    args.text("], ");
    decode::put_variables(&mut args, variables);
    true
}

/// Where the variables begin, and where the path is.
fn on_stack(args: &mut Args<'_>, stack: u64) -> Option<(u64, u64)> {
    let size = args.word_size() as u64;
    let word = |args: &mut Args<'_>, index: u64| args.peek_word(stack.wrapping_add(index * size));
    let variables = 1 + word(args, 0).filter(|count| *count < MOST)? + 1;
    let mut at = variables;
    while word(args, at)? != 0 {
        at += 1;
    }
    at += 1;
    loop {
        match (word(args, at)?, word(args, at + 1)?) {
            (0, _) => return None,
            (AT_EXECFN, path) => return Some((stack + variables * size, path)),
            _ => at += 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel_model::abi::{Errno, Result};

    struct Stack(Vec<u8>);
    impl Memory for Stack {
        fn read(&mut self, address: u64, buf: &mut [u8]) -> Result<()> {
            let from = address.checked_sub(0x1000).ok_or(Errno::EFAULT)? as usize;
            buf.copy_from_slice(self.0.get(from..from + buf.len()).ok_or(Errno::EFAULT)?);
            Ok(())
        }
        fn descriptor(&mut self, _: &str) -> Option<Vec<u8>> {
            None
        }
    }

    #[test]
    fn path_words_and_variables() {
        let mut bytes = Vec::new();
        for word in [1u64, 0x2000, 0, 0x2000, 0x2000, 0, 6, 4096, AT_EXECFN, 0x1100, 0, 0] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.resize(0x100, 0);
        bytes.extend_from_slice(b"/bin/true\0");
        bytes.resize(0x1000, 0);
        let mut out = Vec::new();
        assert!(put_exec(&mut out, &["true".into()], &mut Stack(bytes), 0x1000, false, Show::DEFAULT));
        assert_eq!(String::from_utf8(out).unwrap(), r#"execve("/bin/true", ["true"], 0x1018 /* 2 vars */"#);
        assert!(!put_exec(&mut Vec::new(), &[], &mut Stack(vec![0; 64]), 0x1000, false, Show::DEFAULT));
    }
}
