"""Methods, step sizes and seeds against each other."""

from __future__ import annotations

import pathlib
import sys
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

from tardigrad import _engine
from tardigrad.numpy_later import np
from tardigrad.run import Path, Run, axes, usual_column
from tardigrad.training import OPTIONS, TemporaryFolder, _document, _parameters, name_of, text_of, train, words_of

StepSizes = Union[float, Sequence[float], Dict[str, Union[float, Sequence[float]]]]


class Comparison:
    """Runs of several methods, step sizes and seeds. runs: all of them; log_dir: where their logs are."""

    def __init__(self, runs: List[Run], log_dir: Path, folder: Any = None):
        self.runs = runs
        self.log_dir = pathlib.Path(log_dir)
        self._folder = folder

    def groups(self) -> Dict[Tuple[str, float], List[Run]]:
        """The runs of each method and step size, in the order of their seeds."""
        groups: Dict[Tuple[str, float], List[Run]] = {}
        for run in sorted(self.runs, key=lambda run: run.options["seed"]):
            groups.setdefault((run.options["method"].removeprefix("own:"), run.options["lr"]), []).append(run)
        return groups

    def best(self, y: Optional[str] = None) -> Dict[str, Tuple[float, List[Run]]]:
        """For each method the step size that ends best, by the median over seeds, and its runs. y: a column of the
        evaluations, of which accuracy is best large, and all else small. A run that failed ends worse than any other."""
        found: Dict[str, Tuple[float, float, List[Run]]] = {}
        for (method, lr), runs in self.groups().items():
            column = y or usual_column(runs[0])
            sign = 1 if column == "accuracy" else -1
            ends = [-np.inf if run.failed else sign * run.evaluations[column][-1] for run in runs]
            score = np.median(np.where(np.isnan(ends), -np.inf, ends))
            if method not in found or score > found[method][0]:
                found[method] = (score, lr, runs)
        return {method: (lr, runs) for method, (_, lr, runs) in found.items()}

    def plot(self, y: Optional[str] = None, x: str = "time", ax: Any = None) -> Any:
        """Draw each method at its best step size: the median over seeds, and a band between the quartiles. Returns
        matplotlib's axes."""
        ax = axes(ax)
        column = y or usual_column(self.runs[0])
        for method, (lr, runs) in self.best(y).items():
            runs = [run for run in runs if not run.failed]
            if not runs:
                continue
            end = min(run.evaluations[x][-1] for run in runs)
            places = np.unique(np.concatenate([run.evaluations[x] for run in runs]))
            places = places[places <= end]
            values = [np.interp(places, run.evaluations[x], run.evaluations[column]) for run in runs]
            low, middle, high = np.percentile(values, [25, 50, 75], axis=0)
            line, = ax.plot(places, middle, label=f"{method} {lr:g}")
            ax.fill_between(places, low, high, alpha=0.25, color=line.get_color(), linewidth=0)
        ax.set_xlabel(x)
        ax.set_ylabel(column)
        ax.legend()
        return ax

    def to_pandas(self) -> Any:
        """Return the evaluations of all runs as a pandas.DataFrame, with method, lr and seed."""
        import pandas

        frames = [run.to_pandas().assign(method=run.options["method"].removeprefix("own:"), lr=run.options["lr"],
                                         seed=run.options["seed"]) for run in self.runs]
        return pandas.concat(frames, ignore_index=True)

    def report(self, page: Path) -> pathlib.Path:
        """Write one page of all runs, for a browser; returns its path."""
        _engine.report([str(run.log) for run in self.runs], str(page))
        return pathlib.Path(page)

    def __repr__(self) -> str:
        lines = []
        for method, (lr, runs) in self.best().items():
            column = usual_column(runs[0])
            last = [run.evaluations[column][-1] for run in runs if not run.failed]
            ends = f"{column} {np.median(last):.4g} ({min(last):.4g} to {max(last):.4g})" if last else "no run came to its end"
            failed = f", {len(runs) - len(last)} of them failed" if len(last) < len(runs) else ""
            lines.append(f"{method:<20} lr {lr:<10g} {ends}, {len(runs)} seeds{failed}")
        return "\n".join(lines)


def _step_sizes(methods: Sequence[Any], lr: StepSizes) -> List[Tuple[Any, List[float]]]:
    names = [name_of(method) for method in methods]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise _engine.UsageError(f"two methods are called {twice}, expected a `name` of its own for each")
    if any("/" in name or not name.isprintable() for name in names):
        raise _engine.UsageError("the name of a method has a slash, or what cannot be printed")
    pairs = []
    for method, name in zip(methods, names):
        sizes = lr.get(name) if isinstance(lr, dict) else lr
        if sizes is None:
            raise _engine.UsageError(f"lr has no step size for {name}")
        sizes = list(dict.fromkeys(float(text_of("lr", size)) for size in np.atleast_1d(sizes).tolist()))
        if not sizes:
            raise _engine.UsageError(f"lr has no step size for {name}")
        pairs.append((method, sizes))
    if isinstance(lr, dict) and set(lr) - set(names):
        raise _engine.UsageError(f"lr has a step size for {', '.join(sorted(set(lr) - set(names)))}, which is none of the methods")
    return pairs


def _seeds(seeds: Any, first: int) -> List[int]:
    whole = (int, np.integer)
    if isinstance(seeds, whole) and not isinstance(seeds, bool) and seeds >= 1:
        return list(range(first, first + int(seeds)))
    listed = list(seeds) if isinstance(seeds, (list, tuple, range, np.ndarray)) else []
    if not listed or not all(isinstance(seed, whole) and seed >= 0 for seed in listed) or len(set(listed)) < len(listed):
        raise _engine.UsageError(f"seeds={seeds!r}: expected how many, 1 or more, or a list of different ones")
    return [int(seed) for seed in listed]


def _log(folder: pathlib.Path, method: Any, size: float, seed: int) -> pathlib.Path:
    return folder / f"{name_of(method)}-{size!r}-{seed}.jsonl"


def _run_all(pairs, seeds, folder, options, temporary) -> List[Run]:
    """One after another, with a line on stderr that says how far it is. One that fails by itself does not end the others."""
    runs: List[Run] = []
    jobs = [(method, size, seed) for method, sizes in pairs for size in sizes for seed in seeds]
    for method, size, seed in jobs:
        if _log(folder, method, size, seed).exists():
            raise _engine.UsageError(f"log_dir {folder}: there is a log of {name_of(method)} at {size!r} with seed {seed} already; "
                                     "expected a folder without")
    show = sys.stderr if not options.get("quiet") else None
    for number, (method, size, seed) in enumerate(jobs):
        log = _log(folder, method, size, seed)
        try:
            run = train(method=method, lr=size, seed=seed, log=log, **{"log_detail": "evaluations", **options, "quiet": True})
        except _engine.NotFiniteError:
            run = Run(log)
        run._folder = temporary
        runs.append(run)
        if show:
            print(f"{number + 1} of {len(jobs)}: {run!r}, seed {seed}", file=show, flush=True)
        if run.interrupted:
            break
    return runs


def _runs_in(folder, pairs, seeds, temporary) -> List[Run]:
    """Those of this comparison."""
    wanted = {(method, size, seed) for method, sizes in pairs for size in sizes for seed in seeds}
    runs = []
    for path in sorted(folder.glob("*.jsonl")):
        try:
            run = Run(path, folder=temporary)
        except _engine.UsageError:  # something else that is kept there
            continue
        if (run.options.get("method"), run.options.get("lr"), run.options.get("seed")) in wanted:
            runs.append(run)
    return runs


def compare(model: Any = None, methods: Sequence[Any] = (), *, lr: Any = None, seeds: Any = 1, objective: Any = None,
            log_dir: Any = None, **options: Any) -> Comparison:
    """Run several methods, step sizes and seeds, and return the runs. Every option of `tardigrad train` is a keyword.

    methods: names, or Methods, of different names. lr: a step size or a list of such, for all methods, or a dict of these by the methods'
    names. seeds: how many, from `seed` on, or a list. log_dir: the folder of the logs, which are kept there; what it holds
    of these runs already is not run again, if methods and model are named. With an objective or a method of one's own the
    runs take place one after another, else at the same time, as by `tardigrad compare`.
    """
    if lr is None:
        raise _engine.UsageError("compare() needs lr, the step sizes")
    if methods is None:
        methods = ()
    if isinstance(methods, str):
        methods = methods.split(",")
    pairs = _step_sizes(methods, lr)
    if not pairs:
        raise _engine.UsageError("compare() needs methods")
    if model is not None and not isinstance(model, (str, pathlib.PurePath)):
        objective, model = model, None
    temporary = None if log_dir else TemporaryFolder()
    folder = pathlib.Path(log_dir) if log_dir else temporary.path
    folder.mkdir(parents=True, exist_ok=True)
    all_seeds = _seeds(seeds, int(options.pop("seed", None) or 0))
    if objective is not None or any(not isinstance(method, str) for method, _ in pairs):
        words_of({name: value for name, value in options.items() if name != "errors"}, "compare", _KNOWN)
        runs = _run_all(pairs, all_seeds, folder, {**options, "model": model, "objective": objective}, temporary)
        return Comparison(runs, folder, temporary)
    words = words_of({**options, "model": model}, "compare", _KNOWN)
    step_sizes = ",".join(f"{method}={text_of('lr', sizes)}" for method, sizes in pairs)
    words += [f"--methods={','.join(method for method, _ in pairs)}", f"--lr={step_sizes}",
              f"--seeds={text_of('seeds', all_seeds)}" if len(all_seeds) > 1 else f"--seed={all_seeds[0]}", f"--log-dir={folder}"]
    _engine.compare(words, not options.get("quiet"))
    return Comparison(_runs_in(folder, pairs, all_seeds, temporary), folder, temporary)


# What is for one run alone, or has a parameter of its own.
_NOT_HERE = ("method", "lr", "log", "log_size", "log_files", "seed", "save", "checkpoint_dir", "checkpoint_every", "keep", "resume", "record",
             "replay", "trace", "trace_size", "tensorboard", "serve", "serve_host", "serve_token", "show_memory", "timings")
_KNOWN = {name: option for name, option in OPTIONS.items() if name not in _NOT_HERE}
_document(compare, _KNOWN, _parameters("model", "methods", "lr", "seeds", "objective", "log_dir"))
