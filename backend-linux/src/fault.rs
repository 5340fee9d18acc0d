//! A build that dies at a chosen request to the kernel (feature `fault`), to see what becomes of the traced tasks.
//!
//! [`around`] opens every function of `sys` that asks the kernel for something: its value stands for the request, and
//! the process may be killed where it is made and where it is dropped. `TRACEFD_FAULT` says where and who is told:
//! `before:N:FILE` or `after:N:FILE`, N counted from 0. FILE gets `SIDE N` just before the kill, then a line for each request
//! that was made, with the task that it was about.
//!
//! Without the feature nothing of this is compiled.

#[cfg(not(feature = "fault"))]
pub(crate) use inert::around;
#[cfg(feature = "fault")]
pub(crate) use live::around;

#[cfg(not(feature = "fault"))]
mod inert {
    /// Nothing.
    pub(crate) struct Request;

    /// Nothing happens.
    #[inline(always)]
    pub(crate) fn around(_name: &'static str, _pid: i32) -> Request {
        Request
    }
}

#[cfg(feature = "fault")]
mod live {
    use std::sync::{Mutex, OnceLock, PoisonError};

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    /// Where to die.
    struct Plan {
        side: String,
        at: usize,
        log: String,
    }

    impl Plan {
        fn from_env() -> Option<Plan> {
            let text = std::env::var("TRACEFD_FAULT").ok()?;
            let mut parts = text.splitn(3, ':');
            let mut part = || parts.next().expect("TRACEFD_FAULT is SIDE:N:FILE").to_owned();
            let (side, at, log) = (part(), part(), part());
            Some(Plan { side, at: at.parse().expect("a number of TRACEFD_FAULT"), log })
        }
    }

    static PLAN: OnceLock<Option<Plan>> = OnceLock::new();
    static MADE: Mutex<Vec<(&'static str, i32)>> = Mutex::new(Vec::new());

    /// A request under way, by its number.
    pub(crate) struct Request(usize);

    /// A request begins; it ends where the value is dropped. `pid` is 0 where it is about no task in particular.
    pub(crate) fn around(name: &'static str, pid: i32) -> Request {
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        made.push((name, pid));
        let request = Request(made.len() - 1);
        drop(made);
        request.strike("before");
        request
    }

    impl Request {
        fn strike(&self, side: &str) {
            let Some(plan) = PLAN.get_or_init(Plan::from_env) else { return };
            if plan.side == side && plan.at == self.0 {
                let mut log = format!("{side} {}\n", self.0);
                for (name, pid) in MADE.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                    log += &format!("{name} {pid}\n");
                }
                std::fs::write(&plan.log, log).expect("the file of TRACEFD_FAULT can be written");
                // Delivered on the way back from this very call.
                kill(Pid::this(), Signal::SIGKILL).expect("a process may kill itself");
            }
        }
    }

    impl Drop for Request {
        fn drop(&mut self) {
            self.strike("after");
        }
    }
}
