from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from watchlist.formatting.moments import from_microseconds, to_microseconds, write_moment

MOMENT = datetime(2026, 11, 22, 23, 59, 59, 900_000, tzinfo=UTC)


def test_a_time_gets_its_date_when_the_next_day_begins():
    assert write_moment(MOMENT, MOMENT) == "23:59:59 UTC"
    assert write_moment(MOMENT, MOMENT + timedelta(milliseconds=100)) == "2026-11-22 23:59 UTC"
    assert write_moment(MOMENT, MOMENT) == "23:59:59 UTC"


def test_each_person_sees_the_time_and_the_day_of_the_own_zone():
    tokyo, berlin = ZoneInfo("Asia/Tokyo"), ZoneInfo("Europe/Berlin")
    for _ in range(2):
        assert write_moment(MOMENT, MOMENT, tokyo) == "08:59:59 JST"
        assert write_moment(MOMENT, MOMENT, berlin) == "00:59:59 CET"
        assert write_moment(MOMENT, MOMENT) == "23:59:59 UTC"
    assert write_moment(MOMENT - timedelta(hours=1), MOMENT, berlin) == "2026-11-22 23:59 CET"


def test_fractions_of_a_second_are_cut_off():
    assert write_moment(MOMENT.replace(microsecond=0), MOMENT) == write_moment(MOMENT, MOMENT) == "23:59:59 UTC"


def test_unix_microseconds_are_exact():
    late = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=ZoneInfo("UTC"))
    for moment, number in [(MOMENT, 1_795_391_999_900_000), (late, 253_402_300_799_999_999)]:
        assert to_microseconds(moment) == number
        assert from_microseconds(number) == moment
