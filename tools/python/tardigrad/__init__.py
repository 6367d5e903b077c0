"""Asynchronous SGD from Python: built-in problems and methods, or your own, on tardigrad's engine.

    import tardigrad as td

    run = td.train(model="mlp", dataset="mnist", method="ringleader", lr=0.005, workers=100, batch_size=4,
                   clock="virtual", compute_time="linear:1:1+halfnormal", time_limit=1000, eval_every="100s")
    run.evaluations.accuracy          # a NumPy array
    run.plot()

train() trains once, compare() methods, step sizes and seeds against each other, load() reads the log of a run.
Objective and Method say how a problem and a method of one's own are written; objective.torch() makes a problem of a
PyTorch module. The actions of a method are FoldRow, AverageRows, CountRow, SwapTables, Accumulate, Correct, ScaleMean,
Step, HandOver and Discard.
"""

from tardigrad import objective
from tardigrad._engine import (Accumulate, Arrival, AverageRows, Correct, CountRow, DeviceError, DeviceVector, Discard, FoldRow,
                               HandOver, Memory, NotFiniteError, ScaleMean, Step, SwapTables, UsageError, VerificationError,
                               WorkersLostError, version as __version__)
from tardigrad.comparison import Comparison, compare
from tardigrad.method import Method
from tardigrad.objective import Job, Objective
from tardigrad.run import Evaluations, Run, load
from tardigrad.training import train

__all__ = ["Accumulate", "Arrival", "AverageRows", "Comparison", "Correct", "CountRow", "DeviceError", "DeviceVector", "Discard",
           "Evaluations", "FoldRow", "HandOver", "Job", "Memory", "Method", "NotFiniteError", "Objective", "Run", "ScaleMean",
           "Step", "SwapTables", "UsageError", "VerificationError", "WorkersLostError", "compare", "load", "objective", "train"]
