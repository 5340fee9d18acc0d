//! The waker: no ring is lost, whoever rings, whatever else happens.

mod common;

use std::sync::mpsc;

use common::{Free, Tracer};
use kernel_model::machine::{Demand, Machine, Report, Signal, Status, Wait};

/// Each ring ends one wait: the ringer goes on only when the last one was heard.
#[test]
fn twenty_thousand_rings() {
    const RINGS: usize = 20_000;
    let mut tracer = Tracer::new();
    let waker = tracer.machine.waker().unwrap();
    let (heard, hears) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..RINGS {
                waker.wake();
                hears.recv().unwrap();
            }
        });
        for _ in 0..RINGS {
            assert_eq!(tracer.machine.next_stop(Wait::Block), Ok(None));
            heard.send(()).unwrap();
        }
    });
    assert_eq!(tracer.machine.next_stop(Wait::Poll), Ok(None));
}

#[test]
fn a_ring_before_the_wait_ends_it() {
    let mut tracer = Tracer::new();
    let waker = tracer.machine.waker().unwrap();
    waker.wake();
    waker.wake();
    assert_eq!(tracer.machine.next_stop(Wait::Poll), Ok(None));
    assert_eq!(tracer.machine.next_stop(Wait::Block), Ok(None));
}

/// Rings and reports share a wait, and neither hides the other.
#[test]
fn rings_among_reports() {
    let mut tracer = Tracer::new();
    let waker = tracer.machine.waker().unwrap();
    let task = tracer.spawn(&["busy"]);
    tracer.demand(task, Demand::CALL_ENTRY);
    tracer.go(task);
    let (mut rings, mut calls) = (0, 0);
    loop {
        match tracer.machine.next_stop(Wait::Block).unwrap() {
            None => rings += 1,
            Some((_, Report::Gone { status })) => {
                assert_eq!(status, Some(Status::exited(0)));
                break;
            }
            Some((task, _)) => {
                calls += 1;
                if calls % 100 == 0 {
                    waker.wake();
                }
                tracer.go(task);
            }
        }
    }
    assert!(calls > 40_000);
    assert_eq!(rings, calls / 100);
}

/// The sleeper is no child that the host's own wait could see, outlives signals to the whole group, and can be replaced.
#[test]
fn the_sleeper_is_invisible_and_replaced() {
    let mut tracer = Tracer::new();
    let waker = tracer.machine.waker().unwrap();
    let own = std::process::id();
    let sleeper = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|&pid| pid != own)
        .find(|&pid| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let tracer = nix::unistd::gettid().as_raw();
            status.lines().any(|line| line == format!("TracerPid:\t{tracer}"))
        })
        .map(kernel_model::machine::Pid)
        .expect("a traced process");
    for signal in [Signal::INT, Signal::TSTP, Signal::CONT, Signal::TERM] {
        tracer.signal(sleeper, signal);
    }
    waker.wake();
    assert_eq!(tracer.machine.next_stop(Wait::Block), Ok(None));
    tracer.signal(sleeper, Signal::KILL);
    waker.wake();
    assert_eq!(tracer.machine.next_stop(Wait::Block), Ok(None));
    let (heard, hears) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            waker.wake();
            hears.recv().unwrap();
        });
        assert_eq!(tracer.machine.next_stop(Wait::Block), Ok(None));
        heard.send(()).unwrap();
    });
    let mut free = Free::start(&["exit", "0"]);
    assert!(free.child.wait().unwrap().success());
}
