#!/usr/bin/env python3
"""kill -9 at random moments of runs that take checkpoints (README.md). $1: the tardigrad program."""
import argparse
import dataclasses
import datetime
import json
import pathlib
import random
import re
import shutil
import statistics
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import runs  # noqa: E402

# Worker: the times at which it fails and returns, in units of --compute-time. Two are away at the same time, and one
# is to the end.
ABSENCES = {1: [40, 90, 300, 301], 2: [60, 200], 3: [700, 720, 900]}
POLL_S = 0.0005
BEGINS = re.compile(r"^(\S+) (?:evaluation at update 0 |going on at update )", re.MULTILINE)
KINDS = {"start": 1, "anywhere": 3, "writing": 4, "naming": 2, "end": 1}  # of moments, and how frequent they are


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    options: str
    updates: int
    virtual: bool = True

    def arguments(self):
        clock = "virtual" if self.virtual else "wall --time-unit 0.0004"
        return (f"train --workers 5 --seed 7 --compute-time linear:1:0.5+exponential:0.5 --clock {clock} "
                f"--eval-every 200 --events events.toml --updates {self.updates} {self.options}").split()


SCENARIOS = [
    Scenario("dude", "--model quadratic:tridiagonal:10000:noise=0.5 --method dude --lr 0.001 --momentum 0.5 "
             "--table-dtype bf16 --resum-every 100", 3000),
    Scenario("ringleader", "--model quadratic:tridiagonal:5000:noise=0.5 --method ringleader --lr 0.02 "
             "--lr-schedule step:500:0.9 --clip-norm 100", 2000),
    Scenario("asgd-shuffled", "--model quadratic:tridiagonal:5000:noise=0.5 --method asgd-shuffled --lr 0.01 "
             "--momentum 0.5 --log-size 64K --log-files 10000", 5000),
    Scenario("malenia", "--model quadratic:tridiagonal:10000:noise=0.5 --method malenia --lr 0.01 --momentum 0.9 "
             "--lr-schedule cosine --weight-decay 0.001", 600),
    Scenario("dude, wall", "--model quadratic:tridiagonal:10000:noise=0.5 --method dude --lr 0.0005 --momentum 0.5",
             2000, virtual=False),
]


@dataclasses.dataclass
class Counts:
    """What there is to tell of a scenario; times in seconds."""
    kills: dict = dataclasses.field(default_factory=dict)  # by kind of moment
    runs: int = 0
    half_written: int = 0  # checkpoints that kills have left so
    verified: int = 0
    interval_s: float = 0.0
    lost_s: list = dataclasses.field(default_factory=list)
    slack_s: list = dataclasses.field(default_factory=list)
    writing_s: list = dataclasses.field(default_factory=list)


class Watch:
    """What is seen of a folder of checkpoints while a run writes there."""

    def __init__(self, folder):
        self.folder = folder
        self.begun = 0  # checkpoints that were begun, or got their names, since
        self.named = 0
        self.writing = None  # the one being written, and since when it is seen
        self.writing_since = None
        self.newest = runs.newest_checkpoint(folder)

    def look(self):
        newest = runs.newest_checkpoint(self.folder)
        if newest != self.newest:
            self.newest = newest
            self.named += 1
        writing = runs.unnamed_checkpoint(self.folder, newer_than=newest)
        if writing != self.writing:
            self.writing, self.writing_since = writing, time.time()
            self.begun += writing is not None

    def writing_s(self, now):
        return now - self.writing_since if self.writing else 0.0


# Moments: functions of the watch and the seconds since the start that say whether it is now.

def after(delay_s):
    return lambda watch, elapsed_s: elapsed_s >= delay_s


def once(condition, delay_s):
    """That long after the condition was first met."""
    met_at = []

    def now(watch, elapsed_s):
        if not met_at and condition(watch):
            met_at.append(elapsed_s)
        return bool(met_at) and elapsed_s - met_at[0] >= delay_s
    return now


def ends_with(update):
    return lambda watch: any(name and runs.update_of(name) == update for name in (watch.writing, watch.newest))


def draw_moment(rng, updates, startup_s, run_s):
    """A kind of moment, and one of that kind."""
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    which = rng.randint(1, 4)
    moments = {"start": after(rng.uniform(0, 1.5 * startup_s)),
               "anywhere": after(rng.uniform(0, 0.5 * run_s)),
               "writing": once(lambda watch: watch.begun >= which, rng.expovariate(1 / 0.003)),
               "naming": once(lambda watch: watch.named >= which, rng.expovariate(1 / 0.001)),
               "end": once(ends_with(updates), rng.uniform(0, 0.01))}
    return kind, moments[kind]


@dataclasses.dataclass
class Life:
    """A process, from its start to its end or to the kill."""
    killed: bool
    started_at: float
    ended_at: float
    errors: str
    watch: Watch

    def trains_since(self):
        """Since it has said so, or never: what a busy machine takes to start a process is no work that is lost."""
        said = BEGINS.search(self.errors)
        return datetime.datetime.fromisoformat(said[1]).timestamp() if said else self.ended_at


class Test:
    """One scenario, to be killed a number of times."""

    def __init__(self, program, scenario, kills, seed, folder):
        self.program, self.scenario, self.kills = program, scenario, kills
        self.rng = random.Random(f"{seed} {scenario.name}")
        self.folder = folder
        self.counts = Counts()
        self.whole = folder / "uninterrupted"

    def go(self):
        self.run_uninterrupted()
        while sum(self.counts.kills.values()) < self.kills:
            assert self.counts.runs < 10 + self.kills, "runs end before they can be killed"
            self.run_with_kills(self.folder / f"run-{self.counts.runs}")
            self.counts.runs += 1
        self.check_what_is_lost_mostly()

    def make_folder(self, folder):
        folder.mkdir(parents=True)
        (folder / "events.toml").write_text(runs.event_script(ABSENCES))

    def run_uninterrupted(self):
        self.make_folder(self.whole)
        arguments = [*self.scenario.arguments(), "--device", "cpu:2"]
        began = time.time()
        self.program.run([*arguments, *runs.OUTPUTS], self.whole)
        self.run_s = time.time() - began
        began = time.time()
        with open(self.whole / "errors", "w+") as errors:
            self.program.start([*arguments, "--show-memory"], self.whole, errors).wait()
        self.startup_s = time.time() - began
        self.counts.interval_s = round(max(0.03, self.run_s / 30), 3)

    def run_with_kills(self, folder):
        self.make_folder(folder)
        verified = set()
        left = min(self.rng.randint(3, 10), self.kills - sum(self.counts.kills.values()))
        while left > 0:
            kind, moment = draw_moment(self.rng, self.scenario.updates, self.startup_s, self.run_s)
            life = self.live(folder, moment)
            if not life.killed:
                break
            left -= 1
            self.counts.kills[kind] = self.counts.kills.get(kind, 0) + 1
            self.counts.half_written += life.watch.writing is not None
            self.check_what_is_there(folder, verified)
            self.check_what_is_lost(folder, life)
        else:
            self.live(folder, lambda watch, elapsed_s: False)
        self.check_the_end(folder)
        if self.counts.runs == 0:
            self.check_that_damage_is_found(folder)
        shutil.rmtree(folder)

    def live(self, folder, moment):
        """From the latest checkpoint until that moment, or to the end."""
        checkpoints = folder / "checkpoints"
        arguments = [*self.scenario.arguments(), *runs.OUTPUTS, "--device", f"cpu:{self.rng.randint(1, 3)}",
                     "--checkpoint-dir", "checkpoints", "--resume", "latest",
                     "--checkpoint-every", f"{self.counts.interval_s}s"]
        watch = Watch(checkpoints)
        before = watch.newest
        killed = False
        started_at = time.time()
        with open(folder / "errors", "w+") as errors:
            process = self.program.start(arguments, folder, errors)
            while process.poll() is None:
                watch.look()
                if moment(watch, time.time() - started_at) and self.program.kill(process, self.rng):
                    killed = True
                    break
                time.sleep(POLL_S)
            ended_at = time.time()
            code = process.wait()
            watch.look()
            errors.seek(0)
            life = Life(killed and code != 0, started_at, ended_at, errors.read(), watch)
        assert code == 0 or killed, f"exit code {code}: {life.errors}"
        self.check_the_beginning(life, before)
        return life

    def check_the_beginning(self, life, before):
        """From the newest checkpoint, and nowhere else."""
        assert "--resume: " not in life.errors, f"a checkpoint is not whole: {life.errors}"
        if before is not None:
            for text in ("the run begins", "evaluation at update 0 ", "begins anew", "nothing is recorded"):
                assert text not in life.errors, f"{before} was there: {life.errors}"

    def check_what_is_there(self, folder, verified):
        """What bears the name of a checkpoint is whole. The program itself looks."""
        for name in runs.checkpoints_in(folder / "checkpoints"):
            if name not in verified:
                self.program.run(["train", "--resume", f"checkpoints/{name}", "--show-memory"], folder)
                verified.add(name)
                self.counts.verified += 1

    def check_what_is_lost(self, folder, life):
        """No more than the interval, or the time that writing took where that is longer, and the time that a
        checkpoint is being written already, and some slack."""
        newest = runs.newest_checkpoint(folder / "checkpoints")
        since, promised_s = life.trains_since(), self.counts.interval_s
        if newest is not None:
            taken_at = json.loads((folder / "checkpoints" / newest / "state.json").read_text())["taken_at"]
            writing_s = (folder / "checkpoints" / newest / "manifest.json").stat().st_mtime - taken_at
            self.counts.writing_s.append(writing_s)
            since, promised_s = max(since, taken_at), max(promised_s, writing_s)
        lost_s = life.ended_at - since
        slack_s = lost_s - promised_s - life.watch.writing_s(life.ended_at)
        self.counts.lost_s.append(lost_s)
        self.counts.slack_s.append(slack_s)
        # A busy machine keeps us waiting.
        most_s = 2 * self.startup_s + 2
        assert slack_s <= most_s, f"{lost_s:.3f} s of work lost, {slack_s:.3f} s more than promised"

    def check_what_is_lost_mostly(self):
        """The machine is not always busy, but a process trains only after it has started."""
        slack_s = statistics.median(self.counts.slack_s)
        most_s = self.startup_s + self.counts.interval_s
        assert self.kills < 10 or slack_s <= most_s, f"mostly {slack_s:.3f} s more lost than promised"

    def check_the_end(self, folder):
        leftovers = [path.name for path in (folder / "checkpoints").glob("*.partial")]
        assert not leftovers, f"left behind: {leftovers}"
        updates = [record["update"] for record in runs.log_records(folder / "log") if record["event"] == "update"]
        assert updates == list(range(1, self.scenario.updates + 1)), "the log has not every update once"
        self.program.run(["table", "log"], folder)
        self.program.run(["train", "--replay", "recording", "--save", "replayed"], folder)
        runs.expect_same_bytes(folder / "model", folder / "replayed")
        if self.scenario.virtual:
            runs.expect_same_bytes(self.whole / "model", folder / "model")
            runs.expect_same_log(self.whole / "log", folder / "log")
            runs.expect_same_recording(self.whole / "recording", folder / "recording")

    def check_that_damage_is_found(self, folder):
        """Or else the checks above would show nothing."""
        newest = folder / "checkpoints" / runs.newest_checkpoint(folder / "checkpoints")
        data = bytearray((newest / "state.safetensors").read_bytes())
        data[-1] ^= 1
        (newest / "state.safetensors").write_bytes(data)
        self.program.run(["train", "--resume", str(newest), "--show-memory"], folder, exit_codes=(2,))


def share_of(kills, scenarios):
    """A tenth of them in wall time, at least 4, and the others evenly."""
    virtual = [scenario for scenario in scenarios if scenario.virtual]
    wall = max(4, kills // 10) if len(virtual) < len(scenarios) else 0
    shares = iter([(kills - wall + i) // len(virtual) for i in range(len(virtual))])
    return [next(shares) if scenario.virtual else wall for scenario in scenarios]


def row(name, counts, result):
    kills = counts.kills
    return [name, *(kills.get(kind, 0) for kind in KINDS),
            sum(kills.values()), counts.runs, counts.half_written, counts.verified, f"{counts.interval_s:.3f}",
            *(f"{value:.3f}" for values in (counts.writing_s, counts.lost_s, counts.slack_s) for value in (
                statistics.median(values or [0]), max(values, default=0))), result]


HEADING = ["kills of", *KINDS, "all", "runs", "left half", "found whole", "every, s", "writing, s", "max", "lost, s",
           "max", "slack, s", "max", "result"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--kills", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="scenarios at the same time")
    parser.add_argument("--ranks", type=int, default=0, help="runs over so many ranks of MPI, one of which is killed")
    arguments = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tardigrad-crash-"))
    path = arguments.program.resolve()
    program = runs.RankedProgram(path, arguments.ranks) if arguments.ranks else runs.Program(path)
    tests = [Test(program, scenario, kills, arguments.seed, folder / scenario.name.replace(", ", "-"))
             for scenario, kills in zip(SCENARIOS, share_of(arguments.kills, SCENARIOS))]
    return runs.report(HEADING, tests, arguments.jobs, folder,
                       lambda test, result: row(test.scenario.name, test.counts, result))


if __name__ == "__main__":
    sys.exit(main())
