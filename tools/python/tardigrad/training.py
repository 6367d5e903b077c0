"""Training once."""

from __future__ import annotations

import inspect
import os
import pathlib
import shutil
import tempfile
import weakref
from typing import Any, Dict, List, Optional

from tardigrad import _engine
from tardigrad.numpy_later import np
from tardigrad.run import Run

OPTIONS = {option["name"]: option for option in _engine.options()}


class TemporaryFolder:
    """A folder that goes with this object, or at the end of the program."""

    def __init__(self) -> None:
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="tardigrad-"))
        weakref.finalize(self, self._remove, self.path, os.getpid())

    @staticmethod
    def _remove(path: pathlib.Path, owner: int) -> None:
        if os.getpid() == owner:  # not in a child that has a copy of this object
            shutil.rmtree(path, ignore_errors=True)


def text_of(name: str, value: Any) -> str:
    """A value as the command line has it."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        value = value.item()
    if isinstance(value, bool):
        raise _engine.UsageError(f"{name}={value}: expected {OPTIONS[name]['values'] if name in OPTIONS else 'a value'}")
    if isinstance(value, (list, tuple, np.ndarray)):
        return ",".join(text_of(name, one) for one in value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (str, int)):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    raise _engine.UsageError(f"{name}: expected text, a number or a list of such, got {type(value).__name__}")


def words_of(options: Dict[str, Any], function: str, known: Dict[str, Any]) -> List[str]:
    """Keywords as the words of the command line."""
    words = []
    for name, value in options.items():
        if name not in known:
            near = _engine.nearest_name(name, list(known))
            raise TypeError(f"{function}() has no keyword {name!r}" + (f"; did you mean {near!r}?" if near else ""))
        flag = "--" + name.replace("_", "-")
        if value is None:
            continue
        if known[name]["is_switch"]:
            if not isinstance(value, (bool, np.bool_)):
                raise _engine.UsageError(f"{name}={value!r}: expected True or False")
            if value:
                words.append(flag)
            continue
        words.append(f"{flag}={text_of(name, value)}")
    return words


def name_of(thing: Any) -> str:
    """What a method or a problem is called: its `name`, or that of its class."""
    if isinstance(thing, str):
        return thing
    name = getattr(thing, "name", None)
    return name if isinstance(name, str) and name else type(thing).__name__


def own_name(thing: Any) -> str:
    """What records call an objective or a method that is an object."""
    return "own:" + name_of(thing)


def train(model: Any = None, method: Any = None, *, objective: Any = None, errors: str = "raise", **options: Any) -> Run:
    """Train once, and return the run. Every option of `tardigrad train` is a keyword (see below); True stands for a switch.

    model: the name of a network, as on the command line, or an Objective (also as `objective`), which is computed on CPUs
    unless `device` says otherwise. method: the name of a method, or a Method. errors: what an exception of a callback does: "raise" ends the run and goes on to the caller;
    "lose" takes the worker out of the run, in wall time. quiet=True prints nothing but warnings.

    Ctrl-C ends the run as a limit does, and what there is is returned (`run.interrupted`). Raises UsageError (a
    ValueError) for what is wrong with the options, with the command line's own line; DeviceError, WorkersLostError,
    NotFiniteError and VerificationError for what ends a run; what a callback raised.
    """
    if model is not None and not isinstance(model, (str, os.PathLike)):
        if objective is not None:
            raise TypeError("train() got two objectives, as model and as objective")
        objective, model = model, None
    if errors not in ("raise", "lose"):
        raise _engine.UsageError(f"errors={errors!r}: expected raise or lose")
    if objective is not None and not options.get("resume") and not options.get("replay"):
        options["device"] = options.get("device") or "cpu"
    own_method = None if method is None or isinstance(method, str) else method
    options["model"] = own_name(objective) if objective is not None else model
    options["method"] = own_name(own_method) if own_method is not None else method
    folder: Optional[TemporaryFolder] = None
    if not options.get("log") and not options.get("show_memory"):
        folder = TemporaryFolder()
        options["log"] = folder.path / "run.jsonl"
        options.setdefault("log_detail", "evaluations")
    elif options.get("log"):
        options["log"] = pathlib.Path(text_of("log", options["log"])).absolute()  # wherever callbacks go
    words = words_of(options, "train", OPTIONS)
    given = ", ".join(f"{name}={value!r}" for name, value in options.items() if value is not None and name != "log")
    result = _engine.train(words=words, objective=objective, method=own_method, lose_on_error=errors == "lose",
                           log_is_new=folder is not None, command_line=f"tardigrad.train({given})")
    if options.get("show_memory"):
        return None
    return Run(options["log"], result["model"], result["tensors"], result["interrupted"], folder)


def _document(function: Any, known: Dict[str, Any], first: List[inspect.Parameter]) -> None:
    """Gives a function the keywords of the command line in its signature, and their manual."""
    taken = {parameter.name for parameter in first}
    keywords = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in known if name not in taken]
    function.__signature__ = inspect.Signature(first + keywords)
    lines = [f"    {name}{'' if option['is_switch'] else ': ' + option['values']}\n        {option['help']}"
             for name, option in known.items()]
    function.__doc__ += "\n    Options:\n\n" + "\n".join(lines) + "\n"


def _parameters(*names: str) -> List[inspect.Parameter]:
    return [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None) for name in names]


_document(train, OPTIONS, _parameters("model", "method") + [
    inspect.Parameter("objective", inspect.Parameter.KEYWORD_ONLY, default=None),
    inspect.Parameter("errors", inspect.Parameter.KEYWORD_ONLY, default="raise")])
