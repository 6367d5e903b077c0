"""Runs of `tardigrad train`, each executed once: its log is kept, and found again by what was asked for."""

import json
import math
import os
import pathlib
import subprocess
import threading
import time

DIVERGED = 4  # tardigrad's exit code when training left the finite numbers


class RunFailed(Exception):
    """A run that ended with neither a result nor a divergence."""


class OutOfTime(Exception):
    """The time that a command may take is over before a run that is missing."""


def value_of(record, measure):
    """A measure of an evaluation; None where it was not taken."""
    if measure == "worst_class":
        return min(record.get("class_accuracy") or [None])
    return record.get(measure)


class Log:
    """What a run left: its classes and their workers, its evaluations, its summary (None where it diverged) and what it
    took."""

    def __init__(self, records):
        self.classes = next((record.get("classes") for record in records if record["event"] == "run"), None)
        self.evals = [record for record in records if record["event"] == "eval"]
        self.summary = next((record for record in records if record["event"] == "summary"), None)
        self.process = next(record for record in records if record["event"] == "process")

    @property
    def diverged(self):
        return self.summary is None

    def series(self, measure):
        """Times and values of a measure of the evaluations."""
        values = [(record["time"], value_of(record, measure)) for record in self.evals]
        taken = [(at, value) for at, value in values if value is not None]
        return [at for at, _ in taken], [value for _, value in taken]


def to_flags(options):
    """{"batch-size": 4, "eval-gradient": True, "dataset": ""} as words; what is false, empty or None is left out."""
    flags = []
    for name, value in options.items():
        if value is True:
            flags.append(f"--{name}")
        elif value is not False and value is not None and value != "":
            flags.append(f"--{name}={value}")
    return flags


def condense(lines, keep_evals):
    """The records that figures need: no updates, but their mean staleness; all evaluations, or the first and last."""
    kept, evals, updates, staleness = [], [], 0, 0
    for line in lines:
        if line.startswith('{"event":"update"'):
            updates += 1
            staleness += json.loads(line)["staleness"]
            continue
        record = json.loads(line)
        if record["event"] == "eval":
            evals.append(record)
        elif record["event"] in ("run", "summary"):
            kept.append(record)
    if not keep_evals and len(evals) > 2:
        evals = [evals[0], evals[-1]]
    return kept + evals, staleness / updates if updates else None


class Runner:
    """Executes runs, from any number of threads, and remembers the CPU time they took."""

    def __init__(self, program, folder, device, tell=print, ends=math.inf):
        self.program = str(program)
        self.folder = pathlib.Path(folder)
        self.device = device
        self.tell = tell
        self.ends = ends  # by time.monotonic(): no run begins behind it
        self.cpu_s = {}  # of each run used, whether executed now or before
        self.lock = threading.Lock()

    def train(self, name, options, keep_evals=True, delays=False):
        """The log of the run called `name` with these options: the one in the folder if they are the same. With `delays` it
        has the mean staleness of all updates, which takes long to read where there are millions."""
        flags = to_flags({**options, "device": self.device})
        path = self.folder / f"{name}.jsonl"
        log = self._kept(path, flags)
        if log is None:
            if time.monotonic() > self.ends:
                raise OutOfTime
            log = self._execute(path, flags, keep_evals, delays)
            self._say(name, log)
        with self.lock:
            self.cpu_s[name] = log.process["cpu_s"]
        return log

    def _kept(self, path, flags):
        try:
            log = Log([json.loads(line) for line in path.read_text().splitlines()])
        except (FileNotFoundError, StopIteration, ValueError):
            return None
        return log if log.process["flags"] == flags else None

    def _execute(self, path, flags, keep_evals, delays):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with open(path.with_suffix(".err"), "w+") as errors:
            detail = ["--log-detail", "updates" if delays else "evaluations"]
            child = subprocess.Popen([self.program, "train", *flags, *detail, "--log", str(part)],
                                     stdout=subprocess.DEVNULL, stderr=errors)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = code = os.waitstatus_to_exitcode(status)
            errors.seek(0)
            said = errors.read().strip().splitlines()
        if code not in (0, DIVERGED):
            raise RunFailed(f"tardigrad train {' '.join(flags)}: exit code {code}: {said[-1] if said else ''}")
        with open(part) as lines:
            records, staleness = condense(lines, keep_evals)
        records.append({"event": "process", "flags": flags, "mean_staleness": staleness,
                        "cpu_s": round(usage.ru_utime + usage.ru_stime, 2)})
        part.write_text("".join(json.dumps(record) + "\n" for record in records))
        part.rename(path)  # whole or not there at all
        path.with_suffix(".err").unlink()
        return Log(records)

    def _say(self, name, log):
        last = log.evals[-1]
        values = [f"{key} {last[key]:.4g}" for key in ("objective", "accuracy", "gradient_norm_sq")
                  if last.get(key) is not None]
        text = "diverged" if log.diverged else "  ".join([f"time {last['time']:.6g}", *values])
        with self.lock:
            self.tell(f"{name}: {text}  ({log.process['cpu_s']:.1f} s of CPU)")
