#!/usr/bin/env python3
"""The stages of tools/gpu_check.sh, which says how it is called and what comes out."""

import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import environment
import report

DEPENDENCIES = pathlib.Path("build-gpu-dependencies")
PREBUILT = DEPENDENCIES / "prebuilt"
BUILD = PREBUILT if PREBUILT.exists() else pathlib.Path("build-gpu")
SKIPPED = 77
REQUIRE_TARGET = """
import json, sys
summary = json.loads(open(sys.argv[1]).readlines()[-1])
print(f"{100 * summary['final_accuracy']:.2f} % after {summary['gradients']} gradients in {summary['train_time_s']:.1f} s")
sys.exit(summary["stop_reason"] != "target-accuracy")
"""
PROFILED = "dram__bytes.sum,dram__throughput.avg.pct_of_peak_sustained_elapsed,gpu__time_duration.sum"
TEST_PROGRAMS = ["kernels", "runtime", "models", "tools"]
BENCHMARKS = ["server_update", "turnaround", "workers", "gradient_groups", "cnn_step"]
PROGRAMS = [f"tests/{name}_test" for name in TEST_PROGRAMS] + ["tools/tardigrad"]
PROGRAMS += [f"tools/bench/{name}_bench" for name in BENCHMARKS]
# In the order of their value, with the seconds that each takes on one H100 beside 16 threads, as far as that has been seen
# (of start and of those from methods on it is a guess); one that no longer fits is left out.
STAGES = {"build": 2 if BUILD == PREBUILT else 70, "kernels": 15, "models": 5, "runtime": 20, "server_update": 6,
          "turnaround": 16, "workers": 25, "start": 30, "virtual_time": 30, "gradient_groups": 5, "cnn_step": 80,
          "resnet18_step": 38, "methods": 50, "repeats": 30, "resume": 15, "torch": 90, "tools": 60,
          "profile": 20, "memcheck": 30, "racecheck": 30, "train": 20, "cnn_step_compiled": 60}


def last_line(log):
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return " ".join("".join(filter(str.isprintable, lines[-1])).split())[:300] if lines else "no output"


def reason_of_build_failure(log):
    """The first error in one line; a message of CMake goes on to an empty line or the call stack."""
    error = re.search(r"^CMake Error[^\n]*:\n(?P<cmake>.*?)\n(?:\n|Call Stack)|^(?P<line>[^\n]*\berror\b[^\n]*)$", log,
                      re.MULTILINE | re.DOTALL)
    return " ".join((error["cmake"] or error["line"]).split()) if error else last_line(log)


def run(command, log, deadline):
    """The exit code, or None where the command was not over in time; what it started ends with it."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                               start_new_session=True)
    try:
        return process.wait(max(0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None


class Check:
    def __init__(self, out, only, budget_s, machine):
        self.out, self.only, self.machine = out, only, machine
        self.end = time.monotonic() + budget_s
        self.results = {}
        self.no_gpu = ""

    def record(self, name, status, seconds, note):
        self.results[name] = {"stage": name, "status": status, "seconds": round(seconds, 1), "note": note}
        report.write(self.out, self.machine, list(self.results.values()))
        print(f"gpu_check.sh: {name}: {status}", file=sys.stderr, flush=True)

    def stage(self, name, limit_s, commands, reason_of_failure=last_line):
        """Runs commands one after another until one fails, with the output in a log. Exit code 77 means that a stage
        does not apply here. The last line is the summary, or the reason. The limit of all stages cuts the last short."""
        if name not in self.only:
            return
        begin = time.monotonic()
        deadline = min(begin + limit_s, self.end)
        if self.end - begin < STAGES[name]:
            self.record(name, "SKIPPED", 0, f"takes about {STAGES[name]} s, and {max(0, self.end - begin):.0f} s were left")
            return
        path = self.out / "logs" / f"{name}.log"
        with path.open("w") as log:
            for command in commands:
                code = run([str(word) for word in command], log, deadline)
                if code != 0:
                    break
        seconds = time.monotonic() - begin
        text = path.read_text(errors="replace")
        if code is None:
            self.record(name, "FAIL", seconds, f"not over after {deadline - begin:.0f} s; last: {last_line(text)}")
        elif code in (0, SKIPPED):
            self.record(name, "PASS" if code == 0 else "SKIPPED", seconds, last_line(text))
        else:
            self.record(name, "FAIL", seconds, f"exit code {code}: {reason_of_failure(text)}")

    def on_gpu(self, name, limit_s, program, *commands, missing=""):
        """A stage that needs a GPU, a program of the build, and nothing that is `missing`."""
        if name not in self.only:
            return
        if self.no_gpu or missing:
            self.record(name, "SKIPPED", 0, self.no_gpu or missing)
        elif not program.exists():
            self.record(name, "FAIL", 0, f"{program} was not built")
        else:
            self.stage(name, limit_s, commands)


def find_tool(name, folder_attribute):
    """On the PATH, or in the Python package of that name."""
    try:
        return shutil.which(name) or pathlib.Path(getattr(__import__(name), folder_attribute)) / name
    except (ImportError, AttributeError):
        return None


def find_sanitizer():
    nvcc = shutil.which("nvcc")
    toolkits = [pathlib.Path(nvcc).parent.parent] if nvcc else []
    toolkits += [pathlib.Path(os.environ.get("CUDA_HOME", "/usr/local/cuda"))]
    beside = [toolkit / folder / "compute-sanitizer" for toolkit in toolkits for folder in ("bin", "compute-sanitizer")]
    return shutil.which("compute-sanitizer") or next((path for path in beside if path.is_file()), None)


def use_prebuilt(check):
    """What another machine has built; the loader must find its libraries, and those of CUDA wherever they are here."""
    folders = [PREBUILT / "lib", *environment.cuda_library_folders()]
    os.environ["LD_LIBRARY_PATH"] = ":".join(str(folder.resolve()) for folder in folders)
    os.environ["TARDIGRAD_SOURCE"] = os.getcwd()
    os.environ["TARDIGRAD_BINARY"] = str((PREBUILT / "tools" / "tardigrad").resolve())
    commit, architectures = ((PREBUILT / name).read_text().strip() for name in ("commit", "architectures"))
    check.machine["commit"] = commit
    check.stage("build", 30, [[PREBUILT / "tools" / "tardigrad", "--version"],
                              ["echo", f"built elsewhere, of {commit[:12]}, for compute capability {architectures}"]])


def build(check):
    if BUILD == PREBUILT:
        return use_prebuilt(check)
    programs = [BUILD / name for name in PROGRAMS]
    cmake, ninja = find_tool("cmake", "CMAKE_BIN_DIR"), find_tool("ninja", "BIN_DIR")
    if cmake is None and "build" in check.only:
        return check.record("build", "FAIL", 0, "CMake is neither on the PATH nor a package of this Python")
    if "build" in check.only:
        for program in programs:  # what does not build now must not be taken for built
            program.unlink(missing_ok=True)
    generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"] if ninja else ["-G", "Unix Makefiles"]
    # Warnings of a compiler that the project has not met are no reason to stop here.
    configure = [cmake, "-S", ".", "-B", BUILD, *generator, f"-DCMAKE_PREFIX_PATH={DEPENDENCIES.resolve()}",
                 "-DTARDIGRAD_CUDA=ON", "-DTARDIGRAD_WARNINGS_AS_ERRORS=OFF", f"-DPython_EXECUTABLE={sys.executable}",
                 f"-DCMAKE_CUDA_ARCHITECTURES={check.machine['architectures']}"]
    compile_all = [cmake, "--build", BUILD, "--parallel", os.cpu_count(), "--target",
                   *(program.name for program in programs), "--", "-k", *(["0"] if ninja else [])]
    check.stage("build", 270, [configure, compile_all], reason_of_build_failure)


def test(check, name):
    program = BUILD / "tests" / f"{name}_test"
    check.on_gpu(name, 150, program, [sys.executable, "tools/gpu_check/cuda_tests.py", program])


def sanitize(check, tool):
    sanitizer = find_sanitizer()
    missing = "" if sanitizer else "compute-sanitizer is neither on the PATH nor beside nvcc"
    program = BUILD / "tests" / "kernels_test"
    check.on_gpu(tool, 120, program,
                 [sys.executable, "tools/gpu_check/cuda_tests.py", "--only", "*/cuda*",
                  "--under", f"{sanitizer} --tool {tool} --error-exitcode 1", program], missing=missing)


def whole_program(check, name, limit_s):
    program = BUILD / "tools" / "tardigrad"
    check.on_gpu(name, limit_s, program, [sys.executable, "tools/gpu_check/program_runs.py", name, "--program", program,
                                          "--json", check.out / "logs" / f"{name}.jsonl"])


def profile(check):
    """What the fused update does to the GPU's memory, kernel by kernel."""
    ncu = shutil.which("ncu")
    program = BUILD / "tools" / "bench" / "server_update_bench"
    check.on_gpu("profile", 60, program,
                 [ncu, "--kernel-name", "regex:server_update_kernel", "--launch-count", "4", "--metrics", PROFILED, program,
                  "--device", "cuda", "--rounds", "1", "--dimension", "100000000", "--workers", "4"],
                 missing="" if ncu else "ncu is not on the PATH")


def train(check):
    """Ten workers on real images, to an accuracy that only a program without faults reaches."""
    folder = DEPENDENCIES / "data" / "fashion-mnist"
    program = BUILD / "tools" / "tardigrad"
    check.on_gpu("train", 60, program,
                 [program, "train", "--model", "cnn", "--dataset", "fashion-mnist", "--data-dir", folder, "--method", "dude",
                  "--lr", "0.02", "--workers", "10", "--device", "cuda", "--epochs", "5", "--target-accuracy", "0.8",
                  "--eval-every", "500", "--log", check.out / "logs" / "train.log.json"],
                 [sys.executable, "-c", REQUIRE_TARGET, check.out / "logs" / "train.log.json"],
                 missing="" if folder.exists() else f"no {folder} (--pack --with-data)")


def torch_modules(check):
    """PyTorch's modules as workers, by the Python package, which is built here where CMake has found what it needs."""
    package = BUILD / "tools" / "python"
    missing = "" if check.machine["versions"].get("PyTorch") else "this Python has no PyTorch"
    if not missing and not (package / "CMakeFiles").exists():
        missing = "the build has no Python package (it needs Python's headers, NumPy and pybind11)"
    check.on_gpu("torch", 200, BUILD / "tools" / "tardigrad",
                 [find_tool("cmake", "CMAKE_BIN_DIR"), "--build", BUILD, "--parallel", os.cpu_count(), "--target", "tardigrad_python"],
                 ["env", f"PYTHONPATH={package.resolve()}", sys.executable, "tools/gpu_check/torch_runs.py"], missing=missing)


def against_pytorch(check, name, limit_s, *options):
    program = BUILD / "tools" / "bench" / "cnn_step_bench"
    check.on_gpu(name, limit_s, program,
                 [sys.executable, "tools/bench/cnn_step_vs_pytorch.py", program, "--device", "cuda", "--json",
                  check.out / "logs" / f"{name}.jsonl", *options],
                 missing="" if check.machine["versions"].get("PyTorch") else "this Python has no PyTorch")


def measure(check):
    def lines_of(name):
        return ["--device", "cuda", "--json", check.out / "logs" / f"{name}.jsonl"]

    def benchmark(name, limit_s, *runs):
        program = BUILD / "tools" / "bench" / f"{name}_bench"
        check.on_gpu(name, limit_s, program, *([program, *lines_of(name), *options] for options in runs))

    # A vector of 100 million is in no cache, whatever the number of workers.
    benchmark("server_update", 60, ["--dimension", 620362, 10000000], ["--dimension", 100000000, "--workers", 4])
    benchmark("turnaround", 40, [])
    benchmark("workers", 40, [])
    whole_program(check, "start", 90)
    whole_program(check, "virtual_time", 90)
    benchmark("gradient_groups", 30, [])
    against_pytorch(check, "cnn_step", 130)
    against_pytorch(check, "resnet18_step", 60, "--architecture", "resnet18", "--batch", "32", "128", "--rounds", "9")


def parse():
    parser = argparse.ArgumentParser(prog="gpu_check.sh", description="See the head of tools/gpu_check.sh.")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("build-gpu/check"), help="folder for what comes out")
    parser.add_argument("--only", default=",".join(STAGES), help="stages, with commas between them")
    parser.add_argument("--budget", type=float, default=530, metavar="SECONDS",
                        help="for all stages, of which those that no longer fit are left out (default: 530)")
    parser.add_argument("--list-programs", action="store_true", help="print which programs are built, and end")
    parser.add_argument("--commit", default="", help="how to call this version where git cannot say")
    arguments = parser.parse_args()
    if not arguments.budget > 0:
        parser.error(f"--budget {arguments.budget:g}: expected seconds, more than 0")
    arguments.only = arguments.only.split(",")
    unknown = set(arguments.only) - set(STAGES)
    if unknown:
        parser.error(f"no stage is called {', '.join(sorted(unknown))}; expected {', '.join(STAGES)}")
    return arguments


def main():
    arguments = parse()
    if arguments.list_programs:
        print(*PROGRAMS, sep="\n")
        return
    (arguments.out / "logs").mkdir(parents=True, exist_ok=True)
    for old in (arguments.out / "logs").iterdir():
        old.unlink()
    machine = environment.describe(arguments.commit)
    check = Check(arguments.out, arguments.only, arguments.budget, machine)
    try:
        build(check)
        environment.add_build(machine, BUILD / "tools" / "tardigrad")
        check.no_gpu = environment.why_no_gpu(machine, BUILD / "tools" / "tardigrad")
        for name in ("kernels", "models", "runtime"):
            test(check, name)
        measure(check)
        for name in ("methods", "repeats", "resume"):
            whole_program(check, name, 120)
        torch_modules(check)
        test(check, "tools")
        profile(check)
        for tool in ("memcheck", "racecheck"):
            sanitize(check, tool)
        train(check)
        against_pytorch(check, "cnn_step_compiled", 400, "--compile", "--rounds", "9")  # compiling takes as long as there is
    finally:  # an interrupt, too, leaves what is known so far
        results = list(check.results.values())
        print(report.write(arguments.out, machine, results), end="")
    if any(result["status"] == "FAIL" for result in results):
        sys.exit(1)
    sys.exit(SKIPPED if check.no_gpu else 0)


if __name__ == "__main__":
    main()
