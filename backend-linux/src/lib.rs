//! [`Linux`]: the [`Machine`](kernel_model::machine::Machine) over ptrace(2), for x86-64 and kernels from 5.3 on.
//!
//! What happens to a task, from top to bottom:
//!
//! | file | what is there |
//! |---|---|
//! | `machine` | the trait, method by method |
//! | `wait`, `patience` | which task has something to say; looking before sleeping |
//! | `stop` | what a wait status means, after asking the task |
//! | `report` | whether anybody wants to hear of it |
//! | `resume` | how the task is let go |
//! | `birth`, `exec` | the two stops that change who there is |
//! | `spawn`, `leave` | how tasks come in and go out, besides |
//! | `tracee`, `table` | what is remembered of one task, and of all |
//! | `regs`, `mem`, `facts` | registers, memory, /proc |
//! | `eintr`, `calls` | hiding an interrupt; the calls known by number |
//! | `lent` | arguments that come back at a call's exit |
//! | `filter`, `bpf`, `names` | tasks under a seccomp filter; its program; calls by name |
//! | `placement` | following a task's core |
//! | `doorbell` | waking a wait from another thread |
//! | `sys` | every unsafe block |
//! | `fault` | a build that dies at a chosen request |
//!
//! Rules, their sources, and what Linux does otherwise than the contract: RFC 0003.
//!
//! # For a host with other threads
//!
//! ptrace belongs to a thread: [`Linux`] is not `Send`, and all of it happens on the thread that made it. No handler, no
//! mask of another thread and no disposition is touched. Another thread that calls `waitpid(-1)` without
//! `__WNOTHREAD` sees, and takes, the stops of our tasks; it must wait for its own children by pid.

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!("this machine knows the registers and the call tables of Linux on x86-64 only");

mod birth;
mod bpf;
mod calls;
mod descriptor;
mod doorbell;
mod eintr;
mod exec;
mod facts;
mod fault;
mod filter;
mod leave;
mod lent;
mod machine;
mod mem;
mod names;
mod patience;
mod placement;
mod regs;
mod report;
mod resume;
mod sockets;
mod spawn;
mod stop;
mod sys;
mod table;
mod tracee;
mod wait;

pub use spawn::{allow_tracers, become_program, ignored_at_start};

use std::collections::{HashMap, VecDeque};
use std::marker::PhantomData;

use kernel_model::machine::{Pid, Report, Task};
use kernel_model::scheme::Caller;

/// Processes of this system, traced by the thread that made this value.
pub struct Linux {
    table: table::Table,
    watch: wait::Watch,
    /// Reports that came together with one that was given out already.
    pending: VecDeque<(Task, Report)>,
    /// Changes that were consumed while looking for something else.
    news: VecDeque<sys::Change>,
    /// Children that stopped, or ended, before their parent told of them.
    early: HashMap<i32, birth::Early>,
    bell: doorbell::Bell,
    placement: placement::Placement,
    own_tid: i32,
    /// ptrace requests must come from the thread that attached.
    _not_send: PhantomData<*const ()>,
}

impl Linux {
    /// A machine without tasks, bound to this thread.
    pub fn new() -> Linux {
        Linux {
            table: table::Table::default(),
            watch: wait::Watch::new(),
            pending: VecDeque::new(),
            news: VecDeque::new(),
            early: HashMap::new(),
            bell: doorbell::Bell::default(),
            placement: placement::Placement::default(),
            own_tid: sys::own_tid(),
            _not_send: PhantomData,
        }
    }
}

/// Spares the kernel a SIGCHLD per stop (SA_NOCLDSTOP, sigaction(2)), some 7 % of the cost of a stop. It changes the
/// disposition of the whole process, to the default action, so only a program that owns its process may call it, and
/// only one that never asks for SIGCHLD. Spawned programs do not inherit it.
pub fn quiet_stops() {
    sys::no_child_stop_signals();
}

/// This process, as a client of a kernel over [`Linux`].
pub fn caller() -> Caller {
    Caller {
        pid: Pid(std::process::id()),
        uid: nix::unistd::geteuid().as_raw(),
        gid: nix::unistd::getegid().as_raw(),
    }
}

impl Default for Linux {
    fn default() -> Self {
        Linux::new()
    }
}
