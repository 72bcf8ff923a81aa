# SPDX-License-Identifier: Apache-2.0
"""Breaks the source on purpose, one place at a time, and sees that a test fails.

mutants/*.txt lists the breaks:

    @ NAME FILE FIRST [EXPRESSION of pytest's -k]
    - text that FILE has exactly once (several lines make one text)
    + what it becomes
    = why no test can notice, where that is so

FIRST, a regular expression, names the tests that are built and run first; if those pass, everything is built and the
quick suite follows. A break is caught when a test fails, crashes or takes many times as long as on the source as it is,
where each test has to pass first. A break that does not compile is an error in the list, not a catch. Each worker has a
copy of the tree and a build of its own, so that an interrupted run leaves the source alone."""
import argparse
import glob
import hashlib
import json
import os
import queue
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

LEAST_SHARE = 0.95
RECORD = "docs/results/trust/mutants.txt"
LEFT_OUT = re.compile(r"^(cuda|python|package|bench|examples)\b")  # tests of other rooms than those that are broken
LABELS_LEFT_OUT = {"slow", "long", "gpu"}
CONFIGURE = ["-G", "Ninja", "--log-level=WARNING", "-DPython3_EXECUTABLE=/usr/bin/python3", "-DFLOYDATTN_TESTS=ON",
             "-DFLOYDATTN_CUDA=OFF", "-DCMAKE_BUILD_TYPE=None", "-DCMAKE_C_FLAGS=-O1", "-DCMAKE_CXX_FLAGS=-O1",
             "-DCMAKE_LINK_DEPENDS_NO_SHARED=ON"]  # programs need not be linked again when a library changes
ENVIRONMENT = {**os.environ, "PYTEST_ADDOPTS": "-x", "CMOCKA_TEST_ABORT": "1", "PYTHONDONTWRITEBYTECODE": "1"}


@dataclass
class Mutant:
    name: str
    file: str
    first: str
    expression: str
    old: str = ""
    new: str = ""
    reason: str = ""
    caught_by: str = ""
    problem: str = ""
    seconds: float = 0
    skipped: str = ""


@dataclass
class Test:
    name: str
    command: list
    environment: dict
    directory: str
    limit: float  # seconds
    skip_code: int
    needs: list = field(default_factory=list)  # files of the build


class Found:
    """What is known of the source as it is, and what was found about each break; shared by the workers."""

    def __init__(self, directory, resume):
        self.lock, self.path, self.limits, self.caught = threading.Lock(), os.path.join(directory, "caught.json"), {}, {}
        if resume and os.path.exists(self.path):
            self.caught = json.load(open(self.path, encoding="utf-8"))

    def key(self, mutant):
        names = sorted(glob.glob("src/**/*.[ch]", recursive=True))
        source = b"".join(open(name, "rb").read() for name in names) + f"{mutant.file}{mutant.old}{mutant.new}".encode()
        return hashlib.sha256(source).hexdigest()

    def keep(self, mutant):
        with self.lock:
            self.caught[self.key(mutant)] = mutant.caught_by
            json.dump(self.caught, open(self.path, "w", encoding="utf-8"))


def fail(text):
    sys.exit(f"mutants: FAILED: {text}")


def read_list(path):
    found, lines = [], {"-": [], "+": []}
    for number, line in enumerate(open(path, encoding="utf-8").read().splitlines() + ["@"], 1):
        mark, rest = line[:1], line[2:]
        if mark == "@":
            if found:
                found[-1].old, found[-1].new = ("\n".join(lines[m]) for m in "-+")
            lines = {"-": [], "+": []}
            words = rest.split(maxsplit=3)
            if words and len(words) < 3:
                fail(f"{path}:{number}: needs a name, a file and a pattern")
            if words:
                found.append(Mutant(*words[:3], words[3] if len(words) > 3 else ""))
        elif mark in lines:
            lines[mark].append(rest)
        elif mark == "=":
            found[-1].reason = rest
        elif line and mark != "#":
            fail(f"{path}:{number}: begins with none of @ - + = #")
    return found


def check_list(mutants):
    """Each applies to the source as it is; a list that has fallen behind is an error."""
    names = [m.name for m in mutants]
    wrong = [f"{name} is there twice" for name in sorted(set(names)) if names.count(name) > 1]
    for m in mutants:
        count = open(m.file, encoding="utf-8").read().count(m.old) if os.path.exists(m.file) else 0
        if not m.old or count != 1:
            wrong.append(f"{m.name}: {m.file} has its text {count} times, not once")
        if m.old == m.new:
            wrong.append(f"{m.name}: changes nothing")
    if wrong:
        fail("\n  " + "\n  ".join(wrong))


def lacking(file):
    """What the processor lacks to run this file's code, or nothing."""
    flags = open("/proc/cpuinfo", encoding="utf-8").read()
    for name, flag in (("avx512", "avx512vbmi"), ("avx2", "avx2"), ("x86", "avx2")):
        if name in os.path.basename(file) and flag not in flags:
            return flag
    return ""


class Worker:
    def __init__(self, directory):
        self.tree, self.build = os.path.join(directory, "tree"), os.path.join(directory, "build")
        self.said = os.path.join(directory, "said")  # by the test that ran last
        self.running = None

    def prepare(self):
        """The tree as it stands here, with as few files touched as can be, built: of programs not yet there ctest tells little."""
        for name in subprocess.check_output(["git", "ls-files", "-z", "-co", "--exclude-standard"], text=True).split("\0")[:-1]:
            if os.path.isfile(name):
                write_if_different(os.path.join(self.tree, name), open(name, "rb").read())
        subprocess.run(["cmake", "-S", self.tree, "-B", self.build, *CONFIGURE], check=True, stdout=subprocess.DEVNULL)
        problem = self.compile([])
        if problem:
            fail(f"the source as it is does not compile\n{problem}")

    def compile(self, targets):
        """What the compiler complains of, or nothing."""
        command = ["cmake", "--build", self.build, "--parallel", "2", *(["--target", *targets] if targets else [])]
        self.running = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True, errors="replace")
        output = self.running.communicate()[0]
        return output[-2000:] if self.running.returncode else ""

    def run(self, test, limit, expression=""):
        """Why the test fails, or nothing."""
        environment = {**ENVIRONMENT, **test.environment}
        if expression:
            environment["PYTEST_ADDOPTS"] += f" -k '{expression}'"
        with open(self.said, "wb") as said:
            process = subprocess.Popen(test.command, cwd=test.directory, env=environment, start_new_session=True,
                                       stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
                                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
        self.running = process
        try:
            status = process.wait(timeout=limit)
            problem = "" if status in (0, test.skip_code) else f"status {status}" if status > 0 else signal.Signals(-status).name
        except subprocess.TimeoutExpired:
            problem = f"no end after {limit:.0f} s"
        self.stop()
        process.wait()
        return problem

    def stop(self):
        """Ends what runs, or whatever it left behind."""
        try:
            if self.running:
                os.killpg(self.running.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def tests(self):
        listed = json.loads(subprocess.check_output(["ctest", "--test-dir", self.build, "--show-only=json-v1"], text=True))["tests"]
        found = []
        for entry in listed:
            properties = {p["name"]: p["value"] for p in entry.get("properties", [])}
            if LEFT_OUT.match(entry["name"]) or LABELS_LEFT_OUT & set(properties.get("LABELS", [])):
                continue
            environment = dict(pair.split("=", 1) for pair in properties.get("ENVIRONMENT", []))
            root = os.path.realpath(self.build) + os.sep
            needs = [os.path.realpath(p)[len(root):] if os.path.exists(p) else p[len(root):]
                     for p in [*entry["command"], *environment.values()] if p.startswith(root)]
            found.append(Test(entry["name"], entry["command"], environment, properties.get("WORKING_DIRECTORY", self.build),
                              properties.get("TIMEOUT", 1500), properties.get("SKIP_RETURN_CODE", 77), needs))
        return found

    def measure(self, tests, targets, expression, found):
        """Every test passes on the source as it is; a break may take ten times as long, and half a minute more."""
        missing = [t for t in tests if (t.name, expression) not in found.limits]
        problem = self.compile(targets) if missing else ""
        if problem:
            raise RuntimeError(f"the source as it is does not compile\n{problem}")
        for test in missing:
            started = time.monotonic()
            why = self.run(test, test.limit, expression)
            if why:
                said = open(self.said, encoding="utf-8", errors="replace").read()
                raise RuntimeError(f"on the source as it is {test.name} fails: {why}\n{said[-3000:]}")
            found.limits[test.name, expression] = min(test.limit, 30 + 10 * (time.monotonic() - started))

    def hunt(self, mutant, tests, found, brief):
        first = [t for t in tests if re.search(mutant.first, t.name)]
        targets = sorted({n for t in first for n in t.needs})
        self.measure(first, targets, mutant.expression, found)
        self.try_tests(mutant, first, targets, mutant.expression, found)
        if mutant.problem or mutant.caught_by or brief:
            return
        room = mutant.file.split("/")[1]  # whose own tests are the likeliest
        rest = sorted((t for t in tests if mutant.expression or t not in first), key=lambda t: not t.name.startswith(room))
        failed = self.try_tests(mutant, rest, [], "", found)
        if failed:
            self.measure([failed], [], "", found)

    def try_tests(self, mutant, tests, targets, expression, found):
        """Returns the test that fails, if one does."""
        path = os.path.join(self.tree, mutant.file)
        text = open(path, encoding="utf-8").read()
        write_if_different(path, text.replace(mutant.old, mutant.new).encode())
        try:
            mutant.problem = self.compile(targets)
            for test in tests if not mutant.problem else []:
                why = self.run(test, found.limits.get((test.name, expression), test.limit), expression)
                if why:
                    mutant.caught_by = f"{test.name} ({why})"
                    return test
        finally:
            write_if_different(path, text.encode())
        return None


def write_if_different(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not os.path.exists(path) or open(path, "rb").read() != content:
        with open(path, "wb") as file:
            file.write(content)


def work(worker, found, todo, log, errors, brief):
    tests = worker.tests()
    while not errors:
        try:
            mutant = todo.get_nowait()
        except queue.Empty:
            return
        started = time.monotonic()
        mutant.skipped = lacking(mutant.file)
        mutant.caught_by = found.caught.get(found.key(mutant), "")
        try:
            if not mutant.skipped and not mutant.caught_by:
                worker.hunt(mutant, tests, found, brief)
                found.keep(mutant)
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            errors.append(f"{mutant.name}: {error}")
            return
        mutant.seconds = time.monotonic() - started
        log(mutant)


def line_of(mutant):
    verdict = (f"not run: no {mutant.skipped} here" if mutant.skipped else "DOES NOT COMPILE" if mutant.problem
               else mutant.caught_by or "SURVIVED")
    return f"{mutant.name:42} {mutant.file:30} {verdict}"


def machine():
    def first(command):
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout.splitlines()[0]
    cpu = re.search(r"^model name\s*: (.*)$", open("/proc/cpuinfo", encoding="utf-8").read(), re.M)
    system = re.search(r'^PRETTY_NAME="(.*)"$', open("/etc/os-release", encoding="utf-8").read(), re.M)
    return [f"processor  {cpu.group(1) if cpu else 'unknown'}, {os.cpu_count()} of them", f"system     {system.group(1)}",
            f"compiler   {first([os.environ.get('CC', 'cc'), '--version'])}, -O1",
            f"commit     {first(['git', 'rev-parse', 'HEAD'])}"]


def summary(mutants):
    ran = [m for m in mutants if not m.skipped]
    survivors = [m for m in ran if not m.caught_by]
    lines = ["", f"{len(ran) - len(survivors)} of {len(ran)} caught ({100 * (len(ran) - len(survivors)) / max(len(ran), 1):.1f} %)"]
    for m in survivors:
        lines += [f"survived: {m.name} in {m.file}", *(f"    - {t}" for t in m.old.splitlines()),
                  *(f"    + {t}" for t in m.new.splitlines()), f"    {m.reason or 'no reason is given'}"]
    return lines


def main():
    parser = argparse.ArgumentParser(prog="./run test mutants", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only those whose names match this regular expression")
    parser.add_argument("--build", default="build-mutants", help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--list", action="store_true", help="only list them, and see that they apply")
    parser.add_argument("--resume", action="store_true", help="keep what an earlier, interrupted run caught in the same src/")
    parser.add_argument("--brief", action="store_true", help="only the tests that come first")
    parser.add_argument("--record", action="store_true", help=f"write {RECORD}")
    options = parser.parse_args()
    mutants = [m for path in sorted(glob.glob("tests/trust/mutants/*.txt"), reverse=True) for m in read_list(path)]
    check_list(mutants)
    if options.names:
        mutants = [m for m in mutants if any(re.search(name, m.name) for name in options.names)]
    if not mutants:
        fail("no such break")
    if options.list:
        print("\n".join(f"{m.name:42} {m.file:30} {m.first} {m.expression}" for m in mutants))
        return
    workers = [Worker(os.path.join(options.build, str(i))) for i in range(max(1, min(options.workers, len(mutants))))]
    for worker in workers:
        worker.prepare()
    tests = workers[0].tests()
    for m in mutants:
        if not any(re.search(m.first, t.name) for t in tests):
            fail(f"{m.name}: no test is called {m.first}")
    found, todo, errors = Found(options.build, options.resume), queue.Queue(), []
    for m in mutants:
        todo.put(m)
    log = lambda m: print(f"{m.seconds:5.0f} s  {line_of(m)}", flush=True)  # noqa: E731
    threads = [threading.Thread(target=work, args=(w, found, todo, log, errors, options.brief), daemon=True) for w in workers]
    for thread in threads:
        thread.start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(0.5)
    finally:
        for worker in workers:
            worker.stop()
    if errors:
        fail("; ".join(errors))
    report = summary(mutants)
    print("\n".join(report))
    broken = [m.name for m in mutants if m.problem]
    if broken:
        fail(f"these do not compile: {', '.join(broken)}")
    ran = [m for m in mutants if not m.skipped]
    if options.record:
        os.makedirs(os.path.dirname(RECORD), exist_ok=True)
        open(RECORD, "w", encoding="utf-8").write("\n".join(
            ["What `./run test mutants` found: each break of the source, and the test that caught it.", *machine(),
             *report, "", *(line_of(m) for m in mutants)]) + "\n")
    if sum(bool(m.caught_by) for m in ran) < LEAST_SHARE * len(ran):
        fail(f"less than {100 * LEAST_SHARE:.0f} % of the breaks are caught")
    silent = [m.name for m in ran if not m.caught_by and not m.reason]
    if silent:
        fail(f"these survive without a reason: {', '.join(silent)}")
    print(f"== {len(ran)} breaks, and the tests notice all but {sum(not m.caught_by for m in ran)}")


if __name__ == "__main__":
    main()
