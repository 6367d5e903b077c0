#!/usr/bin/python3
"""Reproduces a figure: searches step sizes, runs the methods, draws. README.md says what each shows.

  tools/reproduce/reproduce.py dude|stragglers|ringleader|complexity|koloskova|all

A run whose log is in the output folder already is not executed again, so an interrupted command goes on where it was.
"""

import argparse
import concurrent.futures
import math
import os
import pathlib
import sys
import time

import complexity
import curves
import koloskova
from forms import NoSuchForm, load_form
from runs import OutOfTime, RunFailed, Runner

HERE = pathlib.Path(__file__).resolve().parent
FIGURES = ("dude", "stragglers", "ringleader", "complexity", "koloskova")
KINDS = {"curves": curves, "complexity": complexity, "koloskova": koloskova}
MISSING = 77  # exit code: something optional is not installed
UNFINISHED = 75  # exit code: run it again to go on


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figure", choices=[*FIGURES, "all"])
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--night", dest="form", action="store_const", const="night",
                      help="to accuracies near 50 %% and beyond (dude only), on two cores in some two hours")
    form.add_argument("--full", dest="form", action="store_const", const="full", help="at the papers' scale, for GPUs")
    form.add_argument("--tiny", dest="form", action="store_const", const="tiny", help="in seconds, to test this script")
    parser.add_argument("--out", type=pathlib.Path, default=HERE.parents[1] / "runs" / "reproduce",
                        help="folder for logs, figures and tables (default: runs/reproduce)")
    parser.add_argument("--program", type=pathlib.Path, default=HERE.parents[1] / "build" / "tools" / "tardigrad")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at once (default: one a core)")
    parser.add_argument("--device", default="cpu:1", help="of each run (default: cpu:1, one thread; cuda for a GPU)")
    parser.add_argument("--stop-after", type=float, default=math.inf, metavar="SECONDS",
                        help="begin no run later than that; the same command again goes on (exit code 75)")
    parser.set_defaults(form="short")
    return parser.parse_args()


def reproduce(figure, arguments, pool, ends):
    """Executes what is missing of a figure's runs and writes its table and drawings. Returns the CPU time of all."""
    import plots  # needs matplotlib
    form = load_form(HERE / f"{figure}.toml", arguments.form)
    folder = arguments.out / arguments.form
    runner = Runner(arguments.program, folder / "logs", arguments.device, ends=ends)
    kind = KINDS[form["kind"]]
    results = kind.reproduce(runner, form, pool)
    cpu_s = sum(runner.cpu_s.values())
    cost = f"{len(runner.cpu_s)} runs, {cpu_s:.0f} s of CPU time."
    (folder / f"{figure}.md").write_text("\n".join([f"# {figure}, {arguments.form} form", "", cost,
                                                    *kind.tables(form, results)]) + "\n")
    for name, drawing in plots.draw(form, results):
        drawing.savefig(folder / f"{name}.svg", bbox_inches="tight")
    print(f"{figure}: {cost} {folder / figure}.md")
    return cpu_s


def main():
    arguments = parse_arguments()
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        print("reproduce.py: matplotlib is missing (tools/dependencies.sh reproduce installs it)", file=sys.stderr)
        return MISSING
    if not arguments.program.exists():
        print(f"reproduce.py: no program {arguments.program}; build it, or name it with --program", file=sys.stderr)
        return 2
    figures = FIGURES if arguments.figure == "all" else [arguments.figure]
    start = time.monotonic()
    pool = concurrent.futures.ThreadPoolExecutor(arguments.jobs)
    try:
        cpu_s = sum(reproduce(figure, arguments, pool, start + arguments.stop_after) for figure in figures)
    except RunFailed as error:
        print(f"reproduce.py: {error}", file=sys.stderr)
        return 1
    except NoSuchForm as error:
        print(f"reproduce.py: {error}", file=sys.stderr)
        return 2
    except OutOfTime:
        print(f"reproduce.py: {arguments.stop_after:g} s are over and runs are missing; the same command goes on",
              file=sys.stderr)
        return UNFINISHED
    finally:
        pool.shutdown(cancel_futures=True)
    print(f"{', '.join(figures)}: {cpu_s:.0f} s of CPU time in all; this command took {time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
