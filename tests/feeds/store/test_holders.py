from os import getpid
from subprocess import Popen

import pytest

from feeds.store.holders import Holder, is_alive, parse_holder


def holder(host: str = "host-a", pid: int = 100, run: str = "run-1", alive: bool = True) -> Holder:
    return Holder(is_alive=lambda _pid: alive, host=host, pid=pid, run=run)


def test_a_process_is_alive_until_it_is_reaped():
    process = Popen(["true"])
    process.wait()

    assert is_alive(getpid())
    assert is_alive(1)
    assert not is_alive(process.pid)


def test_two_holders_of_one_process_have_different_names_and_are_alive():
    first, second = Holder(), Holder()

    assert first.name != second.name
    assert first.name.split(":")[1] == str(getpid())
    assert not first.is_dead(second.name)


def test_a_process_of_this_host_that_has_ended_is_dead():
    assert holder(alive=False).is_dead(holder(pid=200).name)
    assert not holder(alive=True).is_dead(holder(pid=200).name)


def test_an_earlier_run_with_our_process_id_is_dead():
    assert holder(run="run-2").is_dead(holder(run="run-1").name)
    assert holder().is_dead("host-a:100:0123abcd")


def test_a_process_of_another_host_is_never_dead():
    assert not holder(alive=False).is_dead(holder(host="host-b").name)


@pytest.mark.parametrize("name", ["", "x", "host-a:", "host-a:0:1", "host-a:-1:1", "host-a:ⅷ:1", "host-a:" + "9" * 11])
def test_an_unknown_format_is_never_dead(name: str):
    assert parse_holder(name) == ("an unknown host", 0, "")
    assert not holder(alive=False).is_dead(name)
