"""Koloskova, Stich, Jaggi 2022: iterations against delays, delay-adaptive steps, asynchronous against synchronous."""

import math

import fit
from tuned import compute_time, quadratic, stragglers, steps, tune, with_all_seeds


class Point:
    """n workers, `slow` of them slower, with gradients of variance `noise`."""

    def __init__(self, sweep, varies, setting, noise):
        self.sweep, self.varies, self.noise = sweep, varies, noise
        self.n, self.slowest = setting["n"], setting["slowest"]
        self.tau = stragglers(self.n, self.slowest, setting.get("slow", 1))
        self.value = setting.get(varies)
        self.results = {}   # by method: Tuned, or {step size: Tuned} at the nominal point

    def name(self):
        return f"{self.sweep}{self.value or ''}-noise{self.noise:g}"

    def delays(self):
        """tau_max, tau_avg and their geometric mean, as the runs of asgd with the best step size had them."""
        asgd = self.results["asgd"]
        if not asgd.logs:
            return dict.fromkeys(("τ_max", "τ_avg", "√(τ_max τ_avg)"), math.nan)
        longest, mean = asgd.staleness("staleness_max"), asgd.staleness("mean_staleness")
        return {"τ_max": longest, "τ_avg": mean, "√(τ_max τ_avg)": math.sqrt(longest * mean)}


class Results:
    """The points of the sweeps, and the nominal one for each level of noise."""

    def __init__(self, form):
        self.points = [Point(sweep["name"], sweep["varies"], {**sweep["at"], sweep["varies"]: value}, noise)
                       for sweep in form["sweep"] for noise in form["noises"] for value in sweep["values"]]
        self.nominal = [Point("nominal", "", form["nominal"]["at"], noise) for noise in form["noises"]]

    def chosen(self, sweep, noise):
        return [point for point in self.points if (point.sweep, point.noise) == (sweep, noise)]


def options_at(form, point, method):
    # Evaluations stop the run; every second update of asgd, every one of sync, is how exactly iterations are counted.
    return {**quadratic(form, point.noise, form["spread"]), "workers": point.n,
            "compute-time": compute_time(point.tau), "updates": form["max_updates"],
            "eval-every": 1 if method == "sync" else 2}


def tune_point(runner, form, point, method):
    start = 1.0 if method == "sync" else 1.0 / point.n
    return tune(runner, form, point.name(), method, options_at(form, point, method), start)


def at_nominal_steps(runner, form, point, method):
    """Without a search: {step size: its runs}."""
    options = options_at(form, point, method)
    return {lr: with_all_seeds(runner, form, point.name(), method, options, lr)
            for lr in steps({**form, "step_sizes": form["nominal"]["step_sizes"]})}


def reproduce(runner, form, pool):
    results = Results(form)
    futures = [(point, method, pool.submit(tune_point, runner, form, point, method))
               for point in results.points for method in form["methods"]]
    futures += [(point, method, pool.submit(at_nominal_steps, runner, form, point, method))
                for point in results.nominal for method in form["nominal"]["methods"]]
    for point, method, future in futures:
        point.results[method] = future.result()
    return results


def slopes(points):
    """How log iterations of asgd grows with the logarithm of each measure of the delays: {measure: (slope, R²)}, of
    those that at least double."""
    seen = [point for point in points if point.results["asgd"].logs]
    iterations = [point.results["asgd"].median("update") for point in seen]
    found = {}
    for key in ("τ_max", "τ_avg", "√(τ_max τ_avg)"):
        delays = [point.delays()[key] for point in seen]
        if max(delays) >= 2 * min(delays):
            slope, _, explained = fit.regress(delays, iterations)
            found[key] = (slope, explained)
    return found


def show(value):
    return f"{value:.4g}" if math.isfinite(value) else "–"


def sweep_table(form, sweep, points):
    lines = ["", f"| {sweep['axis']} | τ_max | τ_avg | asgd: iterations (step size) | asgd: time | "
             "sync: time (step size) |", "|---" * 6 + "|"]
    for point in points:
        asgd, sync, delays = point.results["asgd"], point.results["sync"], point.delays()
        lines.append(f"| {point.value:g} | {show(delays['τ_max'])} | {show(delays['τ_avg'])} | "
                     f"{show(asgd.median('update'))} ({asgd.show_lr()}) | {show(asgd.median('time'))} | "
                     f"{show(sync.median('time'))} ({sync.show_lr()}) |")
    grown = [f"({key})^{slope:.2f} (R² {explained:.2f})" for key, (slope, explained) in slopes(points).items()]
    return [*lines, "", "Iterations of asgd fitted: " + ", ".join(grown) + "."]


def tables(form, results):
    lines = ["", f"d = {form['dimension']}, ε = {form['eps']:g}, {form['seeds']} seeds, medians; "
             "– not reached, * step size at the grid's edge."]
    for noise in form["noises"]:
        for sweep in form["sweep"]:
            lines += ["", f"## {sweep['title']}, σ² = {noise:g}",
                      *sweep_table(form, sweep, results.chosen(sweep["name"], noise))]
    for point in results.nominal:
        lines += ["", f"## The same nominal step size: {point.n - point.tau.count(1.0)} of {point.n} workers "
                  f"{point.slowest:g} times slower, σ² = {point.noise:g}", "",
                  "| step size | " + " | ".join(f"{method}: iterations" for method in point.results) + " |",
                  "|---" * (1 + len(point.results)) + "|"]
        for lr in next(iter(point.results.values())):
            cells = [show(tried[lr].median("update")) for tried in point.results.values()]
            lines.append(f"| {lr:g} | " + " | ".join(cells) + " |")
    return lines
