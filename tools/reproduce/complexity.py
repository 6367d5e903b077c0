"""The comparison table of Ringleader's paper: measured times to an accuracy against the four complexities."""

import math

import fit
from tuned import compute_time, quadratic, stragglers, tune


class Point:
    """A problem of a sweep: n workers with times tau, noise = sigma²/(n·eps)."""

    def __init__(self, sweep, value):
        setting = {**sweep["at"], sweep["varies"]: value}
        self.sweep, self.varies, self.value = sweep["name"], sweep["varies"], value
        self.n = setting["n"]
        self.noise = setting["noise"] if "noise" in setting else setting["sigma_sq_by_eps"] / self.n
        self.tau = stragglers(self.n, setting["slowest"], setting.get("slow", 1))
        self.results = {}  # by method

    @property
    def tau_avg(self):
        return sum(self.tau) / self.n

    def x(self):
        """What its sweep's axis shows."""
        return {"noise": self.noise * self.n, "slowest": max(self.tau) / self.tau_avg}.get(self.varies, self.value)


def tune_point(runner, form, point, method):
    sigma_sq = point.noise * point.n * form["eps"]
    limit = form["patience"] * fit.naive(point.tau, point.noise)
    options = {**quadratic(form, sigma_sq, form["spread"]), "workers": point.n,
               "compute-time": compute_time(point.tau), "time-limit": f"{limit:g}",
               "eval-every": f"{limit / form['evaluations']:g}s"}
    rate = sum(1 / time for time in point.tau)  # gradients a unit of time
    start = 0.5 / (1 + point.noise)
    if method == "malenia":  # its analysis: S = max(n, sigma²/eps)
        options["gather"] = math.ceil(max(point.n, sigma_sq / form["eps"]))
        start = 0.5
    elif method != "sync":  # an update of these takes less time, and old gradients add up
        start = 0.5 / (rate * (max(point.tau) + point.tau_avg * point.noise))
        if method == "ringleader":
            start *= rate * max(point.tau) / point.n  # n updates a round
    return tune(runner, form, f"{point.sweep}{point.value:g}", method, options, start)


def reproduce(runner, form, pool):
    """The points of all sweeps, with the results of every method."""
    points = [Point(sweep, value) for sweep in form["sweep"] for value in sweep["values"]]
    futures = [(point, method, pool.submit(tune_point, runner, form, point, method))
               for point in points for method in form["methods"]]
    for point, method, future in futures:
        point.results[method] = future.result()
    return points


def pairs(points, method, predicted):
    """Predicted and measured times of the points where the method got to eps."""
    times = [(predicted(point.tau, point.noise), point.results[method].median("time")) for point in points]
    times = [(x, y) for x, y in times if math.isfinite(y)]
    return [x for x, _ in times], [y for _, y in times]


def tables(form, points):
    lines = ["", f"d = {form['dimension']}, ε = {form['eps']:g}, spread {form['spread']:g}, {form['seeds']} seeds; "
             "medians of the time to ‖∇f‖² ≤ ε, with the best step size; – not reached, * step size at the grid's "
             "edge.", "",
             "| sweep | n | τ_n | τ_avg | σ²/ε | " + " | ".join(f"{m}: time (step)" for m in form["methods"]) + " |",
             "|---" * (5 + len(form["methods"])) + "|"]
    for point in points:
        cells = [point.sweep, point.n, f"{max(point.tau):g}", f"{point.tau_avg:.3g}",
                 f"{point.noise * point.n:g}"]
        for method in form["methods"]:
            tuned = point.results[method]
            time = tuned.median("time")
            cells.append(f"{time:.4g} ({tuned.show_lr()})" if math.isfinite(time) else "–")
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines += ["", "| method | predicted ∝ | slope of log measured against log predicted | R² | "
              "largest ratio to c·predicted |", "|---|---|---|---|---|"]
    for method in form["methods"]:
        for text, predicted in (("τ_n (1 + σ²/(nε))", fit.naive), ("τ_n + τ_avg σ²/(nε)", fit.optimal)):
            x, y = pairs(points, method, predicted)
            if len(x) < 2:
                continue
            slope, _, explained = fit.regress(x, y)
            own = " (its complexity)" if fit.PREDICTED[method] is predicted else ""
            lines.append(f"| `{method}` | {text}{own} | {slope:.2f} | {explained:.2f} | {fit.constant(x, y)[1]:.1f} |")
    return lines
