//! A call in progress: what is kept of its beginning, and how its two halves are put into text.

use super::args::{Memory, Words};
use crate::decode::{self, Args, Begun, Show};
use crate::tables::Call;

/// A call between its PRE and its POST.
#[derive(Clone, Copy, Debug)]
pub struct InCall {
    /// `PtraceEvent::e`: the same at both.
    pub id: u64,
    /// `PtraceEvent::d`.
    pub number: u64,
    /// `PtraceEvent::f`.
    pub abi: u64,
    /// Its argument words, which the call may not find changed.
    pub words: Words,
    /// How far its arguments were shown.
    pub begun: Begun,
}

/// `name`, or `syscall_0x…`.
pub fn name(call: Option<&Call>, number: u64) -> std::borrow::Cow<'static, str> {
    match call {
        Some(call) => call.name.into(),
        None => format!("syscall_{number:#x}").into(),
    }
}

/// `name(argument, argument`, as far as the beginning of a call can tell.
pub fn put_call(
    out: &mut Vec<u8>,
    call: Option<&Call>,
    number: u64,
    words: &Words,
    abi: u64,
    memory: &mut dyn Memory,
    show: Show,
) -> Begun {
    decode::begin(&mut Args::new(out, memory, words, abi, show, None), call, number)
}

/// The arguments that only the end of a call can tell. `register`: what it returned.
pub fn put_rest(
    out: &mut Vec<u8>,
    call: Option<&Call>,
    began: &InCall,
    register: u64,
    memory: &mut dyn Memory,
    show: Show,
) {
    if let Some(call) = call {
        let result = Some(decode::value(register, began.abi));
        decode::finish(&mut Args::new(out, memory, &began.words, began.abi, show, result), call, began.begun);
    }
}

/// What comes after `= `.
pub fn put_result(
    out: &mut Vec<u8>,
    call: Option<&Call>,
    words: &Words,
    abi: u64,
    register: u64,
    memory: &mut dyn Memory,
    show: Show,
) {
    let result = Some(decode::value(register, abi));
    decode::put_result(&mut Args::new(out, memory, words, abi, show, result), call, register);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Calls;
    use kernel_model::abi::{Errno, Result};

    struct Nothing;
    impl Memory for Nothing {
        fn read(&mut self, _: u64, _: &mut [u8]) -> Result<()> {
            Err(Errno::EFAULT)
        }
        fn descriptor(&mut self, _: &str) -> Option<Vec<u8>> {
            None
        }
    }

    fn text(abi: u64, number: u64, register: i64) -> String {
        let mut out = Vec::new();
        let linux = Calls::linux();
        put_result(
            &mut out,
            linux.get(abi, number),
            &[0; 7],
            abi,
            register as u64,
            &mut Nothing,
            Show::DEFAULT,
        );
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_addresses_errors_and_restarts() {
        assert_eq!(text(0, 0, 17), "17");
        assert_eq!(text(0, 9, 0x7f00_0000_1000), "0x7f0000001000");
        assert_eq!(text(0, 2, -2), "-1 ENOENT (No such file or directory)");
        assert_eq!(text(0, 0, -512), "? ERESTARTSYS (To be restarted if SA_RESTART is set)");
        assert_eq!(text(0, 8, -5000), "-5000", "not an error");
        assert_eq!(text(0, 77_777, 1), "1");
    }

    #[test]
    fn the_32_bit_abi_returns_32_bits() {
        assert_eq!(text(1, 3, 0xffff_fffe), "-1 ENOENT (No such file or directory)");
        assert_eq!(text(1, 192, 0xf7fc_1000), "0xf7fc1000");
    }
}
