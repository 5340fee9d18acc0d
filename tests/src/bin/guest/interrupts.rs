//! Which blocking calls a handler interrupts, and which go on after it: with and without SA_RESTART.
//!
//! A periodic timer sends the signal, so that no call can sleep through a signal that came too early. Calls that
//! restart for ever are ended by the handler, which writes to the pipe from its third call on.

use std::io::{Read, Result};
use std::os::fd::AsFd;

use conformance::sys;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollTimeout};

use crate::{errno, say, told, waited};

const PERIOD_US: i64 = 5_000;
/// Longer than any run: a call that ends by its limit has not been interrupted.
const LONG_MS: i64 = 100_000;

type Call = fn(restarts: bool) -> String;

const CALLS: [(&str, Call); 10] = [
    ("read of a pipe", read_pipe),
    ("wait for a child", wait_child),
    ("futex", |_| told(sys::futex_wait(Some(LONG_MS)))),
    ("poll", |_| poll_pipe()),
    ("epoll_wait", |_| epoll()),
    ("nanosleep", |_| told(sys::nanosleep_ms(LONG_MS))),
    ("pause", |_| errno(&sys::pause())),
    ("sigtimedwait", |_| told(sys::wait_signal(libc::SIGUSR2, Some(LONG_MS)))),
    ("semop", |_| told(sys::semaphore_wait())),
    ("msgrcv", |_| told(sys::message_wait())),
];

/// All calls, both kinds of handler.
pub(crate) fn table() -> Result<i32> {
    for (kind, flags) in [("plain", 0), ("SA_RESTART", libc::SA_RESTART)] {
        sys::count_signal(libc::SIGALRM, flags)?;
        for (name, call) in CALLS {
            sys::forget_counts();
            sys::set_timer(libc::ITIMER_REAL, PERIOD_US)?;
            let result = call(flags != 0);
            sys::set_timer(libc::ITIMER_REAL, 0)?;
            say!("{name}, {kind}: {result}, signals seen: {}", sys::count(libc::SIGALRM) > 0);
        }
    }
    Ok(0)
}

/// Ended by the handler if it restarts.
fn read_pipe(restarts: bool) -> String {
    let (mut reader, writer) = crate::pipe().expect("a pipe");
    let writer = writer.into();
    sys::poke_after_three(restarts.then_some(&writer));
    let result = told(reader.read(&mut [0]));
    sys::poke_after_three(None);
    result
}

/// The child ends when the handler pokes it.
fn wait_child(restarts: bool) -> String {
    let (mut reader, writer) = crate::pipe().expect("a pipe");
    let writer = writer.into();
    let child = match sys::fork(|| i32::from(reader.read(&mut [0]).is_err())) {
        Ok(child) => child,
        Err(error) => return errno(&error),
    };
    sys::poke_after_three(restarts.then_some(&writer));
    let result = waited(child, 0);
    sys::poke_after_three(None);
    if !restarts {
        let _ = sys::kill(child, libc::SIGKILL);
        while sys::wait(child, 0).is_err_and(|error| error.raw_os_error() == Some(libc::EINTR)) {}
    }
    result
}

fn poll_pipe() -> String {
    let (reader, _writer) = crate::pipe().expect("a pipe");
    let mut fds = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
    told(poll(&mut fds, PollTimeout::from(60_000u16)).map_err(Into::into))
}

fn epoll() -> String {
    let epoll = Epoll::new(EpollCreateFlags::empty()).expect("an epoll");
    told(epoll.wait(&mut [EpollEvent::empty()], EpollTimeout::from(60_000u16)).map_err(Into::into))
}
