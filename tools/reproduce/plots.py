"""Drawings of the results, by kind of figure: (name, matplotlib figure) pairs. Needs matplotlib."""

import math
import statistics

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "tardigrad", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3,
                            "lines.linewidth": 1.2, "lines.markersize": 3.5, "axes.spines.top": False,
                            "axes.spines.right": False})
import matplotlib.pyplot as plt  # noqa: E402

import fit  # noqa: E402

COLOURS = {"dude": "#d62728", "sync": "#7f7f7f", "msync": "#ff7f0e", "asgd": "#1f77b4", "asgd-uniform": "#17becf",
           "asgd-shuffled": "#2ca02c", "asgd-rescaled": "#17becf", "asgd-delay-adaptive": "#d62728", "fedbuff": "#9467bd",
           "ca2fl": "#e377c2", "mifa": "#8c564b", "aced": "#bcbd22", "ringleader": "#2ca02c", "malenia": "#ff7f0e",
           "ia2sgd": "#1f77b4", "rennala": "#d62728"}
AXES = {"objective": "training loss f(x)", "accuracy": "test accuracy", "worst_class": "accuracy of the worst class",
        "gradient_norm_sq": "‖∇f(x)‖²"}


def quartile_curves(logs, measure):
    """Times, and at each the lower quartile, the median and the upper quartile over the runs."""
    series = [log.series(measure) for log in logs]
    times = min((times for times, _ in series), key=len)
    columns = [sorted(values[i] for _, values in series) for i in range(len(times))]
    if len(logs) == 1:
        return times, *[[column[0] for column in columns]] * 3
    quartiles = [statistics.quantiles(column, n=4, method="inclusive") for column in columns]
    return times, *zip(*quartiles)


def draw_curve(axes, curve, measure, thick):
    logs = curve.whole()
    if not logs:
        return
    times, lower, median, upper = quartile_curves(logs, measure)
    colour = COLOURS[curve.method]
    axes.plot(times, median, color=colour, label=f"{curve.method} {curve.lr:g}",
              linewidth=2 if thick else None)
    if len(logs) > 1:
        axes.fill_between(times, lower, upper, color=colour, alpha=0.15, linewidth=0)


def draw_curves(form, curves):
    """A column a setting, a row a measure; one figure for each name that settings give."""
    for name in dict.fromkeys(setting["figure"] for setting in form["setting"]):
        settings = [setting for setting in form["setting"] if setting["figure"] == name]
        figure, grid = plt.subplots(len(form["measures"]), len(settings), squeeze=False, sharex="col",
                                    figsize=(3.1 * len(settings) + 1, 2.6 * len(form["measures"])))
        for column, setting in zip(zip(*grid), settings):
            for axes, measure in zip(column, form["measures"]):
                for curve in curves[setting["name"]]:
                    draw_curve(axes, curve, measure, curve.method == form["best"][0])
                if measure in form["log_scale"]:
                    axes.set_yscale("log")
                if axes in grid[:, 0]:
                    axes.set_ylabel(AXES[measure])
            column[0].set_title(setting["title"])
            column[-1].set_xlabel("time")
            column[-1].legend(fontsize=6, title="with step size", title_fontsize=6, ncol=2, loc="upper center",
                              bbox_to_anchor=(0.5, -0.2))
        figure.tight_layout()
        yield name, figure


def draw_complexity(form, points):
    """A row a kind of data, a panel a sweep, dashed the fitted complexities; the last panel compares both for all
    points."""
    rows = {name: [sweep for sweep in form["sweep"] if sweep["data"] == name] for name in form["data"]}
    columns = 1 + max(map(len, rows.values()))
    figure, grid = plt.subplots(len(rows), columns, squeeze=False, figsize=(3.1 * columns, 3.1 * len(rows)))
    for panels, (name, sweeps) in zip(grid, rows.items()):
        of_data = [point for point in points if point.data == name]
        for axes, sweep in zip(panels, sweeps):
            draw_sweep(axes, sweep, form["data"][name]["methods"], of_data)
        panels[0].set_ylabel("time to ‖∇f‖² ≤ ε (dashed: c · complexity)")
        panels[0].legend(fontsize=7)
        for axes in panels[len(sweeps):-1]:
            axes.set_visible(False)
        for method in form["data"][name]["methods"]:
            panels[-1].plot(*pairs(of_data, method), "o", color=COLOURS[method])
        panels[-1].set(xscale="log", yscale="log", xlabel="complexity / (LΔ/ε)", title="measured against predicted")
    figure.tight_layout()
    yield form["name"], figure


def draw_sweep(axes, sweep, methods, of_data):
    chosen = [point for point in of_data if point.sweep == sweep["name"]]
    xs = [point.x() for point in chosen]
    for method in methods:
        axes.plot(xs, [point.results[method].median("time") for point in chosen], "o-", color=COLOURS[method],
                  label=method)
        predicted, measured = pairs(of_data, method)
        if predicted:
            factor = fit.constant(predicted, measured)[0]
            axes.plot(xs, [factor * fit.PREDICTED[method](point.tau, point.noise) for point in chosen], "--",
                      color=COLOURS[method], linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlabel=sweep["axis"], title=sweep["title"])


def pairs(points, method):
    import complexity
    return complexity.pairs(points, method, fit.PREDICTED[method])


def draw_delays(axes, sweep, points, noise):
    """Iterations of asgd, and where tau_max or the geometric mean would take them from the first point on."""
    xs = [point.value for point in points]
    iterations = [point.results["asgd"].median("update") for point in points]
    axes.plot(xs, iterations, "o-", color=COLOURS["asgd"], label="iterations of asgd")
    for key, style in (("τ_max", ":"), ("√(τ_max τ_avg)", "--")):
        delays = [point.delays()[key] for point in points]
        axes.plot(xs, [iterations[0] * delay / delays[0] for delay in delays], style, color="black", linewidth=0.8,
                  label=f"∝ {key}")
    axes.set(xscale="log", yscale="log", xlabel=sweep["axis"], title=f"{sweep['title']}, σ² = {noise:g}")
    axes.legend(fontsize=6)


def draw_koloskova(form, results):
    """A row a level of noise: iterations against delays for each sweep, time of asgd and sync, nominal steps."""
    sweeps = form["sweep"]
    figure, grid = plt.subplots(len(form["noises"]), len(sweeps) + 2, squeeze=False,
                                figsize=(3.3 * (len(sweeps) + 2), 2.9 * len(form["noises"])))
    for row, noise, nominal in zip(grid, form["noises"], results.nominal):
        for axes, sweep in zip(row, sweeps):
            draw_delays(axes, sweep, results.chosen(sweep["name"], noise), noise)
        points = results.chosen(sweeps[0]["name"], noise)
        for method in form["methods"]:
            row[-2].plot([point.value for point in points], [point.results[method].median("time") for point in points],
                         "o-", color=COLOURS[method], label=method)
        row[-2].set(xscale="log", yscale="log", xlabel=sweeps[0]["axis"], title="time to ‖∇f‖² ≤ ε")
        for method, tried in nominal.results.items():
            pairs = [(lr, tuned.median("update")) for lr, tuned in tried.items()]
            pairs = [(lr, updates) for lr, updates in pairs if math.isfinite(updates)]
            row[-1].plot([lr for lr, _ in pairs], [updates for _, updates in pairs], "o-", color=COLOURS[method],
                         label=method)
        row[-1].set(xscale="log", yscale="log", xlabel="nominal step size", title="iterations, most workers slow")
        for axes in row[-2:]:
            axes.legend(fontsize=6)
    figure.tight_layout()
    yield form["name"], figure


def draw(form, results):
    return {"curves": draw_curves, "complexity": draw_complexity, "koloskova": draw_koloskova}[form["kind"]](
        form, results)
