# SPDX-License-Identifier: Apache-2.0
"""Threads, forks and worker processes, in interpreters of their own; and one without PyTorch."""

import os
import subprocess
import sys
import textwrap

import pytest

torch = pytest.importorskip("torch")

START = """
import os, sys, threading, time
import torch
from floydattn import floyd_attention

def problem(B=2, H=2, N=24, M=24, K=48, D=16, seed=0):
    torch.manual_seed(seed)
    return [torch.randn(B, H, a, b, D).requires_grad_() for a, b in ((N, M), (N, K), (N, K), (K, M), (K, M))]

def step(x, **options):
    y = floyd_attention(*x, **options)
    return [y.detach(), *torch.autograd.grad(y, x, torch.ones_like(y))]

def same(some, others):
    return all(torch.equal(one, other) for one, other in zip(some, others))
"""


def script(text, timeout=120, **environment):
    """Runs it to its end; a hang fails, too."""
    code = START + textwrap.dedent(text)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout, check=False,
                          env={**os.environ, **environment})  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are counted in /proc")
def test_as_many_threads_as_pytorch_says():
    """One is enough for a call of one thread; of more, the caller is one; and fewer later leave the others idle."""
    script("""
        def tasks():
            return len(os.listdir("/proc/self/task"))

        def cpu_of_others():
            times = []
            for task in os.listdir("/proc/self/task"):
                if int(task) != os.getpid():
                    fields = open(f"/proc/self/task/{task}/stat").read().rsplit(")", 1)[1].split()
                    times.append(int(fields[11]) + int(fields[12]))
            return sum(times)

        torch.set_num_threads(1)
        x = [t.detach() for t in problem(B=4)]
        started = 0
        for n in (1, 2, 3, 5):
            torch.set_num_threads(n)  # may itself start threads of another of PyTorch's pools
            before = tasks()
            floyd_attention(*x)
            started += tasks() - before
            assert started == n - 1, (n, started)
        torch.set_num_threads(1)
        time.sleep(0.05)
        used = cpu_of_others()
        end = time.process_time() + 0.5
        while time.process_time() < end:
            floyd_attention(*x)
        assert cpu_of_others() - used <= 5, cpu_of_others() - used  # of some 50 ticks of 10 ms
    """)


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are counted in /proc")
def test_computes_on_the_threads_that_pytorch_has():
    script("""
        torch.set_num_threads(3)
        a = torch.randn(600, 600)
        for _ in range(3):
            a @ a
            a.exp()
        started = len(os.listdir("/proc/self/task"))
        step(problem())
        assert len(os.listdir("/proc/self/task")) == started
    """)


def test_child_of_a_process_that_has_used_pytorchs_threads():
    """OpenMP's threads are not in it: it must not wait for them. (Results as bytes, as below.)"""
    script("""
        import warnings
        warnings.simplefilter("ignore")  # of forking with threads
        torch.set_num_threads(3)
        x = problem()
        dy = torch.ones(2, 2, 24, 24, 16)
        def values():
            y = floyd_attention(*x)
            return [t.detach().numpy().tobytes() for t in (y, *torch.autograd.grad(y, x, dy))]
        wanted = values()
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if values() == wanted else 1)
            except BaseException:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0
        assert values() == wanted
    """)


def test_bits_of_any_number_of_threads():
    script("""
        results = []
        for n in (1, 2, 5):
            torch.set_num_threads(n)
            torch.manual_seed(1)
            results.append(step(problem(), dropout=0.2))
        assert same(results[0], results[1]) and same(results[0], results[2])
    """)


def test_other_python_threads_run_during_a_call():
    script("""
        ticks, done = [], threading.Event()

        def tick():
            while not done.wait(0.001):
                ticks.append(time.perf_counter())

        def run(operation):
            \"\"\"How often the other thread ran in the middle of one call.\"\"\"
            ticks.clear()
            start = time.perf_counter()
            operation()
            length = time.perf_counter() - start
            inner = [t for t in ticks if start + 0.2 * length < t < start + 0.8 * length]
            return length, len(inner)

        torch.set_num_threads(1)
        x = problem(B=4, H=4, N=64, M=64, K=64, D=32)
        threading.Thread(target=tick, daemon=True).start()
        y = floyd_attention(*x)
        dy = torch.ones_like(y)
        for operation in (lambda: floyd_attention(*x), lambda: torch.autograd.grad(y, x, dy)):
            length, seen = run(operation)
            assert seen >= 1, (length, seen)
        done.set()
    """)


def test_many_python_threads_at_once():
    script("""
        torch.set_num_threads(2)
        problems = [problem(N=9 + i, seed=i) for i in range(4)]
        wanted = [step(x) for x in problems]
        wrong = []

        def work(i):
            for j in range(12):
                k = (i + j) % 4
                if not same(step(problems[k]), wanted[k]):
                    wrong.append((i, j))

        threads = [threading.Thread(target=work, args=(i,)) for i in range(12)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert not wrong
    """)


def test_fork_after_use():
    """
    Children compute, with threads of their own, and the parent goes on. Results are compared as bytes: some of PyTorch's own
    operations hang in a child of a process that has used its threads.
    """
    script("""
        import warnings
        warnings.simplefilter("ignore")  # of forking with threads
        torch.set_num_threads(3)
        x = [t.detach() for t in problem()]
        def values():
            return floyd_attention(*x).numpy().tobytes()
        wanted = values()
        children = []
        for i in range(3):
            child = os.fork()
            if child == 0:
                try:
                    torch.set_num_threads(1 + i)
                    os._exit(0 if values() == wanted else 1)
                except BaseException:
                    os._exit(2)
            children.append(child)
            assert values() == wanted
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * 3
    """)


def test_pool_of_forked_workers():
    script("""
        import multiprocessing, warnings
        warnings.simplefilter("ignore")

        def work(seed):
            torch.set_num_threads(2)
            return floyd_attention(*[t.detach() for t in problem(seed=seed)]).numpy().tobytes()

        wanted = [work(seed) for seed in range(6)]
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map(work, range(6)) == wanted
    """)


def test_workers_of_a_data_loader():
    script("""
        import warnings
        warnings.simplefilter("ignore")

        class Attended(torch.utils.data.Dataset):
            def __len__(self):
                return 8

            def __getitem__(self, seed):
                return floyd_attention(*[t.detach() for t in problem(B=1, seed=seed)])[0]

        wanted = torch.stack([Attended()[i] for i in range(8)])
        loader = torch.utils.data.DataLoader(Attended(), batch_size=2, num_workers=2)
        for _ in range(2):
            assert torch.equal(torch.cat(list(loader)), wanted)
    """)


def test_shared_memory_and_spawned_processes(tmp_path):
    """What a worker that starts afresh is sent."""
    path = tmp_path / "main.py"
    path.write_text(START + textwrap.dedent("""
        def work(_, x, results):
            results.copy_(floyd_attention(*x))

        if __name__ == "__main__":
            x = [t.detach().share_memory_() for t in problem()]
            results = torch.zeros_like(x[0]).share_memory_()
            torch.multiprocessing.spawn(work, args=(x, results), nprocs=1)
            assert torch.equal(results, floyd_attention(*x))
    """))
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
