"""Makes machines of Linux network namespaces, which a bridge connects.

A machine has its own interface, address and loopback. Its processes are ordinary processes of this machine and share
its cores and files. Needs root and the command `ip` of iproute2.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence

from stockwatch.local.redis_server import StartedInBlock

PREFIX = "stockwatch-"
"""The names of all namespaces begin with this text."""
BRIDGE = "lan"
SUBNET_BITS = 24


class NotPermitted(RuntimeError):
    """This machine does not allow network namespaces. The text of the error says what is missing."""


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


class Network(StartedInBlock):
    """A bridge and the machines that are connected to it."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._devices: list[str] = []

    def start(self) -> None:
        """Creates the bridge. Raises NotPermitted if this machine does not allow it."""
        if os.geteuid() or not shutil.which("ip"):
            raise NotPermitted("network namespaces need root and the command `ip` (Debian and Ubuntu: iproute2)")
        self._remove_leftovers()
        found = subprocess.run(["ip", "netns", "add", PREFIX + BRIDGE], capture_output=True, text=True)
        if found.returncode:
            raise NotPermitted(f"no network namespaces: {found.stderr.strip()}")
        self._names.append(BRIDGE)
        ip("-n", PREFIX + BRIDGE, "link", "add", BRIDGE, "type", "bridge")
        ip("-n", PREFIX + BRIDGE, "link", "set", BRIDGE, "up")

    @staticmethod
    def _remove_leftovers() -> None:
        """Deletes the namespaces of an earlier run that was killed."""
        listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
        for name in (line.split()[0] for line in listed.splitlines() if line.startswith(PREFIX)):
            ip("netns", "delete", name)

    def add(self, name: str, address: str) -> None:
        """Adds a machine with one address."""
        ip("netns", "add", PREFIX + name)
        self._names.append(name)
        peer = ["peer", "name", "eth0", "netns", PREFIX + name]
        ip("link", "add", name, "netns", PREFIX + BRIDGE, "type", "veth", *peer)
        ip("-n", PREFIX + BRIDGE, "link", "set", name, "master", BRIDGE, "up")
        ip("-n", PREFIX + name, "address", "add", f"{address}/{SUBNET_BITS}", "dev", "eth0")
        for device in ("lo", "eth0"):
            ip("-n", PREFIX + name, "link", "set", device, "up")

    def connect_to_host(self, name: str, address: str, host_address: str) -> None:
        """Connects a machine with this host, beside the bridge. The machine gets an address of its own for this."""
        device = host_device(name)
        subprocess.run(["ip", "link", "delete", device], capture_output=True)  # left by an earlier run that was killed
        ip("link", "add", device, "type", "veth", "peer", "name", "eth1", "netns", PREFIX + name)
        self._devices.append(device)
        ip("address", "add", f"{host_address}/{SUBNET_BITS}", "dev", device)
        ip("-n", PREFIX + name, "address", "add", f"{address}/{SUBNET_BITS}", "dev", "eth1")
        ip("link", "set", device, "up")
        ip("-n", PREFIX + name, "link", "set", "eth1", "up")

    def own_addresses(self, name: str, network: str) -> None:
        """Lets the processes of a machine use every address of a network as their own."""
        ip("-n", PREFIX + name, "route", "add", "local", network, "dev", "lo")

    def route(self, name: str, network: str, gateway: str) -> None:
        """Tells a machine through which address it reaches a network."""
        ip("-n", PREFIX + name, "route", "add", network, "via", gateway)

    def cut(self, name: str) -> None:
        """Disconnects a machine from the bridge. Its packets and those to it are lost, and no connection is closed."""
        ip("-n", PREFIX + BRIDGE, "link", "set", name, "down")

    def mend(self, name: str) -> None:
        ip("-n", PREFIX + BRIDGE, "link", "set", name, "up")

    def cut_from_host(self, name: str) -> None:
        """Disconnects a machine from this host, as `cut` does from the bridge."""
        ip("link", "set", host_device(name), "down")

    def mend_to_host(self, name: str) -> None:
        ip("link", "set", host_device(name), "up")

    def close(self) -> None:
        """Deletes the namespaces. Processes in them must have ended."""
        while self._devices:  # a namespace whose sockets still wait for answers would keep its device
            ip("link", "delete", self._devices.pop())
        while self._names:
            ip("netns", "delete", PREFIX + self._names.pop())


def host_device(name: str) -> str:
    """Returns the name of this host's end of the connection to a machine."""
    return f"sw-{name}"


def on_machine(name: str, command: Sequence[str]) -> list[str]:
    """Returns the command that runs another command on a machine. The process id is that of the other command."""
    return ["ip", "netns", "exec", PREFIX + name, *command]
