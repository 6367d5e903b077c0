#!/usr/bin/env python3
"""Runs whose disk fails at any call that writes a checkpoint (README.md). $1: the tardigrad program, $2: the library
of faulty_disk.cpp."""
import argparse
import collections
import dataclasses
import errno
import itertools
import os
import pathlib
import random
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True
import runs  # noqa: E402

TRAIN = ("train --model quadratic:tridiagonal:1000:noise=0.5 --method dude --lr 0.002 --momentum 0.5 --workers 3 "
         "--compute-time 1,2.5,3 --clock virtual --device cpu:1 --updates 3000 --eval-every 1000 --save model").split()
END = "update-3000-"
CHECKPOINTS = ["--checkpoint-every", "1000u", "--keep", "2"]
TROUBLE = "no checkpoint: "
BETTER = "checkpoints are written again"
NO_LOCK = "cannot be locked: "
IN_USE = "is in use by another run"
PASSED_OVER = "; going on from "
DAMAGE = "damaged"
FOREVER = 10**9


@dataclasses.dataclass(frozen=True)
class Kind:
    """What befalls that many calls, so far apart."""
    name: str
    fault: str
    count: int = 1
    step: int = 1


KINDS = [Kind("ENOSPC", str(errno.ENOSPC)), Kind("EIO", str(errno.EIO)), Kind("EIO 9 times", str(errno.EIO), 9),
         Kind("ENOSPC from then on", str(errno.ENOSPC), FOREVER), Kind("short write", "short"),
         Kind("short writes from then on", "short", FOREVER), Kind("kill", "kill")]


@dataclasses.dataclass(frozen=True)
class Call:
    """A line of the library's log."""
    number: int
    fault: str
    name: str
    path: str
    second: str

    def failed(self):
        return self.fault.isdigit()

    def names_checkpoint(self):
        """A checkpoint that there was not before: what replaces another is exchanged with it by renameat2."""
        return self.name == "rename" and self.fault == "-" and not self.second.endswith(".partial")

    def begins_checkpoint(self):
        return self.name == "mkdir" and self.path.endswith(".partial")


def calls_in(log):
    calls = []
    for line in log.read_text().splitlines():
        number, fault, name, path, second = line.split("\t")
        calls.append(Call(int(number), fault, name, path, second))
    return calls


class Disk:
    """Runs the program on such a disk, in folders of its own."""

    def __init__(self, program, library, folder):
        self.program, self.library, self.folder = program, library, folder
        self.reference = folder / "reference"
        self.reference.mkdir()
        program.run(TRAIN, self.reference)

    def environment(self, folder, kind, first):
        return {**os.environ, "LD_PRELOAD": self.library, "FAULTY_DISK_LOG": str(folder / "calls"),
                "FAULTY_DISK_FOLDER": str(folder), "FAULTY_DISK_FAULT": kind.fault,
                "FAULTY_DISK_FIRST": str(first), "FAULTY_DISK_COUNT": str(kind.count),
                "FAULTY_DISK_STEP": str(kind.step)}

    def run(self, folder, kind, first, before=None, exit_codes=(0,), arguments=()):
        """Goes on from the checkpoints of the folder `before`, if any. Returns the exit code, what is on stderr, and
        the calls."""
        folder.mkdir()
        if before:
            shutil.copytree(before, folder / "checkpoints")
        code, errors = self.program.run(
            [*TRAIN, *CHECKPOINTS, "--checkpoint-dir", str(folder / "checkpoints"), "--resume", "latest", *arguments],
            folder, exit_codes, self.environment(folder, kind, first))
        return code, errors, calls_in(folder / "calls")

    def expect_reference_model(self, folder):
        runs.expect_same_bytes(self.reference / "model", folder / "model")


class Faultless:
    """A run without trouble, whose calls are the ones to fail in others."""

    def __init__(self, disk, name, before=None):
        self.name, self.before = name, before
        folder = disk.folder / name
        _, _, self.calls = disk.run(folder, Kind("none", "", 0), 1, before=before)
        disk.expect_reference_model(folder)
        self.checkpoints = folder / "checkpoints"
        check_order(self.calls, self.checkpoints)

    def whole_before(self):
        there = runs.checkpoints_in(self.before) if self.before else []
        return [name for name in there if not is_damaged(self.before / name)]

    def last_sync(self):
        """The call that brings the name of the last checkpoint to the disk."""
        named = max(call.number for call in self.calls if call.names_checkpoint())
        return next(call.number for call in self.calls if call.number > named and call.name == "fsync")

    def __str__(self):
        names = collections.Counter(call.name for call in self.calls)
        return f"{self.name}: {len(complete_names(self.calls))} checkpoints, {len(self.calls)} calls: " + ", ".join(
            f"{count} {name}" for name, count in sorted(names.items()))


def check_order(calls, folder):
    """That a power cut, which takes what no fsync has brought to the disk, leaves checkpoints that are whole: what is
    in a folder is on the disk before that gets its name, and names are on the disk before others are removed."""
    waiting = collections.defaultdict(set)  # paths that an fsync is due for, by folders
    for call in calls:
        path = pathlib.Path(call.path)
        if call.name in ("open", "mkdir") and path.name != ".lock":
            waiting[path.parent].update({path, path.parent})
        elif call.name == "write":
            waiting[path.parent].add(path)
        elif call.name == "fsync":
            waiting[path.parent].discard(path)
            waiting[path].discard(path)
        elif call.name in ("rename", "renameat2"):
            assert not waiting[path], f"{call}: not on the disk: {waiting[path]}"
            if call.second.endswith(".partial"):
                assert folder not in waiting[folder], f"{call}: the newest may yet lose its name"
            assert folder.parent not in waiting[folder.parent], f"{call}: {folder} is not on the disk"
            waiting[folder].add(folder)
        elif call.name == "unlinkat":
            assert folder not in waiting[folder], f"{call}: may yet get back its name"


def complete_names(calls):
    return [pathlib.Path(call.second).name for call in calls if call.names_checkpoint()]


def damage_newest(folder):
    (folder / runs.newest_checkpoint(folder) / "manifest.json").write_text(DAMAGE)


def is_damaged(checkpoint):
    return (checkpoint / "manifest.json").read_text() == DAMAGE


class Case:
    """One kind of trouble, from one call on."""

    def __init__(self, disk, faultless, kind, first):
        self.disk, self.faultless, self.kind, self.first = disk, faultless, kind, first
        self.folder = disk.folder / f"{faultless.name}-{kind.name.replace(' ', '-')}-{first}"
        self.checkpoints = self.folder / "checkpoints"

    def go(self):
        """Returns whether there was trouble, and whether it was told of."""
        code, errors, calls = self.disk.run(self.folder, self.kind, self.first, self.faultless.before, (0, 2, -9))
        faults = [call for call in calls if call.fault != "-"]
        assert code == self.expected_exit_code(calls), f"exit code {code}: {errors}"
        if code == 0:
            self.disk.expect_reference_model(self.folder)
            self.check_what_is_told(errors, faults)
        self.check_what_is_there(calls)
        if code != 0:
            self.check_going_on()
        shutil.rmtree(self.folder)
        return bool(faults), TROUBLE in errors

    def expected_exit_code(self, calls):
        """What befell it decides, not what was to: on a busy machine a run may have fewer checkpoints."""
        if any(call.fault == "kill" for call in calls):
            return -9
        before = itertools.takewhile(lambda call: not call.begins_checkpoint(), calls)
        return 2 if any(call.failed() and self.is_needed_to_begin(call) for call in before) else 0

    def is_needed_to_begin(self, call):
        return call.name in ("open", "open-to-read", "mkdir") and call.path != str(self.folder)

    def check_what_is_told(self, errors, faults):
        told, better = errors.count(TROUBLE), errors.count(BETTER)
        ended = any(name.startswith(END) for name in self.whole_ones())
        assert told <= 1 and better <= told, errors
        assert told == 0 or any(call.failed() for call in faults), f"told of trouble that there was not: {errors}"
        if self.kind.count == 1 and not (faults and self.concerns_the_end(faults[0])):
            assert ended and better == told, f"no checkpoint after the trouble: {errors}"
        assert ended or told, f"a checkpoint is not there, and nothing was told: {errors}"

    def concerns_the_end(self, call):
        return END in call.path or pathlib.Path(call.path) == self.checkpoints

    def whole_ones(self):
        return [name for name in runs.checkpoints_in(self.checkpoints) if not is_damaged(self.checkpoints / name)]

    def check_what_is_there(self, calls):
        """Each is whole, and the newest that was ever complete is there."""
        there = self.whole_ones()
        complete = [*self.faultless.whole_before(), *complete_names(calls)]
        assert not complete or complete[-1] in there, f"{complete[-1]} was there, now there are {there}"
        for name in there:
            self.disk.program.run([*TRAIN, "--checkpoint-dir", f"after-{name}", "--resume", f"checkpoints/{name}"],
                                  self.folder)
            self.disk.expect_reference_model(self.folder)

    def check_going_on(self):
        _, errors = self.disk.program.run(
            [*TRAIN, *CHECKPOINTS, "--checkpoint-dir", "checkpoints", "--resume", "latest"], self.folder)
        assert TROUBLE not in errors, errors
        assert self.faultless.before or PASSED_OVER not in errors, errors
        self.disk.expect_reference_model(self.folder)
        leftovers = list(self.checkpoints.glob(".*.partial"))
        assert not leftovers, f"left behind: {leftovers}"


class Cases:
    """Some of one sort."""

    def __init__(self, name, cases):
        self.name, self.cases = name, cases
        self.done = self.hit = self.told = 0

    def go(self):
        for case in self.cases:
            try:
                hit, told = case.go()
            except AssertionError as error:
                raise AssertionError(f"{case.faultless.name}, {self.name} at call {case.first}: {error}") from error
            self.done += 1
            self.hit += hit
            self.told += told

    def row(self, result):
        return [self.cases[0].faultless.name, self.name, self.done, self.hit, self.told, result]


def check_second_try(disk):
    """While the run goes on: real time passes until then."""
    folder = disk.folder / "second-try"
    slow = ["--clock", "wall", "--time-unit", "0.1", "--updates", "230", "--checkpoint-every", "20u"]
    _, errors, calls = disk.run(folder, Kind("ENOSPC", str(errno.ENOSPC)), 20, arguments=slow)
    assert errors.count(TROUBLE) == 1 and errors.count(BETTER) == 1, errors
    assert len(complete_names(calls)) >= 2, f"written only at the end: {complete_names(calls)}"


def check_lock(disk, calls):
    """One that cannot be had is no one else's."""
    lock = next(call.number for call in calls if call.name == "flock")
    folder = disk.folder / "no-locks"
    _, errors, _ = disk.run(folder, Kind("ENOLCK", str(errno.ENOLCK)), lock)
    disk.expect_reference_model(folder)
    assert errors.count(NO_LOCK) == 1 and IN_USE not in errors and TROUBLE not in errors, errors
    _, errors, _ = disk.run(disk.folder / "in-use", Kind("EAGAIN", str(errno.EAGAIN)), lock, exit_codes=(2,))
    assert IN_USE in errors and NO_LOCK not in errors, errors


def faultless_runs(disk):
    """One from the beginning, and one whose last checkpoint takes the place of a damaged one."""
    first = Faultless(disk, "new")
    damaged = disk.folder / "damaged"
    shutil.copytree(first.checkpoints, damaged)
    damage_newest(damaged)
    return [first, Faultless(disk, "replacing", damaged)]


def choose(rng, choices, arguments):
    return choices if arguments.all else sorted(rng.sample(choices, arguments.sample))


def make_tests(disk, arguments):
    rng = random.Random(arguments.seed)
    new, replacing = faultless_runs(disk)
    check_lock(disk, new.calls)
    for faultless in new, replacing:
        print(faultless, flush=True)
        for kind in KINDS:
            numbers = [call.number for call in faultless.calls if kind.fault != "short" or call.name == "write"]
            yield Cases(kind.name, [Case(disk, faultless, kind, first) for first in choose(rng, numbers, arguments)])
    # The second one befalls a checkpoint that replaces a whole one.
    kinds = [Kind(f"EIO {step} apart", str(errno.EIO), 2, step) for step in choose(rng, range(1, 60), arguments)]
    yield Cases("EIO after its name, twice", [Case(disk, new, kind, new.last_sync()) for kind in kinds])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("library", type=runs.preloaded)
    parser.add_argument("--all", action="store_true", help="every call, not a sample")
    parser.add_argument("--sample", type=int, default=10, help="calls of each kind")
    parser.add_argument("--only", default="", help="kinds with this text in their names")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="kinds at the same time")
    arguments = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tardigrad-faulty-disk-"))
    disk = Disk(runs.Program(arguments.program.resolve()), arguments.library, folder)
    if arguments.all:
        check_second_try(disk)
    tests = [test for test in make_tests(disk, arguments) if arguments.only in test.name]
    return runs.report(["run", "each call", "runs", "hit", "told of trouble", "result"], tests, arguments.jobs, folder,
                       Cases.row)


if __name__ == "__main__":
    sys.exit(main())
