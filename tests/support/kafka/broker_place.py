"""Says where a broker runs: on this host, or on a machine of a network namespace with a small disk."""

import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.network import on_machine

DISK_NAME = "stockwatch-kafka-disk"
BLOCK = bytes(1 << 16)


@dataclass
class Place:
    """Where a broker runs.

    Other brokers reach the broker at `peer_host`, and clients at `host`. A broker on a machine has a listener of its
    own for clients, at `client_port`. `disk_mb` is the size of the disk for its log; 0 means a folder.
    """

    machine: str = ""
    peer_host: str = "127.0.0.1"
    host: str = "127.0.0.1"
    client_port: int = 0
    disk_mb: int = 0
    _disk: Path | None = field(default=None, init=False)

    def command(self, command: Sequence[str]) -> list[str]:
        """Returns the command that runs another command at this place."""
        return on_machine(self.machine, command) if self.machine else list(command)

    def add_listener(self, properties: str) -> str:
        """Returns the properties of a broker with a further listener for clients, if `client_port` is set."""
        if not self.client_port:
            return properties
        lines = []
        for line in properties.splitlines():
            if line.startswith(("listeners=", "advertised.listeners=")):
                line += f",CLIENTS://{self.host}:{self.client_port}"
            if line.startswith("listener.security.protocol.map="):
                line += ",CLIENTS:PLAINTEXT"
            lines.append(line)
        return "\n".join(lines) + "\n"

    def make_disk(self, folder: Path) -> None:
        """Mounts an empty disk of `disk_mb` megabytes. Needs root. Does nothing if `disk_mb` is 0."""
        if self.disk_mb:
            folder.mkdir()
            options = ["-t", "tmpfs", "-o", f"size={self.disk_mb}m", DISK_NAME]
            subprocess.run(["mount", *options, str(folder)], check=True)
            self._disk = folder

    @property
    def _filling(self) -> Path:
        assert self._disk is not None, "this place has no disk of its own"
        return self._disk / "filling"

    def fill_disk(self) -> None:
        """Writes a file until no byte is left."""
        with self._filling.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(BLOCK)

    def free_disk(self) -> None:
        """Deletes the file that `fill_disk` wrote."""
        self._filling.unlink(missing_ok=True)

    def remove_disk(self) -> None:
        if self._disk is not None:
            subprocess.run(["umount", str(self._disk)], check=True)
            self._disk = None


def remove_leftover_disks() -> None:
    """Unmounts the disks of an earlier run that was killed."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    for folder in [mount[1] for mount in mounts if mount[0] == DISK_NAME]:
        subprocess.run(["umount", folder], check=True)


LOCAL = Place()
"""This host."""
