from feeds.feeder.network.acknowledgements import Acknowledgements


def test_requests_are_complete_when_each_is_acknowledged_or_refused():
    acknowledgements = Acknowledgements()
    acknowledgements.request(["A", "B"], now=0.0)
    assert not acknowledgements.is_complete

    acknowledgements.acknowledge(["A"])
    acknowledgements.remove(["B"])
    assert acknowledgements.is_complete
    assert acknowledgements.acknowledged == {"A"}


def test_an_unanswered_request_is_repeated_once_and_then_unknown():
    acknowledgements = Acknowledgements(timeout=10.0)
    acknowledgements.request(["A", "B"], now=0.0)
    acknowledgements.acknowledge(["A"])

    assert acknowledgements.take_overdue(9.9) == ([], [])
    assert acknowledgements.take_overdue(10.0) == (["B"], [])
    acknowledgements.request(["B"], now=10.0)
    assert acknowledgements.take_overdue(20.0) == ([], ["B"])
    assert acknowledgements.is_complete


def test_a_symbol_that_was_removed_can_be_requested_anew():
    acknowledgements = Acknowledgements(timeout=1.0)
    acknowledgements.request(["A"], now=0.0)
    acknowledgements.take_overdue(1.0)
    acknowledgements.remove(["A"])
    acknowledgements.request(["A"], now=5.0)

    assert acknowledgements.take_overdue(6.0) == (["A"], [])
