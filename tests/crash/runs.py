"""Runs of tardigrad, what they leave, and what is compared of it."""
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import traceback

OUTPUTS = ["--log", "log", "--record", "recording", "--save", "model"]

NAME = re.compile(r"update-(\d+)-gradient-(\d+)")
COMPARED = {"update", "eval", "gradient", "discard", "warning", "worker-lost", "worker-back"}
OF_WALL_TIME = {"train_time_s"}


class Program:
    """The tardigrad program."""

    def __init__(self, path):
        self.path = path

    def start(self, arguments, folder, errors, environment=None):
        return subprocess.Popen([self.path, *arguments], cwd=folder, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=errors, env=environment)

    def run(self, arguments, folder, exit_codes=(0,), environment=None):
        """To its end, which is to be with one of these exit codes. Returns that, and what it has put on stderr."""
        done = subprocess.run([self.path, *arguments], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, env=environment)
        assert done.returncode in exit_codes, (
            f"exit code {done.returncode}, not of {exit_codes}: {' '.join(arguments)}: {done.stderr}")
        return done.returncode, done.stderr

    def kill(self, process, rng):
        process.kill()
        return True


class RankedProgram(Program):
    """The same over ranks of MPI. What run() runs is one process, as the runs that it is compared with."""

    def __init__(self, path, ranks):
        super().__init__(path)
        self.ranks = ranks

    def start(self, arguments, folder, errors, environment=None):
        # More ranks than processors, by root; no shared memory that kills would leave behind.
        environment = {**(environment or os.environ), "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                       "OMPI_MCA_rmaps_base_oversubscribe": "1", "OMPI_MCA_btl": "tcp,self"}
        return subprocess.Popen(["mpirun", "-n", str(self.ranks), self.path, *arguments, "--ranks", "mpi"], cwd=folder,
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, env=environment)

    def kill(self, process, rng):
        """Kills one of the ranks, or nothing where there is none. Returns whether there was."""
        ranks = [child for child in children_of(process.pid) if "OMPI_COMM_WORLD_RANK=" in environment_of(child)]
        if not ranks:
            return False
        os.kill(rng.choice(ranks), signal.SIGKILL)
        return True


def children_of(process):
    try:
        listed = pathlib.Path(f"/proc/{process}/task/{process}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in listed.split()]


def environment_of(process):
    try:
        return pathlib.Path(f"/proc/{process}/environ").read_text(errors="replace")
    except OSError:
        return ""


def preloaded(libraries):
    """Those of a list with colons, for LD_PRELOAD in any folder: one of a sanitizer, maybe, and one of ours."""
    return ":".join(os.path.abspath(library) for library in libraries.split(":"))


def event_script(absences):
    """Of workers, and the times at which they fail, return, fail, …"""
    events = sorted((time, worker, ("failed", "working")[i % 2])
                    for worker, times in absences.items() for i, time in enumerate(times))
    return "".join(f'[[event]]\ntime = {time}\nworker = {worker}\nstate = "{state}"\n'
                   for time, worker, state in events)


def place_of(name):
    """What orders checkpoints, and names of unnamed ones."""
    return int(NAME.search(name).group(2))


def update_of(name):
    return int(NAME.search(name).group(1))


def names_in(folder):
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def checkpoints_in(folder):
    """Their names, oldest first."""
    return sorted((name for name in names_in(folder) if NAME.fullmatch(name)), key=place_of)


def newest_checkpoint(folder):
    return next(reversed(checkpoints_in(folder)), None)


def unnamed_checkpoint(folder, newer_than):
    """One that is being written, not one that is being removed."""
    unnamed = [name for name in names_in(folder) if name.endswith(".partial") and NAME.search(name)]
    newest = max(unnamed, key=place_of, default=None)
    return newest if newest and (newer_than is None or place_of(newest) > place_of(newer_than)) else None


def log_records(log):
    """Of all files of a log, without what each repeats of those before."""
    parts = sorted(log.parent.glob(log.name + ".*"), key=lambda part: -int(part.suffix[1:]))
    for part in [*parts, log]:
        with open(part) as lines:
            repeated = json.loads(next(lines))["repeated"]
            for i, line in enumerate(lines):
                if i >= repeated:
                    yield json.loads(line)


def expect_same(what, one, other):
    """Lists, of which the first difference is told."""
    for i, (left, right) in enumerate(zip(one, other)):
        assert left == right, f"{what} {i}: {left} in the uninterrupted run, but {right}"
    assert len(one) == len(other), f"{len(one)} {what}s in the uninterrupted run, but {len(other)}"


def expect_same_log(one, other):
    def compared(log):
        return [{name: value for name, value in record.items() if name not in OF_WALL_TIME}
                for record in log_records(log) if record["event"] in COMPARED]
    expect_same("record", compared(one), compared(other))


def expect_same_recording(one, other):
    """But for the first line, which has the options, and where checkpoints were taken."""
    def compared(recording):
        return [line for line in recording.read_text().splitlines()[1:] if '"event":"checkpoint"' not in line]
    expect_same("line", compared(one), compared(other))


def expect_same_bytes(one, other):
    assert one.read_bytes() == other.read_bytes(), f"{other} differs from {one}"


def print_table(rows):
    widths = [max(len(str(cell)) for cell in column) for column in zip(*rows)]
    for cells in rows:
        first, *rest = (str(cell) for cell in cells)
        print("  ".join([first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:]))]))


def report(heading, tests, jobs, folder, row):
    """Runs test.go() of each, so many at a time, and prints a table with row(test, result) of each. Returns the exit
    code. The folder is kept where something went wrong."""
    def result_of(test):
        try:
            test.go()
            return "ok"
        except Exception:
            print(f"{traceback.format_exc()}\nsee {folder}", flush=True)
            return "FAILED"
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(result_of, tests))
    print_table([heading, *(row(test, result) for test, result in zip(tests, results))])
    if all(result == "ok" for result in results):
        shutil.rmtree(folder)
        return 0
    return 1
