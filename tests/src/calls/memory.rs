//! Families of calls on memory.

use super::{Code, Family, sys, wide};

pub(super) const FAMILIES: &[Family] =
    &[wide("mappings", mappings), wide("residence", residence), wide("other_memory", other_memory)];

fn mappings(code: &mut Code) {
    let private = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let read_write = libc::PROT_READ | libc::PROT_WRITE;
    let at = sys!(code, SYS_mmap, 0, 8192, read_write, private | libc::MAP_NORESERVE, -1, 0);
    sys!(code, SYS_mmap, 0, 4096, libc::PROT_NONE, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1, 0);
    sys!(code, SYS_mmap, 0x10_0000, 4096, libc::PROT_EXEC, private | libc::MAP_FIXED, -1, 0);
    sys!(code, SYS_mmap, 0, 4096, libc::PROT_READ, libc::MAP_PRIVATE, 77, 0x2000);
    sys!(code, SYS_mprotect, at, 4096, libc::PROT_READ);
    sys!(code, SYS_mprotect, 1, 4096, libc::PROT_READ | 0x40);
    let moved = sys!(code, SYS_mremap, at, 8192, 16384, libc::MREMAP_MAYMOVE);
    sys!(code, SYS_mremap, moved, 4096, 4096, libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED, 0x20_0000);
    sys!(code, SYS_munmap, moved, 16384);
    sys!(code, SYS_munmap, 1, 1);
    sys!(code, SYS_brk, 0);
    sys!(code, SYS_brk, 0x50_0000);
}

fn residence(code: &mut Code) {
    let room = code.space(16);
    let at = sys!(code, SYS_mmap, 0, 8192, 3, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0);
    sys!(code, SYS_madvise, at, 4096, libc::MADV_DONTNEED);
    sys!(code, SYS_madvise, at, 4096, libc::MADV_HUGEPAGE);
    sys!(code, SYS_madvise, at, 4096, 99);
    sys!(code, SYS_mincore, at, 8192, room);
    sys!(code, SYS_msync, at, 4096, libc::MS_SYNC | libc::MS_INVALIDATE);
    sys!(code, SYS_mlock, at, 4096);
    sys!(code, SYS_munlock, at, 4096);
    sys!(code, SYS_mlock2, at, 4096, 1);
    sys!(code, SYS_mlockall, libc::MCL_CURRENT | libc::MCL_ONFAULT);
    sys!(code, SYS_munlockall);
    sys!(code, SYS_membarrier, 0, 0, 0);
}

fn other_memory(code: &mut Code) {
    let (bytes, room) = (code.bytes(b"remote"), code.space(8));
    let (local, remote) = (code.words(&[room, 6]), code.words(&[bytes, 6]));
    let pid = sys!(code, SYS_getpid);
    sys!(code, SYS_process_vm_readv, pid, local, 1, remote, 1, 0);
    sys!(code, SYS_process_vm_writev, pid, local, 1, remote, 1, 0);
    let segment = sys!(code, SYS_shmget, libc::IPC_PRIVATE, 4096, libc::IPC_CREAT | 0o600);
    sys!(code, SYS_shmat, segment, 0, libc::SHM_RDONLY);
    sys!(code, SYS_shmdt, 1);
    sys!(code, SYS_shmctl, segment, libc::IPC_RMID, 0);
}
