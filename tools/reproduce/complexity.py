"""The comparison tables of the papers: measured times to an accuracy against the complexities."""

import math

import fit
from tuned import compute_time, quadratic, stragglers, tune


class Point:
    """A problem of a sweep: n workers with times tau and data of some kind, noise = sigma²/(n·eps)."""

    def __init__(self, sweep, value):
        setting = {**sweep["at"], sweep["varies"]: value}
        self.sweep, self.data, self.varies, self.value = sweep["name"], sweep["data"], sweep["varies"], value
        self.n = setting["n"]
        self.noise = setting["noise"] if "noise" in setting else setting["sigma_sq_by_eps"] / self.n
        if "slowest" in setting:
            self.tau = stragglers(self.n, setting["slowest"], setting.get("slow", 1))
        else:
            self.tau = [float(f"{math.sqrt(i):.4g}") for i in range(1, self.n + 1)]
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
    options = {**quadratic(form, sigma_sq, form["data"][point.data]["spread"]), "workers": point.n,
               "compute-time": compute_time(point.tau), "time-limit": f"{limit:g}",
               "eval-every": f"{limit / form['evaluations']:g}s"}
    rate = sum(1 / time for time in point.tau)  # gradients a unit of time
    start = 0.5 / (1 + point.noise)
    if method == "malenia":  # its analysis: S = max(n, sigma²/eps)
        options["gather"] = math.ceil(max(point.n, sigma_sq / form["eps"]))
        start = 0.5
    elif method == "rennala":  # its analysis: as many gradients as make the noise eps
        options["gather"] = math.ceil(max(1, sigma_sq / form["eps"]))
        start = 0.5
    elif method == "msync":
        m = fit.best_m(point.tau, point.noise)
        options["gather"] = m
        start = 0.5 / (1 + point.noise * point.n / m)
    elif method != "sync":  # an update of these takes less time, and old gradients add up
        start = 0.5 / (rate * (max(point.tau) + point.tau_avg * point.noise))
        if method == "ringleader":
            start *= rate * max(point.tau) / point.n  # n updates a round
    return tune(runner, form, f"{point.sweep}{point.value:g}", method, options, start)


def reproduce(runner, form, pool):
    """The points of all sweeps, with the results of every method."""
    points = [Point(sweep, value) for sweep in form["sweep"] for value in sweep["values"]]
    futures = [(point, method, pool.submit(tune_point, runner, form, point, method))
               for point in points for method in form["data"][point.data]["methods"]]
    for point, method, future in futures:
        point.results[method] = future.result()
    return points


def pairs(points, method, predicted):
    """Predicted and measured times of the points where the method got to eps."""
    times = [(predicted(point.tau, point.noise), point.results[method].median("time")) for point in points]
    times = [(x, y) for x, y in times if math.isfinite(y)]
    return [x for x, _ in times], [y for _, y in times]


def table_of_points(methods, points):
    yield "| sweep | n | τ_n | τ_avg | σ²/ε | " + " | ".join(f"{m}: time (step)" for m in methods) + " |"
    yield "|---" * (5 + len(methods)) + "|"
    for point in points:
        cells = [point.sweep, point.n, f"{max(point.tau):g}", f"{point.tau_avg:.3g}",
                 f"{point.noise * point.n:g}"]
        for method in methods:
            tuned = point.results[method]
            time = tuned.median("time")
            cells.append(f"{time:.4g} ({tuned.show_lr()})" if math.isfinite(time) else "–")
        yield "| " + " | ".join(map(str, cells)) + " |"


def table_of_fits(methods, points):
    yield ("| method | predicted ∝ | slope of log measured against log predicted | R² | largest ratio to c·predicted | "
           "points |")
    yield "|---" * 6 + "|"
    formulas = dict.fromkeys(fit.PREDICTED[method] for method in methods)
    for method in methods:
        for predicted in formulas:
            x, y = pairs(points, method, predicted)
            if len(x) < 2:
                continue
            slope, _, explained = fit.regress(x, y)
            own = " (its complexity)" if fit.PREDICTED[method] is predicted else ""
            yield (f"| `{method}` | {fit.FORMULAS[predicted]}{own} | {slope:.2f} | {explained:.2f} | "
                   f"{fit.constant(x, y)[1]:.1f} | {len(x)} of {len(points)} |")


def tables(form, points):
    lines = ["", f"d = {form['dimension']}, ε = {form['eps']:g}, {form['seeds']} seeds; medians of the time to ‖∇f‖² ≤ ε, "
             "with the best step size; – not reached, * step size at the grid's edge."]
    for name, data in form["data"].items():
        chosen = [point for point in points if point.data == name]
        lines += ["", f"### {data['title'].capitalize()} (spread {data['spread']:g})", "",
                  *table_of_points(data["methods"], chosen), "", *table_of_fits(data["methods"], chosen)]
    return lines
