import json

import pytest

from stockwatch.doctor.finding import (
    MAX_CHARACTERS,
    Level,
    clean,
    failed,
    find_exit_status,
    format_findings,
    judge,
    passed,
    warned,
)
from stockwatch.doctor.redis_limits import find_buffer_fault, find_memory_fault, read_version

FINDINGS = [passed("redis", "answers"), warned("clock", "is late", "set it"), failed("disk", "is full", "delete files")]


def test_each_result_is_a_line_with_its_level_and_what_to_do():
    assert format_findings(FINDINGS, as_json=False).split("\n") == [
        "ok    redis  answers",
        "warn  clock  is late: set it",
        "FAIL  disk   is full: delete files",
    ]
    assert format_findings([], as_json=False) == ""


def test_programs_get_an_object_with_all_results():
    assert json.loads(format_findings(FINDINGS[:2], as_json=True)) == {
        "ok": True,
        "findings": [
            {"subject": "redis", "level": "ok", "found": "answers", "advice": ""},
            {"subject": "clock", "level": "warn", "found": "is late", "advice": "set it"},
        ],
    }


def test_only_a_failed_check_makes_the_exit_status_1():
    assert find_exit_status(FINDINGS[:2]) == 0
    assert find_exit_status(FINDINGS) == 1
    assert judge("a", True, "found", "advice") == failed("a", "found", "advice")
    assert judge("a", False, "found", "advice") == passed("a", "found")


def test_a_result_has_neither_secrets_nor_control_characters_and_a_limited_length():
    found = clean(failed("redis", "pass\x1b[31m at hunter2!\nhunter", "hunter2 " * 100), ["hunter", "hunter2", ""])
    assert found.found == "pass [31m at …! …"
    assert found.advice == ("… " * 100).strip()
    assert len(clean(passed("redis", "x" * 1000), []).found) == MAX_CHARACTERS + 1


@pytest.mark.parametrize(
    ("limit", "used", "policy", "level"),
    [
        (0, 10**9, "noeviction", Level.OK),
        (100, 50, "noeviction", Level.OK),
        (100, 95, "noeviction", Level.FAIL),
        (0, 10, "allkeys-lru", Level.WARN),
        (100, 10, "volatile-lru", Level.FAIL),
    ],
)
def test_the_limit_of_memory_and_its_policy_are_judged(limit: int, used: int, policy: str, level: Level):
    assert find_memory_fault(limit, used, policy)[0] is level


@pytest.mark.parametrize(
    ("limits", "is_fault"),
    [
        ("normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", False),
        ("pubsub 0 0 0", False),
        ("pubsub 1048576 8388608 60", True),
        ("pubsub 33554432 1024 1", True),
        ("", False),
    ],
)
def test_small_buffers_of_subscribers_are_a_fault(limits: str, is_fault: bool):
    assert bool(find_buffer_fault(limits)) is is_fault


def test_the_numbers_of_a_version_are_read():
    assert read_version("7.2.4") == (7, 2, 4)
    assert read_version("") == ()
