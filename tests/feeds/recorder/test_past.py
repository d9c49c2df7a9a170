from feeds.recorder.past import NO_PAST, Past, PreviousDay, find_previous_day

TODAY = 739_942


def past(*days: tuple[int, float]) -> Past:
    return Past(days=[PreviousDay(*day) for day in days])


def test_without_a_past_the_last_recorded_day_counts():
    assert find_previous_day(PreviousDay(TODAY - 1, 5.0), NO_PAST, TODAY) == (TODAY - 1, 5.0)
    assert find_previous_day(None, NO_PAST, TODAY) is None


def test_a_day_of_the_past_counts_if_no_later_day_is_recorded():
    assert find_previous_day(None, past((TODAY - 1, 7.0), (TODAY - 2, 8.0)), TODAY) == (TODAY - 1, 7.0)
    assert find_previous_day(PreviousDay(TODAY - 1, 5.0), past((TODAY - 2, 7.0)), TODAY) == (TODAY - 1, 5.0)


def test_the_past_counts_if_it_has_the_recorded_day():
    assert find_previous_day(PreviousDay(TODAY - 1, 5.0), past((TODAY - 1, 7.0)), TODAY) == (TODAY - 1, 7.0)


def test_a_day_of_the_past_that_is_not_before_the_newest_day_does_not_count():
    assert find_previous_day(None, past((TODAY, 7.0), (TODAY - 1, 8.0)), TODAY) == (TODAY - 1, 8.0)
