#!/usr/bin/env python3
"""Makes src/tables/{x86_64,i386}.tsv: the number, name, groups, result and arguments of every Linux system call.

    mount -t tracefs none /sys/kernel/tracing    # as root, if it is not mounted
    python3 userland/gen/syscalls.py             # from the root of the repository

Sources, in this order of authority for what a call takes:
  1. OVERRIDES below: calls whose 32-bit form differs, that have no trace event, or whose C types hide what they are;
  2. the running kernel's /sys/kernel/tracing/events/syscalls/sys_enter_*/format: argument names and C types.
Numbers come from <asm/unistd_64.h> and <asm/unistd_32.h>, and from NEWER for calls younger than those headers
(from 424 on, both ABIs number new calls alike; arch/x86/entry/syscalls/*.tbl).

An argument is `kind:name`; the kinds are those of tables/mod.rs. decoders.spec beside this file has the last word on them.
"""

import os
import platform
import re
import sys

EVENTS = "/sys/kernel/tracing/events/syscalls"
INCLUDE = ["/usr/include/x86_64-linux-gnu/asm", "/usr/include/asm"]
OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "src", "tables")

NEWER = {
    451: "cachestat", 452: "fchmodat2", 453: "map_shadow_stack", 454: "futex_wake", 455: "futex_wait",
    456: "futex_requeue", 457: "statmount", 458: "listmount", 459: "lsm_get_self_attr", 460: "lsm_set_self_attr",
    461: "lsm_list_modules", 462: "mseal", 463: "setxattrat", 464: "getxattrat", 465: "listxattrat",
    466: "removexattrat", 467: "open_tree_attr", 468: "file_getattr", 469: "file_setattr",
}
NEWER_64 = {335: "uretprobe", 336: "uprobe"}

# The trace event has another name than the call.
EVENT_OF = {
    "stat": "newstat", "fstat": "newfstat", "lstat": "newlstat", "uname": "newuname", "sendfile": "sendfile64",
    "umount2": "umount",
}

# 32-bit names of calls with the arguments of another call (time64 and uid32 variants and the like).
SAME_AS = {
    "lchown32": "lchown", "getuid32": "getuid", "getgid32": "getgid", "geteuid32": "geteuid", "getegid32": "getegid",
    "setreuid32": "setreuid", "setregid32": "setregid", "getgroups32": "getgroups", "setgroups32": "setgroups",
    "fchown32": "fchown", "setresuid32": "setresuid", "getresuid32": "getresuid", "setresgid32": "setresgid",
    "getresgid32": "getresgid", "chown32": "chown", "setuid32": "setuid", "setgid32": "setgid",
    "setfsuid32": "setfsuid", "setfsgid32": "setfsgid", "fcntl64": "fcntl", "clock_gettime64": "clock_gettime",
    "clock_settime64": "clock_settime", "clock_adjtime64": "clock_adjtime", "clock_getres_time64": "clock_getres",
    "clock_nanosleep_time64": "clock_nanosleep", "timer_gettime64": "timer_gettime", "timer_settime64": "timer_settime",
    "timerfd_gettime64": "timerfd_gettime", "timerfd_settime64": "timerfd_settime", "utimensat_time64": "utimensat",
    "pselect6_time64": "pselect6", "ppoll_time64": "ppoll", "io_pgetevents_time64": "io_pgetevents",
    "recvmmsg_time64": "recvmmsg", "mq_timedsend_time64": "mq_timedsend", "semtimedop_time64": "semtimedop",
    "mq_timedreceive_time64": "mq_timedreceive", "rt_sigtimedwait_time64": "rt_sigtimedwait", "futex_time64": "futex",
    "sched_rr_get_interval_time64": "sched_rr_get_interval", "ugetrlimit": "getrlimit", "fstatat64": "newfstatat",
    "sigpending": "rt_sigpending_old", "oldstat": "stat", "oldlstat": "lstat",
    "oldfstat": "fstat", "stat64": "stat", "lstat64": "lstat", "fstat64": "fstat", "olduname": "uname",
    "oldolduname": "uname",
}

# name: arguments, for both ABIs.
OVERRIDES = {
    "mmap": "ptr:addr ulong:length hex:prot hex:flags fd:fd hexl:offset",
    "mprotect": "ptr:addr ulong:len hex:prot",
    "pkey_mprotect": "ptr:addr ulong:len hex:prot int:pkey",
    "mremap": "ptr:addr ulong:old_len ulong:new_len hex:flags ptr:new_addr",
    "brk": "ptr:brk",
    "close": "fd:fd",
    "getgroups": "int:gidsetsize ptr:grouplist", "capget": "ptr:header ptr:data", "capset": "ptr:header ptr:data",
    "clone": "hexl:flags ptr:stack ptr:parent_tid ptr:child_tid ptr:tls",
    "execve": "str:filename argv:argv ptr:envp",
    "execveat": "dirfd:dfd str:filename argv:argv ptr:envp hex:flags",
    "ioctl": "fd:fd hex:cmd hexl:arg",
    "fcntl": "fd:fd uint:cmd hexl:arg",
    "sendto": "fd:fd buf:buff ulong:len hex:flags ptr:addr int:addr_len",
    "sethostname": "buf:name ulong:len",
    "setdomainname": "buf:name ulong:len",
    "sigaltstack": "ptr:uss ptr:uoss",
    "arch_prctl": "hex:option ptr:arg2",
    "set_thread_area": "ptr:u_info",
    "get_thread_area": "ptr:u_info",
    "symlinkat": "str:oldname dirfd:newdfd str:newname",
    "ptrace": "int:request int:pid ptr:addr ptr:data",
    "rt_sigreturn": "", "restart_syscall": "", "munlockall": "", "vhangup": "",
    "init_module": "ptr:umod ulong:len str:uargs",
    "finit_module": "fd:fd str:uargs hex:flags",
    "delete_module": "str:name hex:flags",
    "kexec_load": "ptr:entry ulong:nr_segments ptr:segments hexl:flags",
    "kexec_file_load": "fd:kernel_fd fd:initrd_fd ulong:cmdline_len str:cmdline hexl:flags",
    "uselib": "str:library",
    "_sysctl": "ptr:args", "lookup_dcookie": "hexl:cookie64 ptr:buf ulong:len", "create_module": "str:name ulong:size",
    "nfsservctl": "int:cmd ptr:argp ptr:resp", "query_module": "str:name int:which ptr:buf uint:bufsize ptr:ret",
    "get_kernel_syms": "ptr:table", "epoll_ctl_old": "", "epoll_wait_old": "", "getpmsg": "", "putpmsg": "",
    "afs_syscall": "", "tuxcall": "", "security": "", "vserver": "",
    "map_shadow_stack": "ptr:addr ulong:size hex:flags",
    "iopl": "uint:level", "ioperm": "uint:from uint:num int:turn_on", "modify_ldt": "int:func ptr:ptr uint:bytecount",
    "vfork": "", "fork": "", "pause": "", "sync": "", "time": "ptr:tloc",
    "exit": "int:error_code", "exit_group": "int:error_code",
    "futex": "ptr:uaddr hex:op uint:val ptr:utime ptr:uaddr2 uint:val3",
    "add_key": "str:type str:description buf:payload ulong:plen int:ringid",
    "request_key": "str:type str:description str:callout_info int:destringid",
    "mount": "str:dev_name str:dir_name str:type hexl:flags ptr:data",
    "umount2": "str:name hex:flags", "umount": "str:name", "swapoff": "str:specialfile",
    "personality": "hex:personality",
    "uretprobe": "", "uprobe": "",
    "rt_sigpending_old": "ptr:set",
    "mq_timedsend": "fd:mqdes buf:msg_ptr ulong:msg_len uint:msg_prio ptr:abs_timeout",
    "wait4": "int:upid ptr:stat_addr hex:options ptr:ru",
    "waitid": "int:which int:upid ptr:infop hex:options ptr:ru",
    "fsconfig": "fd:fd uint:cmd str:key ptr:value int:aux",
}

# The 32-bit form, where it differs from the 64-bit one. A 64-bit value takes two words, the low one first.
OVERRIDES_32 = {
    "mmap": "ptr:args",
    "mmap2": "ptr:addr uint:length hex:prot hex:flags fd:fd hex:pgoffset",
    "clone": "hex:flags ptr:stack ptr:parent_tid ptr:tls ptr:child_tid",
    "waitpid": "int:pid ptr:stat_addr hex:options",
    "stime": "ptr:tptr", "nice": "int:increment", "signal": "sig:sig ptr:handler",
    "sigaction": "sig:sig ptr:act ptr:oact", "sgetmask": "", "ssetmask": "hex:newmask",
    "sigsuspend": "int:unused1 int:unused2 hex:mask", "sigreturn": "", "sigprocmask": "int:how ptr:set ptr:oset",
    "readdir": "fd:fd ptr:dirent uint:count", "socketcall": "int:call ptr:args",
    "ipc": "uint:call int:first uint:second uint:third ptr:ptr int:fifth",
    "vm86old": "ptr:user_vm86", "vm86": "uint:cmd ptr:arg", "bdflush": "int:func int:data",
    "_llseek": "fd:fd hex:offset_high hex:offset_low ptr:result uint:whence",
    "sendfile": "fd:out_fd fd:in_fd ptr:offset uint:count",
    "truncate64": "str:path hex:length_low hex:length_high", "ftruncate64": "fd:fd hex:length_low hex:length_high",
    "pread64": "fd:fd ptr:buf uint:count hex:pos_low hex:pos_high",
    "pwrite64": "fd:fd buf:buf uint:count hex:pos_low hex:pos_high",
    "readahead": "fd:fd hex:offset_low hex:offset_high uint:count",
    "fadvise64": "fd:fd hex:offset_low hex:offset_high uint:len int:advice",
    "fadvise64_64": "fd:fd hex:offset_low hex:offset_high hex:len_low hex:len_high int:advice",
    "sync_file_range": "fd:fd hex:offset_low hex:offset_high hex:nbytes_low hex:nbytes_high hex:flags",
    "fallocate": "fd:fd hex:mode hex:offset_low hex:offset_high hex:len_low hex:len_high",
    "fanotify_mark": "fd:fanotify_fd hex:flags hex:mask_low hex:mask_high dirfd:dfd str:pathname",
    "statfs64": "str:pathname uint:sz ptr:buf", "fstatfs64": "fd:fd uint:sz ptr:buf",
    "select": "ptr:args", "_newselect": "int:n ptr:inp ptr:outp ptr:exp ptr:tvp", "break": "", "stty": "", "gtty": "", "ftime": "", "prof": "", "lock": "", "mpx": "",
    "ulimit": "", "profil": "", "idle": "",
}

FD_NAMES = {
    "fd", "fildes", "oldfd", "newfd", "epfd", "ufd", "pidfd", "fd_in", "fd_out", "fdin", "fdout", "in_fd", "out_fd",
    "ruleset_fd", "fs_fd", "fanotify_fd", "mqdes", "group_fd", "mountdirfd",
}
DIRFD_NAMES = {"dfd", "olddfd", "newdfd", "from_dfd", "to_dfd"}
HEX_NAMES = {"flags", "flag", "at_flags", "prot", "msgflg", "shmflg", "semflg", "event_f_flags", "swap_flags",
             "attr_flags", "clone_flags", "unshare_flags", "options"}
PATH_NAMES = {"filename", "pathname", "path", "oldname", "newname", "from_pathname", "to_pathname", "specialfile",
              "special", "put_old", "new_root", "library", "dir_name"}
RETURNS_FD = set("""open openat openat2 creat dup dup2 dup3 socket accept accept4 epoll_create epoll_create1 eventfd
    eventfd2 signalfd signalfd4 timerfd_create inotify_init inotify_init1 fanotify_init perf_event_open memfd_create
    memfd_secret userfaultfd bpf pidfd_open pidfd_getfd open_by_handle_at open_tree open_tree_attr fsopen fsmount fspick
    io_uring_setup mq_open pipe pipe2 socketpair landlock_create_ruleset""".split())
HEX_RESULT = {"mmap", "mmap2", "mremap", "brk", "shmat", "map_shadow_stack"}
PROCESS = set("""fork vfork clone clone3 execve execveat exit exit_group wait4 waitid waitpid kill tkill tgkill
    pidfd_send_signal rt_sigqueueinfo rt_tgsigqueueinfo unshare""".split())
NETWORK = set("""socket connect accept accept4 sendto recvfrom sendmsg recvmsg shutdown bind listen getsockname getpeername
    socketpair setsockopt getsockopt sendmmsg recvmmsg recvmmsg_time64 socketcall getpmsg putpmsg""".split())
SIGNAL = re.compile(r"sig|^t?g?kill$|^pause$")
MEMORY = set("""mmap mmap2 mprotect pkey_mprotect munmap brk mremap msync mincore madvise process_madvise mlock mlock2 munlock
    mlockall munlockall remap_file_pages mbind set_mempolicy get_mempolicy migrate_pages move_pages shmat shmdt
    set_mempolicy_home_node map_shadow_stack mseal process_mrelease io_destroy io_setup""".split())


def header(name):
    for folder in INCLUDE:
        path = os.path.join(folder, name)
        if os.path.exists(path):
            text = open(path, encoding="ascii").read()
            return {int(m[2]): m[1] for m in re.finditer(r"#define __NR_(\w+)\s+(\d+)\b", text)}
    sys.exit(f"no {name}: install the kernel's user-space headers")


def event_fields(name):
    """[(C type, argument name)] of a call's trace event, or None."""
    path = f"{EVENTS}/sys_enter_{name}/format"
    if not os.path.exists(path):
        return None
    fields = []
    for line in open(path, encoding="ascii"):
        m = re.match(r"\s*field:(.*?)\s*(\w+);\s*offset:(\d+)", line)
        # Offsets below 16 are the record's own header and the call's number.
        if m and int(m[3]) >= 16 and not m[2].startswith("__data_loc"):
            fields.append((m[1].strip(), m[2].lstrip("_")))
    return fields


def kind(ctype, name, following):
    if "*" in ctype:
        if re.fullmatch(r"const (char|void) \*", ctype) and following and \
                following[0] == "size_t" and name not in PATH_NAMES and "path" not in name:
            return "buf"
        return "str" if ctype == "const char *" else "ptr"
    if name in DIRFD_NAMES:
        return "dirfd"
    if name in FD_NAMES:
        return "fd"
    if name in {"sig", "signum"}:
        return "sig"
    if "mode_t" in ctype:
        return "oct"
    word = "long" in ctype or ctype in {"size_t", "u64", "__u64", "loff_t", "off_t", "aio_context_t"}
    if name in HEX_NAMES or ctype == "aio_context_t":
        return "hexl" if word else "hex"
    if name in {"start", "addr"} and "long" in ctype:
        return "ptr"
    if "unsigned" in ctype or ctype in {"size_t", "u64", "u32", "__u32", "__u64", "uid_t", "gid_t", "qid_t"}:
        return "ulong" if word else "uint"
    return "long" if word else "int"


def arguments(name, bits):
    seen = set()
    while name in SAME_AS and bits == 32 and name not in seen:
        seen.add(name)
        name = SAME_AS[name]
    if bits == 32 and name in OVERRIDES_32:
        return OVERRIDES_32[name]
    if name in OVERRIDES:
        return OVERRIDES[name]
    fields = event_fields(EVENT_OF.get(name, name))
    if fields is None:
        return None
    # `a pointer before its length` decides about buffers, hence the look at the next one.
    pairs = zip(fields, fields[1:] + [None])
    return " ".join(f"{kind(ctype, arg, following)}:{arg}" for (ctype, arg), following in pairs)


def groups(name, args):
    kinds = {a.split(":")[0]: a.split(":")[1] for a in args.split()}
    out = ""
    if any(a.startswith("str:") and a[4:] in PATH_NAMES for a in args.split()) or name in {"getcwd", "mount", "acct", "umount2", "umount", "name_to_handle_at"}:
        out += "f"
    if {"fd", "dirfd"} & set(kinds) or name in RETURNS_FD or name.startswith("epoll"):
        out += "d"
    out += "p" if name in PROCESS else ""
    out += "n" if name in NETWORK else ""
    out += "s" if SIGNAL.search(name) else ""
    out += "m" if name in MEMORY else ""
    return out or "-"


def shown():
    """{call: (kinds by position, kind of the result)} of decoders.spec."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "decoders.spec")
    out = {}
    for line in open(path, encoding="ascii"):
        if line.startswith("#"):
            continue
        left, _, result = line.partition("=")
        name, *kinds = left.split()
        out[name] = (kinds, result.strip())
    return out


def decoded(name, bits, args, table):
    """Arguments with the kinds of decoders.spec, and the result's kind, if it has one there."""
    names = [f"i386:{name}"] if bits == 32 else []
    names.append(name)
    while bits == 32 and names[-1] in SAME_AS:
        names.append(SAME_AS[names[-1]])
    kinds, result = next((table[n] for n in names if n in table), ([], ""))
    words = args.split()
    if len(kinds) > len(words):
        sys.exit(f"{name}: decoders.spec has {len(kinds)} arguments, there are {len(words)}")
    for at, kind in enumerate(kinds):
        if kind != "-":
            words[at] = f"{kind}:{words[at].split(':')[1]}"
    return " ".join(words), result


def main():
    table = shown()
    if not os.path.isdir(EVENTS):
        sys.exit(f"no {EVENTS}: mount tracefs, as root, on a kernel with CONFIG_FTRACE_SYSCALLS")
    for bits, file, abi, extra in (64, "unistd_64.h", "x86_64", NEWER_64), (32, "unistd_32.h", "i386", {}):
        calls = {**NEWER, **header(file), **extra}
        with open(os.path.join(OUT, f"{abi}.tsv"), "w", encoding="ascii") as out:
            out.write(f"# Made by userland/gen/syscalls.py from <asm/{file}> and the trace events of Linux"
                      f" {platform.release().split('-')[0]}. Do not edit.\n")
            out.write("# number\tname\tgroups\tresult\targuments\n")
            for number, name in sorted(calls.items()):
                args = arguments(name, bits)
                if args is None:
                    print(f"{abi}: nothing known of {name}: six words", file=sys.stderr)
                    args = " ".join(f"hex:{c}" for c in "abcdef")
                kinds, result = decoded(name, bits, args, table)
                if not result:
                    result = "hex" if name in HEX_RESULT else "fd" if name in RETURNS_FD - {"pipe", "pipe2", "socketpair"} else "dec"
                out.write(f"{number}\t{name}\t{groups(name, args)}\t{result}\t{kinds}\n")


main()
