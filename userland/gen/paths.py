#!/usr/bin/env python3
"""Makes src/run/calls.tsv: what `tracefd run` does with each system call of src/tables/{x86_64,i386}.tsv.

    python3 userland/gen/paths.py    # from the root of the repository, after syscalls.py

paths.spec beside this file says it. A call that it does not name ends this program with an error: whoever adds a kernel's new
calls to the tables has to decide about each.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SRC = os.path.join(HERE, "..", "src")


def spec():
    """{name: row} of paths.spec, and the set of calls without paths."""
    rows, without = {}, set()
    for line in open(os.path.join(HERE, "paths.spec"), encoding="ascii"):
        line = line.rstrip("\n")
        if not line or line.startswith("#"):
            continue
        if line.startswith("nopath "):
            without.update(line.split()[1:])
            continue
        name, kind, detail = line.split("\t")
        if kind not in {"translated", "special", "refused"} or name in rows:
            sys.exit(f"paths.spec: {name}: {kind}")
        rows[name] = (kind, detail)
    return rows, without


def main():
    rows, without = spec()
    unused = set(rows)
    with open(os.path.join(SRC, "run", "calls.tsv"), "w", encoding="ascii") as out:
        out.write("# Made by userland/gen/paths.py from paths.spec and the tables of calls. Do not edit.\n")
        out.write("# ABI\tnumber\tname\tkind\tdetail\n")
        for abi, table in enumerate(("x86_64", "i386")):
            for line in open(os.path.join(SRC, "tables", f"{table}.tsv"), encoding="ascii"):
                if line.startswith("#"):
                    continue
                number, name = line.split("\t")[:2]
                key = f"i386:{name}" if abi == 1 and f"i386:{name}" in rows else name
                unused.discard(key)
                if key in rows:
                    kind, detail = rows[key]
                elif name in without:
                    kind, detail = "nopath", "-"
                else:
                    sys.exit(f"{table}: {name}: say in paths.spec what it takes")
                out.write(f"{abi}\t{number}\t{name}\t{kind}\t{detail}\n")
    if unused:
        sys.exit(f"paths.spec: no such calls: {sorted(unused)}")


main()
