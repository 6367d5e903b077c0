"""What a run leaves."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

from tardigrad import _engine
from tardigrad.numpy_later import np

Path = Union[str, os.PathLike]


class Columns:
    """Records of one kind as columns, NumPy arrays by name: columns.time, columns["time"]; NaN is what was not measured."""

    def __init__(self, records: List[Dict[str, Any]]):
        names = list(dict.fromkeys(name for record in records for name in record if name != "event"))
        self._columns = {name: self._column([record.get(name) for record in records]) for name in names}
        self._length = len(records)

    @staticmethod
    def _column(values: List[Any]) -> np.ndarray:
        plain = [np.nan if value is None else value for value in values]
        if any(isinstance(value, list) for value in plain):
            width = max(len(value) for value in plain if isinstance(value, list))
            rows = [value if isinstance(value, list) else [None] * width for value in plain]
            return np.array([[np.nan if one is None else one for one in row] for row in rows], dtype=object if any(
                isinstance(one, list) for row in rows for one in row) else float)
        return np.array(plain)

    def __getattr__(self, name: str) -> np.ndarray:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._columns:
            raise AttributeError(self._missing(name))
        return self._columns[name]

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._columns:
            raise KeyError(self._missing(name))
        return self._columns[name]

    def _missing(self, name: str) -> str:
        if not self._length:
            return f"no column {name!r}: the log has no such records (log_detail='jobs' keeps all)"
        return f"no column {name!r}; there are {', '.join(self._columns)}"

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return self._length

    def __dir__(self) -> List[str]:
        return [*super().__dir__(), *self._columns]

    def __repr__(self) -> str:
        return f"<{self._length} records of {', '.join(self._columns)}>"

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame, a row a record."""
        import pandas

        return pandas.DataFrame({name: list(column) for name, column in self._columns.items()})


Evaluations = Columns


def _records(log: pathlib.Path) -> Iterator[Dict[str, Any]]:
    """The records of a log, with those of the parts before it that are still there."""
    files = _engine.log_files(str(log)) if log.is_file() else [str(log)]
    for number, file in enumerate(files):
        yield from _records_of(file, goes_on=number > 0)


def _records_of(file: str, goes_on: bool) -> Iterator[Dict[str, Any]]:
    """Those of a file; where it goes on from another, without what it repeats of that. A run that was killed may leave half
    a line."""
    try:
        with open(file, encoding="utf-8", errors="replace") as lines:
            repeated = 0
            for number, line in enumerate(lines, 1):
                if 1 < number <= 1 + repeated:
                    continue
                try:
                    record = json.loads(line)
                    if number == 1 and goes_on:
                        repeated = record.get("repeated", 0)
                    record["event"]
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    if number > 1 and not line.endswith("\n"):
                        return
                    raise _engine.UsageError(f"{file}: line {number} is no record of a log of tardigrad's") from error
                yield record
    except OSError as error:
        raise _engine.UsageError(f"{file}: {error.strerror}") from error


class Run:
    """A run, as its log tells of it (runtime/telemetry/log_format.md says what the columns are).

    options: what it was asked for; evaluations, updates, gradients: columns; summary: how it ended, empty where it was
    killed; stop_reason; warnings: texts; worker_changes: who was lost or came back, and why. Where it was trained here, not loaded: model, the final model [dimension];
    parameters: its tensors by name, with their shapes; interrupted: whether Ctrl-C ended it.
    """

    def __init__(self, log: Path, model: Optional[np.ndarray] = None, tensors: Tuple = (), interrupted: bool = False,
                 folder: Any = None):
        self.log = pathlib.Path(log)
        self._folder = folder  # that the log is in, if it is to go with this object
        self.model, self.interrupted = model, interrupted
        self.parameters = {name: model[offset:offset + int(np.prod(shape))].reshape(shape) for name, shape, offset in tensors}
        kinds: Dict[str, List[Dict[str, Any]]] = {}
        for record in _records(self.log):
            kinds.setdefault(record["event"], []).append(record)
        if "run" not in kinds:
            raise _engine.UsageError(f"{self.log}: no log of tardigrad's, expected a first line with the run's options")
        self.options: Dict[str, Any] = {name: value for name, value in kinds["run"][0].items() if name != "event"}
        self.evaluations = Columns(kinds.get("eval", []))
        self.updates, self.gradients = Columns(kinds.get("update", [])), Columns(kinds.get("gradient", []))
        self.workers = Columns(kinds.get("worker", []))
        self.summary: Dict[str, Any] = kinds.get("summary", [{}])[-1]
        self.warnings = [record["text"] for record in kinds.get("warning", [])]
        self.worker_changes = Columns([{"lost": event == "worker-lost", **record} for event in ("worker-lost", "worker-back")
                                       for record in kinds.get(event, [])])

    @property
    def failed(self) -> bool:
        """Whether it came to no end of its own: it was killed, or its losses ceased to be finite."""
        return not self.summary

    @property
    def stop_reason(self) -> Optional[str]:
        return self.summary.get("stop_reason")

    @property
    def name(self) -> str:
        return f"{self.options['method'].removeprefix('own:')} {self.options['lr']:g}"

    def __repr__(self) -> str:
        last = self.summary
        ends = f"loss {last['final_loss']:.4g}" if last.get("final_loss") is not None else "no end"
        if last.get("final_accuracy") is not None:
            ends += f", accuracy {100 * last['final_accuracy']:.2f} %"
        return f"<Run {self.name}: {last.get('updates', '?')} updates, {ends}>"

    def to_pandas(self) -> Any:
        """Return the evaluations as a pandas.DataFrame."""
        return self.evaluations.to_pandas()

    def plot(self, y: Optional[str] = None, x: str = "time", ax: Any = None, **style: Any) -> Any:
        """Draw a column of the evaluations over another, by matplotlib; returns the axes. y: accuracy where there is one,
        else loss."""
        ax = axes(ax)
        y = y or usual_column(self)
        ax.plot(self.evaluations[x], self.evaluations[y], **{"label": self.name, **style})
        ax.set_xlabel(x)
        ax.set_ylabel(y)
        ax.legend()
        return ax

    def report(self, page: Path) -> pathlib.Path:
        """Write the page that `tardigrad report` makes, for a browser; returns its path."""
        _engine.report([str(self.log)], str(page))
        return pathlib.Path(page)


def axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    import matplotlib.pyplot

    return matplotlib.pyplot.subplots()[1]


def usual_column(run: Run) -> str:
    accuracy = run.evaluations["accuracy"] if "accuracy" in list(run.evaluations) else np.array([np.nan])
    return "loss" if np.isnan(accuracy.astype(float)).all() else "accuracy"


def load(log: Path) -> Run:
    """Read the log of a run, of `log=` or `--log`. Raises UsageError where it is none."""
    return Run(log)
