//! Numbers as text, quickly ([`put_decimal`], [`put_hex`]), and names of result codes: [`put_error`], in the C library's words, and the private codes by which a kernel says that it will restart a call.

use std::io::Write;

use nix::errno::Errno;

/// In decimal.
pub fn put_decimal(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// `0x1f`.
pub fn put_hex(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(b"0x");
    let digits = (u64::BITS - number.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        out.push(b"0123456789abcdef"[(number >> (4 * digit) & 0xf) as usize]);
    }
}

/// `ENOENT`; a number without a name as it is.
pub fn put_errno(out: &mut Vec<u8>, number: i32) {
    let _ = match Errno::from_raw(number) {
        Errno::UnknownErrno => write!(out, "{number}"),
        errno => write!(out, "{errno:?}"),
    };
}

/// `ENOENT (No such file or directory)`; a number without a name is `ERRNO_N`.
pub fn put_error(out: &mut Vec<u8>, number: i32) {
    let errno = Errno::from_raw(number);
    // Writing to a Vec cannot fail.
    let _ = match errno {
        Errno::UnknownErrno => write!(out, "ERRNO_{number} (Unknown error {number})"),
        _ => {
            let written = write!(out, "{errno:?} ({}", std::io::Error::from_raw_os_error(number));
            // The standard library appends the number to strerror's words.
            let number = b" (os error ";
            if let Some(at) = out.windows(number.len()).rposition(|window| window == number) {
                out.truncate(at);
            }
            out.push(b')');
            written
        }
    };
}

/// Codes of linux/errno.h that a program never sees: after the signal the call is made again, or ends in EINTR.
pub fn restart(number: i32) -> Option<&'static str> {
    Some(match number {
        512 => "ERESTARTSYS (To be restarted if SA_RESTART is set)",
        513 => "ERESTARTNOINTR (To be restarted)",
        514 => "ERESTARTNOHAND (To be restarted if no handler)",
        516 => "ERESTART_RESTARTBLOCK (Interrupted by signal)",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_errno_of_linux_has_its_c_name() {
        let text = |number| {
            let mut out = Vec::new();
            put_error(&mut out, number);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(2), "ENOENT (No such file or directory)");
        assert_eq!(text(4000), "ERRNO_4000 (Unknown error 4000)");
        // 41 and 58 are unused on x86.
        for number in (1..=133).filter(|number| ![41, 58].contains(number)) {
            assert!(!text(number).starts_with("ERRNO"), "{number}");
        }
        assert_eq!(text(11), "EAGAIN (Resource temporarily unavailable)");
        assert_eq!(text(9), "EBADF (Bad file descriptor)");
    }
}

#[cfg(test)]
mod number_tests {
    use super::*;

    #[test]
    fn numbers_are_as_format_writes_them() {
        for number in [0, 1, 15, 16, 0x1f, 255, 4096, u64::from(u32::MAX), 1 << 63, u64::MAX] {
            let (mut decimal, mut hex) = (Vec::new(), Vec::new());
            put_decimal(&mut decimal, number as i64);
            put_hex(&mut hex, number);
            assert_eq!((decimal, hex), ((number as i64).to_string().into(), format!("{number:#x}").into()));
        }
    }
}
