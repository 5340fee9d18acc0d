//! Signals without a handler, while a call blocks: ignored, ignored by default, or a stop and a continuation.
//! Untraced, these calls never notice. Traced, epoll_wait would answer EINTR (fs/eventpoll.c, ep_poll: `signal_pending`)
//! unless the tracer hides it; strace does not. A child sends the signals and ends the call at last.

use std::fs::File;
use std::io::{Read, Result, Write};
use std::os::fd::AsFd;

use conformance::sys;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::{me, say, told};

const SENT: i32 = 20;

type Call = fn(&File) -> String;

const CALLS: [(&str, Call); 3] = [
    ("read", |mut pipe| told(pipe.read(&mut [0]))),
    ("poll", |pipe| {
        told(poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).map_err(Into::into))
    }),
    ("epoll_wait", |pipe| {
        let epoll = Epoll::new(EpollCreateFlags::empty()).expect("an epoll");
        epoll.add(pipe, EpollEvent::new(EpollFlags::EPOLLIN, 0)).expect("a pipe can be watched");
        told(epoll.wait(&mut [EpollEvent::empty()], EpollTimeout::NONE).map_err(Into::into))
    }),
];

/// All calls, three kinds of signal. One line each; a call that fails is not repeated.
pub(crate) fn table() -> Result<i32> {
    sys::set_disposition(libc::SIGUSR1, libc::SIG_IGN)?;
    let kinds: [(&str, &[i32]); 3] = [
        ("ignored", &[libc::SIGUSR1]),
        ("ignored by default", &[libc::SIGWINCH]),
        ("stop and continue", &[libc::SIGSTOP, libc::SIGCONT]),
    ];
    for (kind, signals) in kinds {
        for (name, call) in CALLS {
            if name == "epoll_wait" && signals.contains(&libc::SIGSTOP) {
                continue; // signal(7): ends with EINTR on SIGCONT, untraced too, if it was asleep already
            }
            let (reader, mut writer) = crate::pipe()?;
            let parent = me();
            let child = sys::fork(|| {
                for signal in (0..SENT).flat_map(|_| signals) {
                    let _ = sys::kill(parent, *signal);
                    // Lets the parent get back into its call; not needed for the result to be right.
                    std::thread::yield_now();
                }
                i32::from(writer.write_all(b"!").is_err())
            })?;
            say!("{name}, {kind}: {}", call(&reader));
            sys::wait(child, 0)?;
        }
    }
    Ok(0)
}
