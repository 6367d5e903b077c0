"""What a check ran on: GPUs, driver, versions of everything that matters, date, commit."""

import datetime
import os
import pathlib
import platform
import re
import shutil
import site
import subprocess
import sys


def output_of(*command):
    """What a command prints, or nothing where it fails or is not there."""
    try:
        return subprocess.run([str(word) for word in command], text=True, errors="replace", timeout=60, check=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def gpus_by_nvidia_smi():
    fields = "name,compute_cap,memory.total,driver_version,clocks.max.sm,power.limit"
    lines = output_of("nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader").splitlines()
    names = ["name", "compute_capability", "memory", "driver", "largest_clock", "power_limit"]
    return [dict(zip(names, (value.strip() for value in line.split(",")))) for line in lines]


def gpus_by_pytorch():
    program = ("import torch\nfor i in range(torch.cuda.device_count()):\n p = torch.cuda.get_device_properties(i)\n"
               " print(p.name, f'{p.major}.{p.minor}', f'{p.total_memory >> 20} MiB', sep=';')")
    names = ["name", "compute_capability", "memory"]
    return [dict(zip(names, line.split(";"))) for line in output_of(sys.executable, "-c", program).splitlines()]


def commit():
    name = output_of("git", "rev-parse", "HEAD")
    return name + ("-dirty" if name and output_of("git", "status", "--porcelain", "--untracked-files=no") else "")


def versions():
    nvcc = shutil.which("nvcc") or pathlib.Path(os.environ.get("CUDA_HOME", "/usr/local/cuda")) / "bin" / "nvcc"
    release = re.search(r"V([\d.]+)", output_of(nvcc, "--version"))
    pytorch = output_of(sys.executable, "-c", "import torch; print(torch.__version__, torch.version.cuda,"
                        " torch.backends.cudnn.version())").split()
    found = {
        "nvcc": release.group(1) if release else "",
        "C++ compiler": output_of(os.environ.get("CXX", "c++"), "--version").split("\n")[0],
        "Python": platform.python_version(),
        "PyTorch": pytorch[0] if pytorch else "",
        "PyTorch's CUDA and cuDNN": " ".join(pytorch[1:]),
    }
    return {name: version for name, version in found.items() if version}


def cuda_library_folders():
    """Where the toolkit and Python's packages have libraries of CUDA, cuDNN and NCCL."""
    nvcc = shutil.which("nvcc")
    toolkits = [pathlib.Path(nvcc).resolve().parent.parent] if nvcc else []
    toolkits.append(pathlib.Path(os.environ.get("CUDA_HOME", "/usr/local/cuda")))
    folders = [toolkit / "lib64" for toolkit in toolkits]
    for packages in {*sys.path, *site.getsitepackages(), site.getusersitepackages()}:
        folders += sorted((pathlib.Path(packages) / "nvidia").glob("*/lib"))
    return [folder for folder in folders if folder.is_dir()]


def processor():
    model = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {"model": model.group(1) if model else platform.machine(), "threads": os.cpu_count()}


def describe(commit_name):
    gpus = gpus_by_nvidia_smi() or gpus_by_pytorch()
    capabilities = sorted({gpu["compute_capability"].replace(".", "") for gpu in gpus})
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": commit_name or commit() or "unknown",
        "gpus": gpus,
        "processor": processor(),
        "system": platform.platform(),
        "versions": versions(),
        # To compile for: no more than what is here; without a GPU any will do, nothing will run.
        "architectures": ";".join(capabilities) or "90",
    }


def add_build(machine, program):
    """What the built program knows: its libraries' versions, and the GPUs where nothing else shows them."""
    shown = output_of(program, "devices")
    linked = re.search(r"^built with (.*)$", shown, re.MULTILINE)
    if linked:
        machine["versions"]["tardigrad's libraries"] = linked.group(1)
    machine["gpus"] = machine["gpus"] or [{"name": name} for name in re.findall(r"^cuda:\d+ +(.*)$", shown, re.MULTILINE)]


def why_no_gpu(machine, program):
    """Nothing where there is one; the built program knows best."""
    reason = re.search(r"^no GPU.*$", output_of(program, "devices"), re.MULTILINE)
    return reason.group(0) if reason else "" if machine["gpus"] else "no GPU: neither nvidia-smi nor PyTorch shows one"
