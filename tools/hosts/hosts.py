#!/usr/bin/env python3
"""Hosts on this machine: network namespaces with a link each to a switch (iproute2), for runs over MPI. Needs root.

    sudo tools/hosts/hosts.py --hosts 3 --link 2:rate=50mbit --link 1:delay=20ms,loss=1% -- \\
        build/tools/tardigrad train --ranks mpi --workers 2 --model mlp --dataset fashion-mnist \\
        --method dude --lr 0.002 --epochs 3

runs a command with a rank on each host, the first one's on host 0. Host k has the address 10.77.0.(k + 1), a name of its own,
and no way to the others but by TCP over its link. `rate` is held in both directions by a token bucket (tbf); `delay` and `loss`
are netem's, which not every kernel has. Other scripts use Hosts.
"""

import argparse
import itertools
import os
import pathlib
import signal
import subprocess
import sys

AGENT = pathlib.Path(__file__).resolve().parent / "enter_host.sh"
NETWORK = "10.77.0"
QUEUE = "burst 64kb latency 400ms"


def command(*words):
    """Runs it; a failure raises RuntimeError with what it said."""
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


class Hosts:
    """So many hosts, joined by a switch. Names of its devices begin with tg, the process's number and that of the instance."""

    instances = itertools.count()

    def __init__(self, count):
        self.prefix = f"tg{os.getpid() % 100000}x{next(self.instances) % 100}"  # 14 characters, with what follows, of 15
        self.count = count
        self.made = []

    def __enter__(self):
        try:
            self._add("link", "add", self._switch, "type", "bridge", undo=("link", "del", self._switch))
            command("ip", "link", "set", self._switch, "up")
            for host in range(self.count):
                self._add("netns", "add", self.name(host), undo=("netns", "del", self.name(host)))
                self._add("link", "add", self._port(host), "type", "veth", "peer", "name", "eth0", "netns", self.name(host),
                          undo=("link", "del", self._port(host)))
                command("ip", "link", "set", self._port(host), "master", self._switch, "up")
                self._inside(host, "addr", "add", f"{self.address(host)}/24", "dev", "eth0")
                self._inside(host, "link", "set", "eth0", "up")
                self._inside(host, "link", "set", "lo", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for host in range(self.count):  # what still runs there would keep the namespace
            listed = subprocess.run(["ip", "netns", "pids", self.name(host)], capture_output=True, text=True)
            for process in listed.stdout.split():
                try:
                    os.kill(int(process), signal.SIGKILL)
                except ProcessLookupError:
                    pass
        for undo in reversed(self.made):
            subprocess.run(["ip", *undo], capture_output=True)
        self.made = []

    def name(self, host):
        return f"{self.prefix}h{host}"

    def address(self, host):
        return f"{NETWORK}.{host + 1}"

    def shape(self, host, rate=None, delay=None, loss=None):
        """Makes the host's link slow in both directions: rate as tc has it (50mbit), delay (20ms), loss (1%)."""
        rule = []
        if delay or loss:
            rule = ["netem", *(["delay", delay] if delay else []), *(["loss", loss] if loss else [])]
            rule += ["rate", rate] if rate else []
        elif rate:
            rule = ["tbf", "rate", rate, *QUEUE.split()]
        if not rule:
            return
        command("tc", "qdisc", "replace", "dev", self._port(host), "root", *rule)
        command("tc", "-n", self.name(host), "qdisc", "replace", "dev", "eth0", "root", *rule)

    def cut(self, host):
        """Takes the host off the network, until mend()."""
        command("ip", "link", "set", self._port(host), "down")

    def mend(self, host):
        command("ip", "link", "set", self._port(host), "up")

    def mpirun(self, words, **options):
        """Starts `mpirun WORDS` (options of it, the command) on host 0, a rank a host, and returns its Popen."""
        environment = {**os.environ, "TARDIGRAD_HOSTS": self.prefix,
                       "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        subnet = f"{NETWORK}.0/24"
        launcher = [str(AGENT), self.address(0), "exec", "mpirun", "--mca", "plm_rsh_agent", str(AGENT), "--host",
                    ",".join(map(self.address, range(self.count))), "--mca", "btl", "tcp,self", "--mca", "btl_tcp_if_include",
                    subnet, "--mca", "oob_tcp_if_include", subnet, "-n", str(self.count)]
        return subprocess.Popen([*launcher, *map(str, words)], env=environment, **options)

    @property
    def _switch(self):
        return f"{self.prefix}sw"

    def _port(self, host):
        return f"{self.prefix}p{host}"

    def _add(self, *words, undo):
        command("ip", *words)
        self.made.append(undo)

    def _inside(self, host, *words):
        command("ip", "-n", self.name(host), *words)


def link_of(text, hosts, parser):
    """(host, what shape() is to be told) of an option --link."""
    host, _, how = text.partition(":")
    settings = dict(one.partition("=")[::2] for one in how.split(","))
    if not host.isdecimal() or int(host) >= hosts or not settings.keys() <= {"rate", "delay", "loss"} or not all(settings.values()):
        parser.error(f"--link {text}: expected HOST:rate=50mbit,delay=20ms,loss=1%, one of them or more, for a host of 0 to {hosts - 1}")
    return int(host), settings


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=3)
    parser.add_argument("--link", action="append", default=[], metavar="HOST:rate=,delay=,loss=", help="how slow a host's link is")
    parser.add_argument("command", nargs="+", help="what each rank runs")
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("hosts are network namespaces, which root makes: run it by sudo")
    if not 1 <= options.hosts <= 200:
        parser.error(f"--hosts {options.hosts}: expected 1 to 200")
    links = [link_of(text, options.hosts, parser) for text in options.link]
    try:
        with Hosts(options.hosts) as hosts:
            for host, how in links:
                hosts.shape(host, **how)
            job = hosts.mpirun(options.command)
            try:
                return job.wait()
            except KeyboardInterrupt:  # mpirun got it, too
                job.wait()
                return 128 + signal.SIGINT
    except RuntimeError as error:
        print(f"hosts.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
