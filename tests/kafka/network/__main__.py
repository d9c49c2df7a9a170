"""Runs the tests of this folder in a network of their own: `make test-network`.

The tests create, cut and delete network devices. On the host, this would disturb programs that watch its devices, such
as browsers. Devices, namespaces and mounts of a run that is killed disappear with its processes.
"""

import os
import shutil
import sys
from pathlib import Path

from tests.support.kafka.distribution import jars
from tests.support.network import NotPermitted

# A new network has only a loopback device, which is down. `/run/netns` has the names of all namespaces of the host.
PREPARE = 'ip link set lo up && mkdir -p /run/netns && mount -t tmpfs netns /run/netns && exec "$@"'


def main() -> None:
    if os.geteuid() or not (shutil.which("unshare") and shutil.which("ip")):
        raise NotPermitted("needs root, `unshare` of util-linux and `ip` of iproute2")
    jars()  # the new network has no connection to download them
    tests = [sys.executable, "-m", "pytest", "-m", "network", *(sys.argv[1:] or [str(Path(__file__).parent)])]
    os.execvp("unshare", ["unshare", "--net", "--mount", "sh", "-c", PREPARE, "sh", *tests])


if __name__ == "__main__":
    main()
