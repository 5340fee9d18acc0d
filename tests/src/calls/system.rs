//! Families of calls on the system as a whole, and on its newer objects.

use super::{Code, Family, sys, wide};

pub(super) const FAMILIES: &[Family] =
    &[wide("system", system), wide("objects", objects), wide("semaphores", semaphores)];

fn system(code: &mut Code) {
    let room = code.space(400);
    sys!(code, SYS_uname, room);
    sys!(code, SYS_uname, 0x10);
    sys!(code, SYS_getrandom, room, 8, libc::GRND_NONBLOCK);
    sys!(code, SYS_getrandom, room, 8, 0x40);
    let name = code.text("host");
    sys!(code, SYS_sethostname, name, -1);
    sys!(code, SYS_getpgrp);
    sys!(code, SYS_alarm, 0);
    code.call(9999, &[]);
}

fn objects(code: &mut Code) {
    let attr = code.words(&[0xf]);
    sys!(code, SYS_landlock_create_ruleset, 0, 0, 1);
    sys!(code, SYS_landlock_create_ruleset, attr, 8, 0);
    sys!(code, SYS_landlock_add_rule, 77, 1, attr, 0);
    sys!(code, SYS_landlock_restrict_self, 77, 0);
    sys!(code, SYS_userfaultfd, libc::O_CLOEXEC);
    sys!(code, SYS_kcmp, 1, 1, 0, 3, 4);
}

fn semaphores(code: &mut Code) {
    let ops = code.bytes(&[0, 0, 1, 0, 0, 8]);
    let id = sys!(code, SYS_semget, libc::IPC_PRIVATE, 1, libc::IPC_CREAT | 0o600);
    sys!(code, SYS_semop, id, ops, 1);
    sys!(code, SYS_semctl, id, 0, libc::IPC_RMID, 0);
    let id = sys!(code, SYS_msgget, libc::IPC_PRIVATE, libc::IPC_CREAT | 0o600);
    let (message, room) = (code.words(&[7, 0x0063_6261]), code.space(32));
    sys!(code, SYS_msgsnd, id, message, 3, libc::IPC_NOWAIT);
    sys!(code, SYS_msgrcv, id, room, 16, 0, libc::IPC_NOWAIT);
    sys!(code, SYS_msgctl, id, libc::IPC_RMID, 0);
}
