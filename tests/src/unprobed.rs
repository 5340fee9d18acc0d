//! Calls that take no path and that `probe DIR free` does not make with arguments that mean nothing: each would do something, or answer
//! what is not the same twice.

/// Name, and what it would do.
pub const UNPROBED: &[(&str, &str)] = &[
    ("brk", "answer an address, whose low half may look like an error to a 32-bit call"),
    ("exit", "end the probe"),
    ("exit_group", "end the probe"),
    ("fork", "make a second probe"),
    ("vfork", "make a second probe"),
    ("pause", "wait for ever"),
    ("sigsuspend", "wait for ever: its mask is a number"),
    ("rt_sigreturn", "take the stack for a signal's frame"),
    ("sigreturn", "take the stack for a signal's frame"),
    ("uprobe", "be a breakpoint of the kernel's own"),
    ("uretprobe", "be a breakpoint of the kernel's own"),
    ("msgget", "make a queue that outlives the probe"),
    ("sync", "write all that the machine has not written yet"),
    ("vhangup", "hang up the terminal"),
];

/// Whether it is one of them.
pub fn is_unprobed(name: &str) -> bool {
    UNPROBED.iter().any(|(call, _)| *call == name)
}
