"""Time and updates to ||grad f||² <= eps with the best step size, on the noisy quadratic."""

import math
import statistics

from search import WORST, at_edge, walk


class Tuned:
    """The runs of a method at a point, one a seed, with the step size that is the fastest with the first seed."""

    def __init__(self, method, lr, edge, logs, eps):
        self.method, self.lr, self.edge = method, lr, edge
        self.logs = [log for log in logs if reached(log, eps)]
        self.missed = len(logs) - len(self.logs)

    def median(self, key):
        """Of "time" or "update" at the target; infinite where less than half of the runs got there."""
        values = [log.evals[-1][key] for log in self.logs] + [math.inf] * self.missed
        return statistics.median_low(values)

    def show_lr(self):
        return f"{self.lr:g}" + ("*" if self.edge else "")

    def staleness(self, key):
        """Median over the runs of "mean_staleness" or "staleness_max"."""
        return statistics.median([{**log.summary, **log.process}[key] for log in self.logs])


def reached(log, eps):
    return not log.diverged and log.evals[-1]["gradient_norm_sq"] <= eps


def quadratic(form, noise_sq, spread):
    """The options of a problem whose gradients have the variance `noise_sq` in all."""
    d = form["dimension"]
    model = f"quadratic:tridiagonal:{d}:noise={math.sqrt(noise_sq / d):.6g}:spread={spread:g}"
    return {"model": model, "clock": "virtual", "eval-gradient": True, "target-gradient-norm-sq": form["eps"]}


def stragglers(n, slowest, slow=1):
    """n workers, of which `slow` take `slowest` times as long."""
    return [1.0] * (n - slow) + [float(slowest)] * slow


def compute_time(tau):
    return ",".join(f"{time:g}" for time in tau)


def steps(form):
    """The grid: powers of the square root of two, or what else `step_ratio` says."""
    low, high = form["step_sizes"]
    count = round(math.log(high / low) / math.log(form["step_ratio"])) + 1
    return [float(f"{low * form['step_ratio'] ** i:.4g}") for i in range(count)]


def train(runner, form, name, method, options, lr, seed):
    """The log of one run."""
    return runner.train(f"{form['name']}/{name}/{method}-{lr:g}-seed{seed}",
                        {**options, "method": method, "lr": lr, "seed": seed}, keep_evals=False,
                        delays=form.get("delays", False))


def with_all_seeds(runner, form, name, method, options, lr, edge=False):
    logs = [train(runner, form, name, method, options, lr, seed) for seed in range(1, form["seeds"] + 1)]
    return Tuned(method, lr, edge, logs, form["eps"])


def tune(runner, form, name, method, options, start):
    """The step size with which the first seed is the fastest, among those not reaching eps that which ends nearest,
    then all seeds."""
    grid = steps(form)

    def score(lr):
        log = train(runner, form, name, method, options, lr, 1)
        if log.diverged:
            return WORST
        last = log.evals[-1]
        return (last["time"], 0) if reached(log, form["eps"]) else (math.inf, last["gradient_norm_sq"])

    lr, _ = walk(grid, start, score)
    return with_all_seeds(runner, form, name, method, options, lr, at_edge(grid, lr))
