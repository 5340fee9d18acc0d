#!/usr/bin/env python3
"""Makes src/tables/flags.tsv: the names of bits and choices, by table.

    python3 userland/gen/flags.py     # from the root of the repository

flags.spec beside this file says which names of which headers make a table. The headers are the kernel's user-space ones
and the C library's; a C compiler says what each name's value is, so that nothing is typed in twice. A name that these
headers do not have is left out, with a word on standard error.
"""

import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "src", "tables", "flags.tsv")
INCLUDE = ["/usr/include", "/usr/include/x86_64-linux-gnu"]
# Where names stand and how they may be included are two things: bits/*.h only by way of its public header.
INSTEAD = {
    "bits/socket.h": "sys/socket.h", "bits/socket_type.h": "sys/socket.h", "linux/fcntl.h": "fcntl.h",
    "linux/mount.h": "linux/mount.h", "linux/signal.h": "signal.h", "asm/signal.h": "signal.h",
    "asm-generic/poll.h": "poll.h", "asm-generic/socket.h": "asm/socket.h",
}
# glibc hides what linux/*.h of the same name has: evaluated apart, from the kernel's headers alone.
KERNEL_ONLY = {"linux/in.h", "linux/in6.h", "linux/tcp.h", "linux/udp.h", "linux/time.h", "linux/fcntl.h",
               "asm-generic/socket.h", "linux/timex.h", "linux/sched.h", "linux/wait.h", "linux/net.h"}


def text_of(header):
    for folder in INCLUDE:
        path = os.path.join(folder, header)
        if os.path.exists(path):
            return open(path, encoding="utf-8").read()
    sys.exit(f"no {header}: install the kernel's user-space headers and the C library's")


def evaluate(headers, names):
    """{name: value} of those that can be evaluated."""
    names = list(names)
    own = [h for h in headers if h != "-"]
    includes = [h if h in KERNEL_ONLY else INSTEAD.get(h, h) for h in own]
    lines = ["#define _GNU_SOURCE", "#include <stddef.h>", "#include <stdint.h>"]
    lines += [f"#include <{h}>" for h in includes]
    while names:
        body = [f'  __builtin_printf("{n} %llu\\n", (unsigned long long)(long long)({n}));' for n in names]
        source = "\n".join(lines + ["int main(void) {"] + body + ["  return 0;", "}"])
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "a")
            done = subprocess.run(["gcc", "-w", "-fmax-errors=0", "-x", "c", "-", "-o", program], input=source,
                                  capture_output=True, text=True)
            if done.returncode == 0:
                said = subprocess.run([program], capture_output=True, text=True, check=True).stdout
                return {line.split()[0]: int(line.split()[1]) for line in said.splitlines()}
        first = len(lines) + 2
        bad = {int(m[1]) - first for m in re.finditer(r"<stdin>:(\d+):\d+: error", done.stderr)}
        kept = [n for at, n in enumerate(names) if at not in bad]
        if len(kept) == len(names):
            if len(own) < 2:
                sys.exit(done.stderr)
            # Headers of the kernel and of the C library that define the same things: one at a time.
            values = {}
            for header in own:
                values.update(evaluate([header], [n for n in names if n not in values]))
            return values
        names = kept
    return {}


def main():
    rows = []
    for line in open(os.path.join(HERE, "flags.spec"), encoding="ascii"):
        if line.startswith("#") or not line.strip():
            continue
        table, unknown, headers, *words = line.split()
        headers = headers.split(",")
        found = []
        for header in headers:
            if header != "-":
                found += re.findall(r"\b[A-Za-z_]\w+\b", text_of(header))
        found = list(dict.fromkeys(found))
        dropped = [re.compile(word[1:]) for word in words if word.startswith("-")]
        fixed, wanted = {}, []
        for word in (w for w in words if not w.startswith("-")):
            name, _, value = word.partition("=")
            if value:
                fixed[name] = int(value, 0 if not re.fullmatch(r"0[0-7]+", value) else 8)
                wanted.append((name, [name]))
            elif re.fullmatch(r"\w+", word):
                wanted.append((word, [word]))
            else:
                pattern = re.compile(word)
                names = [n for n in found if pattern.fullmatch(n) and not any(d.fullmatch(n) for d in dropped)]
                wanted.append((word, names))
        names = list(dict.fromkeys(n for _, group in wanted for n in group if n not in fixed))
        values = {**evaluate(headers, names), **fixed}
        out, seen = [], set()
        for word, group in wanted:
            if not set(group) & set(values):
                print(f"{table}: nothing for {word}", file=sys.stderr)
            group = [n for n in group if n in values]
            if not re.fullmatch(r"\w+", word.partition("=")[0]):
                group.sort(key=lambda n: values[n])
            for name in group:
                value = values[name] & (2**64 - 1)
                if value >> 32 == 0xffffffff and value >> 31 & 1:
                    value &= 2**32 - 1  # an int's sign, not a 64-bit flag
                if name not in seen:
                    seen.add(name)
                    out.append(f"{name}={value:#x}")
        rows.append(f"{table}\t{unknown}\t{' '.join(out)}\n")
    with open(OUT, "w", encoding="ascii") as file:
        file.write("# Made by userland/gen/flags.py from the headers that userland/gen/flags.spec names. Do not edit.\n")
        file.write("# table\tan unknown value\tnames\n")
        file.writelines(rows)


main()
