"""Cuts and mends the connections of brokers that run on machines of their own."""

import json

from tests.support.kafka.brokers import Broker
from tests.support.network import Network


class Connections:
    """The connections of the brokers. `cut` breaks them, and `mend` restores all of them."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._cut: list[Broker] = []

    def cut(self, node: Broker, clients_too: bool) -> None:
        """Cuts a broker off from the other brokers, and from its clients if `clients_too` is set."""
        node.cut_off = True
        self._cut.append(node)
        self._network.cut(node.place.machine)
        if clients_too:
            self._network.cut_from_host(node.place.machine)

    def mend(self) -> None:
        """Mends all connections."""
        while self._cut:
            node = self._cut.pop()
            self._network.mend(node.place.machine)
            self._network.mend_to_host(node.place.machine)
            node.cut_off = False


def active_controller(node: Broker) -> int:
    """Returns the number of the broker that is the active controller, as this broker has stored it; 0 if none is."""
    state = json.loads((node.folder / "log" / "__cluster_metadata-0" / "quorum-state").read_text())
    return max(int(state["leaderId"]), 0)
