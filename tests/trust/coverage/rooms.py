# SPDX-License-Identifier: Apache-2.0
"""gcov's counts, summed room by room, and the least that is accepted. With --open also what nothing reaches."""
import glob
import json
import os
import subprocess
import sys

LEAST_LINES, LEAST_BRANCHES = 97.0, 90.0  # of all rooms together
LEAST_BRANCHES_OF = {"acl": 95.0, "aclnn": 95.0, "problem": 95.0}  # refusals and the runtime: they are made of branches


def runs_here(notes):
    """Whether this processor can run the kernel that the compiler's notes are of; all else it can."""
    return "_avx512_" not in notes or "avx512vbmi" in open("/proc/cpuinfo", encoding="utf-8").read()


def reports(build):
    """gcov's report on each object: a test may hold some of src/ itself."""
    found = [n for n in glob.glob(f"{build}/**/*.gcno", recursive=True) if runs_here(n)]
    command = ["gcov", "--json-format", "--stdout", "--branch-probabilities", *map(os.path.abspath, found)]
    for line in subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL).splitlines():
        yield json.loads(line)


def count(build):
    """
    For each file of src/ its lines {number: reached} and branches {(number, index): reached}. What is compiled several
    times, for types or processors, is reached if one of the times does so.
    """
    files, root = {}, os.getcwd() + "/src/"
    for report in reports(build):
        for file in report["files"]:
            path = os.path.normpath(os.path.join(report["current_working_directory"], file["file"]))
            if not path.startswith(root):
                continue
            lines, branches = files.setdefault(os.path.relpath(path), ({}, {}))
            for line in file["lines"]:
                number = line["line_number"]
                lines[number] = lines.get(number, False) or line["count"] > 0
                for i, branch in enumerate(line["branches"]):
                    branches[number, i] = branches.get((number, i), False) or branch["count"] > 0
    return files


def share(reached):
    return 100 * sum(reached) / len(reached) if reached else 100.0


def show(name, lines, branches):
    print(f"{name:10} {sum(lines):6} of {len(lines):6} lines {share(lines):6.1f} %   "
          f"{sum(branches):6} of {len(branches):6} branches {share(branches):6.1f} %")


def show_open(file, lines, branches):
    text = open(file, encoding="utf-8").read().splitlines()
    for number in sorted({n for n, reached in lines.items() if not reached} | {n for (n, _), r in branches.items() if not r}):
        missing = "line" if not lines.get(number, True) else \
            ",".join(str(i) for (n, i), r in sorted(branches.items()) if n == number and not r)
        print(f"{file}:{number}: [{missing}] {text[number - 1].strip()}")


def main():
    files = count(sys.argv[1])
    rooms, low = {}, []
    for file, (lines, branches) in sorted(files.items()):
        room = rooms.setdefault(file.split("/")[1], ([], []))
        room[0].extend(lines.values())
        room[1].extend(branches.values())
        if "--open" in sys.argv:
            show_open(file, lines, branches)
    for name, (lines, branches) in sorted(rooms.items()):
        show(name, lines, branches)
        if share(branches) < LEAST_BRANCHES_OF.get(name, 0):
            low.append(f"less than {LEAST_BRANCHES_OF[name]:.0f} % of the branches of {name}")
    lines, branches = ([r for room in rooms.values() for r in room[i]] for i in range(2))
    show("all", lines, branches)
    if share(lines) < LEAST_LINES:
        low.append(f"less than {LEAST_LINES:.0f} % of the lines")
    if share(branches) < LEAST_BRANCHES:
        low.append(f"less than {LEAST_BRANCHES:.0f} % of the branches")
    missing = [room for room in (*LEAST_BRANCHES_OF, "plan", "run", "kernel", "cli") if not rooms.get(room, ([], []))[0]]
    if missing:
        low.append(f"nothing of {', '.join(missing)}")
    if low:
        sys.exit("coverage: FAILED: the tests reach " + "; ".join(low))
    print(f"== the tests reach {share(lines):.1f} % of the lines and {share(branches):.1f} % of the branches")


if __name__ == "__main__":
    main()
