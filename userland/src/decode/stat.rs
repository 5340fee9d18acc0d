//! What the kernel knows of files and file systems, abbreviated as strace does it.

use super::time::{put_date_comment, put_dated};
use super::{Args, decoders, le16, le32, le64, word};
use crate::tables::flags as names;

decoders! { stat_buf, stat_buf64, statx_buf, statfs_buf, statfs_buf64, statx_mask, }

const S_IFMT: u64 = 0o170_000;

/// `S_IFREG|S_ISUID|0755`.
pub(super) fn put_file_mode(args: &mut Args<'_>, mode: u64) {
    if mode & S_IFMT != 0 {
        args.choice(&names::FILE_TYPE, mode & S_IFMT);
        args.text("|");
    }
    for (bit, name) in [(0o4000, "S_ISUID|"), (0o2000, "S_ISGID|"), (0o1000, "S_ISVTX|")] {
        args.text(if mode & bit != 0 { name } else { "" });
    }
    args.put_mode(mode & 0o777);
}

/// `makedev(0x1, 0x3)`.
pub(super) fn put_device(args: &mut Args<'_>, dev: u64) {
    let (major, minor) = device(dev);
    args.text("makedev(");
    args.put_hex(major);
    args.text(", ");
    args.put_hex(minor);
    args.text(")");
}

/// Major and minor number (glibc's gnu_dev_major and gnu_dev_minor).
fn device(dev: u64) -> (u64, u64) {
    ((dev >> 8 & 0xfff) | (dev >> 32 & !0xfff), (dev & 0xff) | (dev >> 12 & 0xffff_ff00))
}

/// What all forms of struct stat have.
struct Stat {
    dev: u64,
    ino: u64,
    mode: u64,
    nlink: u64,
    uid: u32,
    gid: u32,
    rdev: u64,
    size: u64,
    blksize: u64,
    blocks: u64,
    /// Access, change of data, change of the node: seconds and nanoseconds.
    times: [[u64; 2]; 3],
}

/// Without `-v`: the type, the permissions, and the size or the device.
fn put_stat(args: &mut Args<'_>, stat: &Stat) {
    let full = args.show.full;
    args.text("{");
    if full {
        args.text("st_dev=");
        put_device(args, stat.dev);
        put!(args.out, ", st_ino={}, ", stat.ino);
    }
    args.text("st_mode=");
    put_file_mode(args, stat.mode);
    if full {
        let Stat { nlink, uid, gid, blksize, blocks, .. } = stat;
        put!(args.out, ", st_nlink={nlink}, st_uid={uid}, st_gid={gid}");
        put!(args.out, ", st_blksize={blksize}, st_blocks={blocks}");
    }
    if matches!(stat.mode & S_IFMT, 0o020_000 | 0o060_000) {
        args.text(", st_rdev=");
        put_device(args, stat.rdev);
    } else {
        put!(args.out, ", st_size={}", stat.size as i64);
    }
    if !full {
        return args.text(", ...}");
    }
    for (name, [seconds, nanos]) in ["atime", "mtime", "ctime"].into_iter().zip(stat.times) {
        put!(args.out, ", st_{name}={}", seconds as i64);
        put_date_comment(args, seconds as i64, nanos as i64, "nsec");
        put!(args.out, ", st_{name}_nsec={nanos}");
    }
    args.text("}");
}

/// struct stat of asm/stat.h.
fn stat_buf(args: &mut Args<'_>, address: u64) {
    if args.is_narrow() {
        let Some(stat) = args.fetch::<64>(address) else { return };
        let (short, word) = (|at| le16(&stat, at), |at| u64::from(le32(&stat, at)));
        let times = [32, 40, 48].map(|at| [word(at), word(at + 4)]);
        let (uid, gid) = (short(12).into(), short(14).into());
        let (mode, nlink) = (short(8).into(), short(10).into());
        let [dev, ino, rdev, size, blksize, blocks] = [0, 4, 16, 20, 24, 28].map(word);
        put_stat(args, &Stat { dev, ino, mode, nlink, uid, gid, rdev, size, blksize, blocks, times });
    } else {
        let Some(stat) = args.fetch::<144>(address) else { return };
        let (half, word) = (|at| le32(&stat, at), |at| le64(&stat, at));
        let times = [72, 88, 104].map(|at| [word(at), word(at + 8)]);
        let (mode, uid, gid) = (half(24).into(), half(28), half(32));
        let [dev, ino, nlink, rdev, size, blksize, blocks] = [0, 8, 16, 40, 48, 56, 64].map(word);
        put_stat(args, &Stat { dev, ino, mode, nlink, uid, gid, rdev, size, blksize, blocks, times });
    }
}

/// struct stat64 of the 32-bit ABI.
fn stat_buf64(args: &mut Args<'_>, address: u64) {
    let Some(stat) = args.fetch::<96>(address) else { return };
    let (half, word) = (|at| u64::from(le32(&stat, at)), |at| le64(&stat, at));
    let times = [64, 72, 80].map(|at| [half(at), half(at + 4)]);
    let [mode, nlink, blksize] = [16, 20, 52].map(half);
    let (uid, gid) = (le32(&stat, 24), le32(&stat, 28));
    let [dev, ino, rdev, size, blocks] = [0, 88, 32, 44, 56].map(word);
    put_stat(args, &Stat { dev, ino, mode, nlink, uid, gid, rdev, size, blksize, blocks, times });
}

/// struct statx of linux/stat.h.
fn statx_buf(args: &mut Args<'_>, address: u64) {
    const BTIME: u64 = 0x800;
    const MNT_ID: u64 = 0x1000;
    let Some(statx) = args.fetch::<152>(address) else { return };
    let (full, mask) = (args.show.full, u64::from(le32(&statx, 0)));
    args.text("{stx_mask=");
    args.flags(&names::STATX_MASK, mask);
    if full {
        put!(args.out, ", stx_blksize={}", le32(&statx, 4));
    }
    args.text(", stx_attributes=");
    args.flags(&names::STATX_ATTR, le64(&statx, 8));
    if full {
        let [nlink, uid, gid] = [16, 20, 24].map(|at| le32(&statx, at));
        put!(args.out, ", stx_nlink={nlink}, stx_uid={uid}, stx_gid={gid}");
    }
    args.text(", stx_mode=");
    put_file_mode(args, le16(&statx, 28).into());
    if full {
        put!(args.out, ", stx_ino={}", le64(&statx, 32));
    }
    put!(args.out, ", stx_size={}", le64(&statx, 40));
    if !full {
        return args.text(", ...}");
    }
    put!(args.out, ", stx_blocks={}, stx_attributes_mask=", le64(&statx, 48));
    args.flags(&names::STATX_ATTR, le64(&statx, 56));
    for (bit, name, at) in
        [(0x20, "atime", 64), (BTIME, "btime", 80), (0x80, "ctime", 96), (0x40, "mtime", 112)]
    {
        if mask & bit != 0 {
            put!(args.out, ", stx_{name}=");
            put_dated(args, [le64(&statx, at) as i64, le32(&statx, at + 8).into()], "nsec");
        }
    }
    for (at, name) in ["rdev_major", "rdev_minor", "dev_major", "dev_minor"].into_iter().enumerate() {
        put!(args.out, ", stx_{name}={}", le32(&statx, 128 + 4 * at));
    }
    if mask & MNT_ID != 0 {
        args.text(", stx_mnt_id=");
        args.put_hex(le64(&statx, 144));
    }
    args.text("}");
}

fn statx_mask(args: &mut Args<'_>, mask: u64) {
    args.flags(&names::STATX_MASK, mask & 0xffff_ffff);
}

/// struct statfs: words.
fn statfs_buf(args: &mut Args<'_>, address: u64) {
    let narrow = args.is_narrow();
    let mut bytes = [0; 120];
    let size = if narrow { 64 } else { 120 };
    if !args.fetch_into(address, &mut bytes[..size]) {
        return;
    }
    let field = |index: usize| word(&bytes, index, narrow);
    let after = if narrow { 36 } else { 64 };
    let last = |index: usize| {
        if narrow { le32(&bytes, after + 4 * index).into() } else { le64(&bytes, after + 8 * index) }
    };
    let fsid = after - 8;
    put_statfs(
        args,
        [field(0), field(1), field(2), field(3), field(4), field(5), field(6)],
        [le32(&bytes, fsid), le32(&bytes, fsid + 4)],
        [last(0), last(1), last(2)],
    );
}

/// struct statfs64 of the 32-bit ABI.
fn statfs_buf64(args: &mut Args<'_>, address: u64) {
    let Some(bytes) = args.fetch::<84>(address) else { return };
    let narrow = |at| u64::from(le32(&bytes, at));
    put_statfs(
        args,
        [
            narrow(0),
            narrow(4),
            le64(&bytes, 8),
            le64(&bytes, 16),
            le64(&bytes, 24),
            le64(&bytes, 32),
            le64(&bytes, 40),
        ],
        [le32(&bytes, 48), le32(&bytes, 52)],
        [narrow(56), narrow(60), narrow(64)],
    );
}

fn put_statfs(args: &mut Args<'_>, counts: [u64; 7], fsid: [u32; 2], [namelen, frsize, flags]: [u64; 3]) {
    args.text("{f_type=");
    args.choice(&names::FS_MAGIC, counts[0]);
    let fields = ["f_bsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree"];
    for (name, count) in fields.into_iter().zip(&counts[1..]) {
        put!(args.out, ", {name}={count}");
    }
    args.text(", f_fsid={val=[");
    args.put_hex(fsid[0].into());
    args.text(", ");
    args.put_hex(fsid[1].into());
    put!(args.out, "]}}, f_namelen={namelen}, f_frsize={frsize}, f_flags=");
    args.flags(&names::ST_FLAGS, flags);
    args.text("}");
}
