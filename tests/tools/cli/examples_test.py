#!/usr/bin/env python3
"""Runs every example that the project's words give: examples_test.py PROGRAM SECONDS.

Those are the commands of tardigrad in the --help of each command and in the code blocks of the *.md files, the scripts
tools/quickstart.sh and tools/bench/straggler.sh, and the Python of the description of logs. They run as they stand,
but for so many seconds, and on small data sets that are made here. Each has to end with 0 and to leave the files that it
names. Paths in the *.md files have to exist, and what their links lead to.
"""

import json
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

PROJECT = pathlib.Path(__file__).resolve().parents[3]
PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve()
SECONDS = sys.argv.pop(1)
LOG_FORMAT = (PROJECT / "runtime/telemetry/log_format.md").read_text()
ANY_RUN = "--model mlp --dataset fashion-mnist --method dude --lr 0.01 --workers 4 --time-limit 1"

# What makes an example short, and possible on any machine. Networks see few images, so that nothing is said of accuracy.
SHORTER = [
    (r"…|\.\.\.", ANY_RUN),
    (r"--time-limit \S+", f"--time-limit {SECONDS}"),
    (rf"(--clock virtual) --time-limit {SECONDS}", rf"\1 --time-limit {100 * float(SECONDS):g}"),
    (r"--epochs \S+", "--epochs 1"),
    (r"--seeds \S+", "--seeds 2"),
    (r"--dataset ([^\s:]+)(?=\s|$)", r"--dataset \1 --data-dir data/\1"),
    (r"--model (cnn|resnet8)(?=\s)", "--model cnn:8,8,8:32"),
    (r"--device cuda\S*", "--device cpu:2"),
    (r"--serve (\S+:)?8080", r"--serve \g<1>0"),
    (r"\*", "1"),
]
OUTPUTS = re.compile(r"(?:--log|--save|--record|--trace|--report|-o|--csv|--tensorboard|--log-dir|--checkpoint-dir) (\S+)")
LOGS = re.compile(r"(?<!--log )\b[\w/-]+\.jsonl\b")


def commands(text, indent, program):
    """The commands of `program` on lines of that indent: joined where a backslash ends a line, without comments."""
    joined = re.sub(r"\\\n\s+", "", text)
    for line in joined.splitlines():
        if re.match(rf"{indent}(\w+=\S.*? )?{program} ", line):
            yield re.sub(r"\s{2,}# .*", "", line.strip())


def documents():
    listed = subprocess.run(["git", "-C", PROJECT, "ls-files", "*.md"], capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return [PROJECT / name for name in listed.stdout.split()]
    return [path for path in PROJECT.rglob("*.md") if not path.relative_to(PROJECT).parts[0].startswith("build")]


def sections(document):
    """The names by which links find the headings of a document, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def write_idx(folder, part, count):
    pixels = random.Random(part).randbytes(count * 28 * 28)
    (folder / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 0x803, count, 28, 28) + pixels)
    (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 0x801, count) + bytes(i % 10 for i in range(count)))


def write_data(folder):
    """Noise in the formats of MNIST, Fashion-MNIST and CIFAR-10."""
    for name in ("mnist", "fashion-mnist"):
        (folder / name).mkdir(parents=True)
        write_idx(folder / name, "train", 600)
        write_idx(folder / name, "t10k", 50)
    (folder / "cifar10").mkdir()
    files = [(f"data_batch_{i}.bin", 40) for i in range(1, 6)] + [("test_batch.bin", 50)]
    for name, count in files:
        noise = random.Random(name)
        records = (bytes([i % 10]) + noise.randbytes(3072) for i in range(count))
        (folder / "cifar10" / name).write_bytes(b"".join(records))


class Examples(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        write_data(self.folder / "data")
        (self.folder / "a9a").write_text("".join(f"{1 - i % 2 * 2:+d} {1 + i % 60}:1 {61 + i % 63}:1\n" for i in range(200)))
        (self.folder / ".token").write_text("0123456789abcdef0123456789abcdef\n")
        (self.folder / "build/tools").mkdir(parents=True)
        (self.folder / "build/tools/tardigrad").symlink_to(PROGRAM)
        (self.folder / "tools").mkdir()
        (self.folder / "tools/models").symlink_to(PROJECT / "tools/models")

    def run_shell(self, command, **environment):
        emulated = {name: value for name, value in os.environ.items() if name.startswith("TARDIGRAD_EMULATED")}
        environment = {"PATH": f"{self.folder}/build/tools:/usr/bin:/bin", "HOME": str(self.folder), **emulated, **environment}
        done = subprocess.run(["bash", "-c", command], cwd=self.folder, env=environment, capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout}{done.stderr}")
        return done.stdout

    def make_logs(self, command):
        """The logs that a command reads and no example before it has left."""
        for name in LOGS.findall(command):
            log = self.folder / name
            if not log.exists():
                log.parent.mkdir(parents=True, exist_ok=True)
                self.run_shell(f"tardigrad train --model quadratic:tridiagonal:10 --method sync --lr 0.1 --workers 2 "
                               f"--updates 20 --eval-every 5 --log {name}")

    def make_measured_run(self, log):
        """A log to give advice on: what examples leave is too short for that."""
        self.run_shell("tardigrad train --model quadratic:tridiagonal:10 --method asgd --lr 0.1 --workers 2 --clock virtual "
                       f"--compute-time 1,3 --updates 100 --eval-every 10 --log {log}")

    def run_example(self, example):
        command = example
        for pattern, replacement in SHORTER:
            command = re.sub(pattern, replacement, command)
        if measured := re.search(r"tardigrad advise --from (\S+)", command):
            self.make_measured_run(measured[1])
        elif not re.search(r"tardigrad train\b", command):
            self.make_logs(command)
        self.run_shell(command)
        for name in OUTPUTS.findall(command):
            output = self.folder / name
            self.assertTrue(name == "-" or (any(output.iterdir()) if output.is_dir() else output.stat().st_size > 0),
                            f"{example} left no {name}")

    def test_of_the_manual(self):
        for name in ("", "train", "compare", "advise", "devices", "table", "report", "data", "models"):
            with self.subTest(name):
                manual = self.run_shell(f"tardigrad {name} --help")
                examples = list(commands(manual, "  ", "tardigrad"))
                self.assertTrue(examples, "no example")
                for example in examples:
                    self.run_example(example)

    def test_of_the_documents(self):
        examples = [(path, example) for path in documents()
                    for example in commands(path.read_text(), "    ", r"build/tools/tardigrad")]
        self.assertGreater(len(examples), 10)
        for path, example in examples:
            with self.subTest(str(path), example=example):
                self.run_example(example)

    def test_paths_in_documents_exist(self):
        path_of_file = re.compile(r"(?<![\w/.-])((?:\./)?(?:tools|tests|runtime|models|data|kernels)/[\w/.-]+\.\w+)")
        placeholder = re.compile(r"\b(OP|NAME|METHOD)\b|\bOP_")
        for document in documents():
            for name in path_of_file.findall(document.read_text()):
                with self.subTest(str(document)):
                    found = (PROJECT / name).exists() or (document.parent / name).exists()
                    self.assertTrue(found or placeholder.search(name), name)

    def test_links_in_documents_lead_somewhere(self):
        links = [(document, link) for document in documents()
                 for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()) if "://" not in link]
        self.assertGreater(len(links), 50)
        for document, link in links:
            with self.subTest(str(document), link=link):
                name, _, section = link.partition("#")
                target = document.parent / name if name else document
                self.assertTrue(target.exists())
                self.assertTrue(not section or section in sections(target))

    def copy_scripts(self, *names):
        """Those scripts, beside others that have nothing left to do: all is installed, built and fetched."""
        tools = self.folder / "tools"
        for name in names:
            (tools / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / "tools" / name, tools / name)
        for name, text in {"dependencies.sh": "", "build.sh": f"mkdir -p $1/tools; ln -sf {PROGRAM} $1/tools/tardigrad",
                           "fetch_data.sh": f"echo {self.folder}/data/$1"}.items():
            (tools / name).write_text(f"#!/bin/sh\n{text}\n")
            (tools / name).chmod(0o755)

    def test_quickstart(self):
        self.copy_scripts("quickstart.sh")
        (self.folder / "CMakeLists.txt").touch()
        shown = self.run_shell("tools/quickstart.sh", SECONDS_EACH=SECONDS)
        said = re.findall(r"^  (sync|asgd|dude)  classifies [\d.]+ % of them rightly", shown, re.MULTILINE)
        self.assertEqual(said, ["sync", "asgd", "dude"], shown)

    def test_straggler(self):
        self.copy_scripts("bench/straggler.sh")
        script = self.folder / "tools/bench/straggler.sh"
        script.write_text(script.read_text().replace("--model cnn ", "--model cnn:8,8,8:32 "))
        self.run_shell("mkdir -p .cache/tardigrad && ln -s ../../data/fashion-mnist .cache/tardigrad/fashion-mnist")
        shown = self.run_shell("tools/bench/straggler.sh", SECONDS_EACH=SECONDS)
        self.assertIn("dude 0.01", shown)

    def test_description_of_logs_has_every_field(self):
        described = {}
        for events, fields in re.findall(r"^\| (`.*?) \|.*?\| (.*) \|$", LOG_FORMAT, re.MULTILINE):
            for event in re.findall(r"`([\w-]+)`", events):
                described[event] = set(re.findall(r"`(\w+)`", fields))
        self.assertGreater(len(described), 10)
        described["gradient"] |= described["update"]  # "of the job as above"
        described["run"] |= {flag.replace("-", "_") for flag in
                             re.findall(r"--([a-z][a-z0-9-]+)", self.run_shell("tardigrad train --help"))}
        (self.folder / "events.toml").write_text('[[event]]\ntime = 3\nworker = 1\nstate = "failed"\n'
                                                 '[[event]]\ntime = 6\nworker = 1\nstate = "working"\n')
        run = ("tardigrad train --model quadratic:tridiagonal:10 --workers 3 --clock virtual --compute-time 1,1,5 "
               "--eval-every 5 --updates 40 ")
        self.run_shell(run + "--method ringmaster --lr 3 --events events.toml --log a.jsonl --checkpoint-dir kept")
        self.run_shell(run + "--method fedbuff --gather 3 --lr 0.1 --log b.jsonl")
        self.run_shell("tardigrad train --model mlp --dataset mnist --data-dir data/mnist --method sync --lr 0.1 --workers 2 "
                       "--epochs 1 --log c.jsonl")
        seen = set()
        for name in ("a", "b", "c"):
            for record in map(json.loads, (self.folder / f"{name}.jsonl").read_text().splitlines()):
                event = record.pop("event")
                seen.add(event)
                self.assertEqual(set(record) - described[event], set(), event)
        self.assertEqual(set(described) - seen, {"gap"})

    def test_python_that_draws_bands(self):
        (self.folder / "bands.py").write_text(re.search(r"```python\n(.*?)```", LOG_FORMAT, re.DOTALL)[1])
        self.run_shell("tardigrad compare --methods sync,dude --lr 0.1 --seeds 3 --model mlp --dataset mnist --data-dir "
                       "data/mnist --workers 2 --clock virtual --compute-time 1,2 --updates 8 --eval-every 4 --log-dir logs")
        if subprocess.run(["/usr/bin/python3", "-c", "import matplotlib"], capture_output=True, check=False).returncode:
            self.skipTest("no matplotlib")
        self.run_shell("/usr/bin/python3 bands.py logs/*.jsonl")
        self.assertIn("dude", (self.folder / "bands.svg").read_text())


if __name__ == "__main__":
    unittest.main(verbosity=2)
