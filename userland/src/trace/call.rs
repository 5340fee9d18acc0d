//! A call in progress, and its result as text.

use crate::numbers::{put_error, restart};
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
    /// Its first argument words, for what a birth wants to know.
    pub words: [u64; 2],
}

/// `name`, or `syscall_0x…`.
pub fn name(call: Option<&Call>, number: u64) -> std::borrow::Cow<'static, str> {
    match call {
        Some(call) => call.name.into(),
        None => format!("syscall_{number:#x}").into(),
    }
}

/// What comes after `= `. Errors are -4095 to -1 in the result register (MAX_ERRNO, linux/err.h).
pub fn put_result(out: &mut Vec<u8>, call: Option<&Call>, register: u64, abi: u64) {
    let value = if abi == 0 { register as i64 } else { i64::from(register as u32 as i32) };
    if (-4095..0).contains(&value) {
        let number = -value as i32;
        match restart(number) {
            Some(text) => put!(out, "? {text}"),
            None => {
                out.extend_from_slice(b"-1 ");
                put_error(out, number);
            }
        }
    } else if call.is_some_and(|call| call.address_result) {
        let address = if abi == 0 { register } else { register & 0xffff_ffff };
        put!(out, "{address:#x}");
    } else {
        put!(out, "{value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Calls;

    fn text(abi: u64, number: u64, register: i64) -> String {
        let mut out = Vec::new();
        put_result(&mut out, Calls::linux().get(abi, number), register as u64, abi);
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
