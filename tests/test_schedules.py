"""Every schedule is a rising sequence of removals that ends at exactly everything."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from methods.schedules import Exchange, gradual, iterative, one_shot, rigl


@given(steps=st.integers(0, 5000), rounds=st.integers(1, 20), frequency=st.integers(1, 200), end=st.floats(0.1, 0.9))
def test_removals_rise_in_time_to_exactly_everything(steps, rounds, frequency, end):
    assume(round(end * steps) >= frequency)
    for removals in (
        one_shot(steps),
        iterative(steps, rounds=rounds, end=end),
        gradual(steps, end=end, frequency=frequency),
    ):
        times, shares = zip(*removals, strict=True)
        assert list(times) == sorted(times) and times[0] >= 0 and times[-1] <= steps
        assert list(shares) == sorted(shares) and shares[0] > 0
        assert shares[-1] == 1


def test_gradual_is_zhu_and_guptas_equation():
    """s_t = s_f (1 − (1 − (t − t0)/(n Δt))³), at t = t0 + i Δt: with s_f = 1, t0 = 200, n = 4, Δt = 100."""
    assert gradual(1000, begin=0.2, end=0.6, frequency=100) == [
        (300, 1 - 0.75**3),
        (400, 1 - 0.5**3),
        (500, 1 - 0.25**3),
        (600, 1.0),
    ]


def test_gradual_takes_most_at_first():
    shares = [0.0, *(share for _, share in gradual(1000, frequency=50))]
    taken = [b - a for a, b in zip(shares, shares[1:], strict=False)]
    assert taken == sorted(taken, reverse=True)


def test_iterative_takes_equal_shares_and_starts_at_once():
    assert iterative(100, rounds=5, end=0.8) == [(0, 0.2), (20, 0.4), (40, 0.6), (60, 0.8), (80, 1.0)]


@pytest.mark.parametrize("options", [{"frequency": 100}, {"frequency": 0}, {"begin": 0.6, "end": 0.5}, {"end": 1.5}])
def test_a_gradual_schedule_that_does_not_fit_says_why(options):
    with pytest.raises(ValueError, match="choose 0 <= begin|lower schedule.frequency"):
        gradual(60, **options)


@pytest.mark.parametrize("options", [{"rounds": 0}, {"end": 1.0}])
def test_an_iterative_schedule_that_does_not_fit_says_why(options):
    with pytest.raises(ValueError, match="choose rounds >= 1"):
        iterative(60, **options)


def test_exchanges_follow_a_falling_cosine():
    """α/2 (1 + cos(π t / T)) with α = 0.4 and T = 600: at its quarters, and no more from T on."""
    half = 0.5**0.5
    removal, *exchanges = rigl(800, fraction=0.4, end=0.75, frequency=150)
    assert removal == (0, 1.0)
    assert [step for step, _ in exchanges] == [150, 300, 450]
    assert [e.fraction for e in exchanges] == pytest.approx([0.2 * (1 + half), 0.2, 0.2 * (1 - half)])


@given(steps=st.integers(10, 2000), frequency=st.integers(1, 200), end=st.floats(0.1, 1), fraction=st.floats(0.01, 1))
def test_exchanges_end_before_recovery_does_and_fall(steps, frequency, end, fraction):
    assume(round(end * steps) > frequency)
    _, *exchanges = rigl(steps, fraction=fraction, end=end, frequency=frequency)
    fractions = [e.fraction for e in exchanges]
    assert all(isinstance(e, Exchange) and e.step % frequency == 0 and e.step < round(end * steps) for e in exchanges)
    assert fractions == sorted(fractions, reverse=True) and fraction >= fractions[0] and fractions[-1] > 0


@pytest.mark.parametrize("options", [{"fraction": 0.0}, {"end": 1.5}, {"frequency": 45}, {"frequency": 0}])
def test_exchanges_that_do_not_fit_say_why(options):
    with pytest.raises(ValueError, match="choose 0 < fraction, end <= 1|choose schedule.frequency >= 1"):
        rigl(60, **options)
