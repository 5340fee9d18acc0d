//! [`errno_of`]: what an error of the standard library is called at the file boundary.

use std::io::{Error, ErrorKind};

use kernel_model::abi::Errno;

/// The errno of a failed operation of the host, or of a library that reports as `std::io` does.
pub fn errno_of(error: &Error) -> Errno {
    if let Some(number) = error.raw_os_error() {
        return Errno(number);
    }
    match error.kind() {
        ErrorKind::NotFound => Errno::ENOENT,
        ErrorKind::PermissionDenied => Errno::EACCES,
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Errno::ETIMEDOUT,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            Errno::ECONNRESET
        }
        ErrorKind::ConnectionRefused => Errno::ECONNREFUSED,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Errno::EHOSTUNREACH,
        ErrorKind::StorageFull => Errno::ENOSPC,
        _ => Errno::EIO,
    }
}

/// For `map_err`.
#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
pub(crate) fn errno(error: Error) -> Errno {
    errno_of(&error)
}
