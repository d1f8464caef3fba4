"""Two networks between machines of a kind: one leads to the store of leases, the other to the vendor; each can be cut.

All addresses are loopback's, which the kernel carries over a link where it is told to (route_localnet): a job sends
plain http to no others. The hub holds vendor and store; it and its links are gone with its process.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.processes import running
from tests.support.separate_machines import ROOT, Machine, machine

NETS = {"store": 70, "vendor": 80}
_HUB = """
import sys, time
from pathlib import Path
from pipeline.sandbox import server
from tests.support.bucket import bucket
from tests.support.jobs import vendor
server.HOST = "0.0.0.0"
with vendor(Path(sys.argv[1]), latency_s=float(sys.argv[2])) as sold, bucket("0.0.0.0") as store:
    print(sold.url.rpartition(":")[2], store.address.rpartition(":")[2], flush=True)
    time.sleep(1e6)
"""


def _within(process: subprocess.Popen[str], *commands: str) -> None:
    """Run commands of `ip` in the network of a process."""
    for command in commands:
        subprocess.run(["nsenter", f"--target={process.pid}", "--net", "ip", *command.split()], check=True)


def _carry_loopback(process: subprocess.Popen[str]) -> None:
    setting = "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet"
    inside = ["nsenter", f"--target={process.pid}", "--net"]
    subprocess.run([*inside, "sh", "-c", setting], check=True)
    _within(process, "link set lo up", "addr del 127.0.0.1/8 dev lo", "addr add 127.0.0.1/32 dev lo")


@dataclass
class Networks:
    """The machines, the address of the vendor, and the variables by which the store is found."""

    hub: subprocess.Popen[str]
    vendor: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    machines: list[Machine] = field(default_factory=list)

    def cut(self, number: int, net: str) -> None:
        """Cut a machine from the store or the vendor: what is sent is lost, in both directions."""
        _within(self.hub, f"link set {net[0]}{number} down")

    def heal(self, number: int, net: str) -> None:
        """Let packets through again."""
        way = f"127.{NETS[net]}.{number + 1}.2/32 dev {net[0]}{number}"
        _within(self.hub, f"link set {net[0]}{number} up", f"route replace {way}")

    def _link(self, number: int) -> None:
        one = self.machines[number].holder
        _carry_loopback(one)
        for net, block in NETS.items():
            name, own = f"{net[0]}{number}", f"127.{block}.{number + 1}.2"
            _within(self.hub, f"link add {name} type veth peer name {net} netns {one.pid}")
            _within(one, f"addr add {own}/32 dev {net}", f"link set {net} up")
            _within(one, f"route add 127.{block}.0.1/32 dev {net} src {own}")
            self.heal(number, net)


@contextmanager
def networks(folder: Path, count: int, *, latency_s: float) -> Iterator[Networks]:
    """Have so many machines, w0, w1 and so on, with links to one vendor and one store."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = ["unshare", "--net", sys.executable, "-c", _HUB, folder, str(latency_s)]
    with ExitStack() as opened:
        hub = opened.enter_context(running(command, env=environment))
        assert hub.stdout is not None
        vendor, store = hub.stdout.readline().split()
        nets = Networks(hub, f"http://127.80.0.1:{vendor}")
        nets.environment = {
            "AWS_ENDPOINT_URL": f"http://127.70.0.1:{store}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "of-a-test",
            "AWS_SECRET_ACCESS_KEY": "never-shown",
        }
        _carry_loopback(hub)
        _within(hub, *(f"addr add 127.{block}.0.1/32 dev lo" for block in NETS.values()))
        for number in range(count):
            one = machine(folder, f"w{number}", mounted=False, net=True)
            nets.machines.append(opened.enter_context(one))
            nets._link(number)
        yield nets
