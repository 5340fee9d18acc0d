//! Short acts for a tracer that is made to die at each of its requests: few calls, and every result told.
//!
//! `act NAME` plays one. `go NAME` first says on fd 0, a socket, where [`landmark`] is, and waits for an answer or its end.
//! `beside TRACER… -- GUEST…` starts such a guest, then the tracer with the guest's pid and that address, and is the parent of
//! both: it tells what the guest's end looked like to it.

use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Result, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use conformance::sys::{self, Fault};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollTimeout};

use crate::{exec, me, own_path, say, status, told, waited};

/// By name.
pub(crate) fn act(name: &str) -> Result<i32> {
    match name {
        "calls" => calls(),
        "signals" => signals(),
        "int3" => breakpoints(),
        "landmark" => landmarks(),
        "fork" => fork(),
        "vfork" => vfork(),
        "thread" => thread(),
        "exec" => exec::to(&[&own_path(), "say", "new", &me().to_string(), "7"]),
        "exec-thread" => exec_thread(),
        "stop" => stop(),
        "nap" => nap(),
        other => panic!("no act {other}"),
    }
}

/// As above, after the signal to begin.
pub(crate) fn go(name: &str) -> Result<i32> {
    let mut socket = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    socket.write_all(&(landmark as *const () as u64).to_ne_bytes())?;
    // Nothing if the tracer died first.
    let _ = socket.read(&mut [0])?;
    act(name)
}

/// Starts both.
pub(crate) fn beside(args: &[&str]) -> Result<i32> {
    let at = args.iter().position(|word| *word == "--").expect("TRACER -- GUEST");
    let (tracer, guest) = (&args[..at], &args[at + 1..]);
    let (mut ours, theirs) = UnixStream::pair()?;
    let mut guest = Command::new(guest[0]).args(&guest[1..]).stdin(OwnedFd::from(theirs)).spawn()?;
    let mut address = [0; 8];
    ours.read_exact(&mut address)?;
    let mut command = Command::new(tracer[0]);
    command.args(&tracer[1..]).arg(guest.id().to_string()).arg(u64::from_ne_bytes(address).to_string());
    command.stdin(OwnedFd::from(ours)).stdout(Stdio::null());
    let ended = command.status()?;
    // Its last copy of the socket.
    drop(command);
    let guest = guest.wait()?;
    say!("the guest: {}", status(guest.into_raw()));
    say!("the tracer: {}", status(ended.into_raw()));
    Ok(0)
}

/// A place to come by.
#[inline(never)]
extern "C" fn landmark(x: u64) -> u64 {
    black_box(x).wrapping_mul(3)
}

fn landmarks() -> Result<i32> {
    let x = (0..3).fold(1, |x, _| black_box(landmark as extern "C" fn(u64) -> u64)(x));
    say!("came by, {x}");
    Ok(5)
}

fn calls() -> Result<i32> {
    let same = (0..3).filter(|_| sys::getppid_raw() > 0).count();
    let user = nix::unistd::getuid();
    say!("{same} parents, user {}", if user.as_raw() == 4321 { "4321" } else { "own" });
    Ok(3)
}

/// A handled one, an ignored one, queued ones; then one that kills.
fn signals() -> Result<i32> {
    let queued = libc::SIGRTMIN() + 1;
    for signal in [libc::SIGUSR1, libc::SIGUSR2, queued] {
        sys::count_signal(signal, 0)?;
    }
    sys::set_disposition(libc::SIGHUP, libc::SIG_IGN)?;
    for signal in [libc::SIGUSR1, libc::SIGHUP, libc::SIGUSR2, libc::SIGUSR1] {
        sys::kill(me(), signal)?;
    }
    sys::mask_signal(libc::SIG_BLOCK, queued)?;
    for value in 0..3 {
        sys::queue_signal(me(), queued, value)?;
    }
    sys::mask_signal(libc::SIG_UNBLOCK, queued)?;
    say!("USR1 {}, values {:?}", sys::count(libc::SIGUSR1), sys::queued_values());
    say!("USR2 {}", sys::count(libc::SIGUSR2));
    sys::kill(me(), libc::SIGTERM)?;
    Ok(0)
}

fn breakpoints() -> Result<i32> {
    sys::count_signal(libc::SIGTRAP, 0)?;
    for _ in 0..2 {
        sys::commit(Fault::Breakpoint);
    }
    say!("breakpoints handled: {}", sys::count(libc::SIGTRAP));
    Ok(4)
}

fn fork() -> Result<i32> {
    let child = sys::fork(|| 3)?;
    say!("{}", waited(child, 0));
    Ok(6)
}

fn vfork() -> Result<i32> {
    let child = sys::vfork_exec(&[&own_path(), "say", "vforked", "-", "8"])?;
    say!("{}", waited(child, 0));
    Ok(9)
}

fn thread() -> Result<i32> {
    let thread = std::thread::spawn(|| (0..3).filter(|_| sys::getppid_raw() > 0).count());
    say!("{} parents", thread.join().expect("it does not panic"));
    Ok(10)
}

/// Two threads asleep, the third becomes another program.
fn exec_thread() -> Result<i32> {
    std::thread::spawn(|| {
        loop {
            sys::pause();
        }
    });
    let pid = me().to_string();
    std::thread::spawn(move || exec::to(&[&own_path(), "say", "new", &pid, "11"]));
    loop {
        sys::pause();
    }
}

/// A child through a stop and a continuation; it counts the latter.
fn stop() -> Result<i32> {
    const ANY: i32 = libc::WUNTRACED | libc::WCONTINUED;
    let child = sys::fork(|| {
        let _ = sys::count_signal(libc::SIGCONT, 0);
        let _ = sys::kill(me(), libc::SIGSTOP);
        // It was sent while this was stopped, so it has been handled.
        10 + sys::count(libc::SIGCONT) as i32
    })?;
    say!("{}", waited(child, ANY));
    sys::kill(child, libc::SIGCONT)?;
    let mut end = waited(child, ANY);
    // An end soon after takes its place.
    if end == "continued" {
        end = waited(child, ANY);
    }
    say!("{end}");
    Ok(12)
}

/// Sleeps that a signal would end early.
fn nap() -> Result<i32> {
    let epoll = Epoll::new(EpollCreateFlags::empty())?;
    let waited = epoll.wait(&mut [EpollEvent::empty()], EpollTimeout::from(3u16));
    say!("epoll_wait: {}", told(waited.map_err(Into::into)));
    say!("nanosleep: {}", told(sys::nanosleep_ms(3)));
    say!("sigtimedwait: {}", told(sys::wait_signal(libc::SIGUSR2, Some(3)).map(drop)));
    say!("futex: {}", told(sys::futex_wait(Some(3))));
    Ok(13)
}
