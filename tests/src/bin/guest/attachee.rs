//! Programs to attach to. They are driven line by line over stdin and answer on stdout, so that a test knows where they are.

use std::io::{BufRead, Read, Result, Write, stdin};
use std::sync::mpsc;

use conformance::sys;
use nix::sys::signal::SigSet;

use crate::{errno, say};

/// `threads` workers that block in read. `tick`: each makes a few calls, and this process signals itself. `end`: counts.
pub(crate) fn serve(threads: i32) -> Result<i32> {
    sys::count_signal(libc::SIGUSR1, libc::SA_RESTART)?;
    let (answers, answered) = mpsc::channel();
    let mut workers = Vec::new();
    for _ in 0..threads {
        let (mut wake, waker) = crate::pipe()?;
        let answers = answers.clone();
        let worker = std::thread::spawn(move || {
            let mut errors = Vec::new();
            loop {
                match wake.read(&mut [0]) {
                    Ok(0) => return errors,
                    Ok(_) => {
                        for _ in 0..3 {
                            sys::getppid_raw();
                        }
                        let _ = answers.send(());
                    }
                    Err(error) => errors.push(errno(&error)),
                }
            }
        });
        workers.push((waker, worker));
    }
    say!("ready");
    let mut sent = 0;
    for line in stdin().lock().lines() {
        if line? == "end" {
            break;
        }
        for (waker, _) in &mut workers {
            waker.write_all(b"!")?;
        }
        for _ in 0..threads {
            answered.recv().map_err(std::io::Error::other)?;
        }
        sys::kill(crate::me(), libc::SIGUSR1)?;
        sent += 1;
        say!("tick");
    }
    for (waker, worker) in workers {
        drop(waker);
        let errors = worker.join().expect("a worker does not panic");
        say!("worker errors: {errors:?}");
    }
    say!("signals lost: {}", sent - sys::count(libc::SIGUSR1));
    Ok(21)
}

/// Sleeps. Each SIGCONT is told once, SIGUSR1 ends it. Both are blocked but in sigsuspend, so that none comes between a
/// look at the counts and the sleep.
pub(crate) fn nap() -> Result<i32> {
    for signal in [libc::SIGCONT, libc::SIGUSR1] {
        sys::count_signal(signal, 0)?;
        sys::mask_signal(libc::SIG_BLOCK, signal)?;
    }
    say!("ready");
    while sys::count(libc::SIGUSR1) == 0 {
        SigSet::empty().suspend()?;
        say!("continued {}", sys::count(libc::SIGCONT));
    }
    Ok(22)
}
