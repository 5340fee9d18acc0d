//! What System V IPC says of its objects (shmctl(2), msgctl(2), semctl(2)), and quota commands.

use super::{Args, decoders, le32, le64};
use crate::tables::flags as names;

decoders! { shm_buf, msg_buf, sem_arg, quota_cmd, quota_id, quota_addr, }

const IPC_SET: u64 = 1;
const IPC_STAT: u64 = 2;
/// Bytes of struct ipc64_perm (asm-generic/ipcbuf.h).
const PERM: usize = 48;

/// Whether the command's structure can be shown now; one that the call fills in waits for its end.
fn has(args: &mut Args<'_>, value: u64, command: u64) -> bool {
    if command & 0xffff_ffff == IPC_STAT && args.result.is_none() {
        args.deferred = true;
        return false;
    }
    let shown = match command & 0xffff_ffff {
        IPC_STAT => !args.failed(),
        IPC_SET => true,
        _ => false,
    };
    if !shown || args.is_narrow() {
        args.put_address(value);
    }
    shown && !args.is_narrow()
}

/// `shm_perm={uid=0, …`, the owner and, where it is asked for, the key and the creator.
fn put_perm(args: &mut Args<'_>, name: &str, perm: &[u8], whole: bool) {
    let [key, uid, gid, cuid, cgid] = [0, 4, 8, 12, 16].map(|at| le32(perm, at));
    put!(args.out, "{{{name}_perm={{uid={uid}, gid={gid}, mode=");
    args.put_mode(le32(perm, 20).into());
    if whole {
        put!(args.out, ", key={}, cuid={cuid}, cgid={cgid}", key as i32);
    }
    args.text("}");
}

/// struct shmid64_ds (asm-generic/shmbuf.h).
fn shm_buf(args: &mut Args<'_>, address: u64) {
    let command = args.words[1];
    if !has(args, address, command) {
        return;
    }
    let whole = command & 0xffff_ffff == IPC_STAT;
    let Some(buf) = args.fetch::<112>(address) else { return };
    put_perm(args, "shm", &buf, whole);
    if whole {
        let [size, attached, detached, changed, _, count] =
            [0, 8, 16, 24, 32, 40].map(|at| le64(&buf, PERM + at));
        let (creator, last) = (le32(&buf, PERM + 32) as i32, le32(&buf, PERM + 36) as i32);
        put!(args.out, ", shm_segsz={size}, shm_cpid={creator}, shm_lpid={last}, shm_nattch={count}");
        put!(args.out, ", shm_atime={attached}, shm_dtime={detached}, shm_ctime={changed}");
    }
    args.text("}");
}

/// struct msqid64_ds (asm-generic/msgbuf.h).
fn msg_buf(args: &mut Args<'_>, address: u64) {
    let command = args.words[1];
    if !has(args, address, command) {
        return;
    }
    let whole = command & 0xffff_ffff == IPC_STAT;
    let Some(buf) = args.fetch::<120>(address) else { return };
    put_perm(args, "msg", &buf, whole);
    let [sent, received, changed, _, count, most] = [0, 8, 16, 24, 32, 40].map(|at| le64(&buf, PERM + at));
    if whole {
        let (sender, receiver) = (le32(&buf, PERM + 48) as i32, le32(&buf, PERM + 52) as i32);
        put!(args.out, ", msg_stime={sent}, msg_rtime={received}, msg_ctime={changed}, msg_qnum={count}");
        put!(args.out, ", msg_qbytes={most}, msg_lspid={sender}, msg_lrpid={receiver}");
    } else {
        put!(args.out, ", msg_qbytes={most}");
    }
    args.text("}");
}

/// struct semid64_ds (asm/sembuf.h), an array of values, or a number, by the command.
fn sem_arg(args: &mut Args<'_>, value: u64) {
    let command = args.words[2];
    if !has(args, value, command) {
        return;
    }
    let whole = command & 0xffff_ffff == IPC_STAT;
    let Some(buf) = args.fetch::<88>(value) else { return };
    put_perm(args, "sem", &buf, whole);
    if whole {
        let [operated, _, changed, _, count] = [0, 8, 16, 24, 32].map(|at| le64(&buf, PERM + at));
        put!(args.out, ", sem_otime={operated}, sem_ctime={changed}, sem_nsems={count}");
    }
    args.text("}");
}

const Q_SYNC: u64 = 0x80_0001;
const Q_QUOTAOFF: u64 = 0x80_0003;

fn quota(args: &Args<'_>) -> u64 {
    // quotactl_fd has a descriptor before it; no command is as small.
    let at = usize::from(args.words[0] & 0xffff_ffff < 0x1_0000);
    (args.words[at] & 0xffff_ffff) >> 8
}

/// A command and whose quota it is about, in one number (quotactl(2), QCMD).
fn quota_cmd(args: &mut Args<'_>, value: u64) {
    let value = value & 0xffff_ffff;
    args.text("QCMD(");
    args.choice(&names::QUOTA_CMD, value >> 8);
    args.text(", ");
    args.choice(&names::QUOTA_KIND, value & 0xff);
    args.text(")");
}

/// Whose: some commands have none.
fn quota_id(args: &mut Args<'_>, value: u64) {
    if !matches!(quota(args), Q_SYNC | Q_QUOTAOFF) {
        put!(args.out, "{}", value as u32);
    }
}

fn quota_addr(args: &mut Args<'_>, value: u64) {
    if !matches!(quota(args), Q_SYNC | Q_QUOTAOFF) {
        args.put_address(value);
    }
}
