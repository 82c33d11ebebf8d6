import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.networks import Critic
from policies.normalizer import EmpiricalNormalizer, RunningMoments, ValueNormalizer


@st.composite
def batches(draw):
    """Rows with columns of very different location and scale, cut into batches at random."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = draw(st.integers(1, 60))
    location = rng.uniform(-1e3, 1e3, 3)
    data = location + rng.normal(size=(rows, 3)) * np.array([1e-2, 1.0, 1e2])
    cuts = sorted(draw(st.lists(st.integers(0, rows), max_size=5)))
    return torch.from_numpy(data), [torch.from_numpy(part) for part in np.split(data, cuts)]


@settings(deadline=None, max_examples=50)
@given(batches())
def test_moments_of_batches_are_those_of_everything_at_once(case):
    everything, parts = case
    moments = RunningMoments(3)
    for part in parts:
        moments.update(part)
    np.testing.assert_allclose(moments.mean.numpy(), everything.mean(0).numpy(), rtol=1e-12)
    np.testing.assert_allclose(moments.var.numpy(), everything.numpy().var(0), rtol=1e-6, atol=1e-12)
    assert moments.count == len(everything)


def test_leading_axes_are_rows():
    x = torch.randn(4, 5, 2, generator=torch.Generator().manual_seed(0))
    moments = RunningMoments(2)
    moments.update(x)
    torch.testing.assert_close(moments.mean, x.double().mean((0, 1)))
    assert moments.count == 20


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_rows_that_are_not_finite_are_left_out(bad):
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    spoilt = torch.cat([x, torch.tensor([[0.0, bad, 0.0]])])
    clean, moments = RunningMoments(3), RunningMoments(3)
    clean.update(x)
    moments.update(spoilt)
    torch.testing.assert_close(moments.mean, clean.mean)
    torch.testing.assert_close(moments.var, clean.var)
    assert moments.count == 50


def test_a_batch_without_finite_rows_changes_nothing():
    moments = RunningMoments(1)
    moments.update(torch.full((3, 1), torch.nan))
    moments.update(torch.zeros(0, 1))
    assert (moments.mean, moments.var, moments.count) == (0.0, 1.0, 0.0)


def test_precision_survives_a_long_run():
    moments = RunningMoments(1)
    moments.update(torch.tensor([[-1.0], [1.0]]))
    moments.count.fill_(1e10)  # float32 could not add the next batch to this
    moments.update(torch.full((1000, 1), 5.0))
    assert moments.count == 1e10 + 1000
    assert moments.mean.item() == pytest.approx(5.0 * 1000 / (1e10 + 1000), rel=1e-6)


def test_old_rows_fade_beyond_the_horizon():
    moments = RunningMoments(1, horizon=100.0)
    moments.update(torch.zeros(10_000, 1))
    for _ in range(30):
        moments.update(torch.ones(50, 1))
    assert moments.mean.item() == pytest.approx(1.0, abs=1e-4)
    unlimited = RunningMoments(1)
    unlimited.update(torch.zeros(10_000, 1))
    unlimited.update(torch.ones(1500, 1))
    assert unlimited.mean.item() == pytest.approx(1500 / 11_500)


def test_normaliser_gives_zero_mean_unit_deviation_and_clips():
    x = 3.0 + 20.0 * torch.randn(5000, 2, generator=torch.Generator().manual_seed(0))
    normalizer = EmpiricalNormalizer(2, clip=5.0)
    normalizer.update(x)
    y = normalizer(x)
    torch.testing.assert_close(y.mean(0), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(y.std(0), torch.ones(2), atol=1e-2, rtol=0)
    assert normalizer(torch.full((1, 2), 1e9)).max() == 5.0
    assert normalizer(torch.full((1, 2), -1e9)).min() == -5.0


def test_a_feature_that_never_varies_is_not_blown_up():
    normalizer = EmpiricalNormalizer(1)
    normalizer.update(torch.full((1000, 1), 0.7))
    assert normalizer(torch.tensor([[0.701]])).abs().max() < 0.2


@pytest.mark.parametrize("still", ["eval", "freeze"])
def test_evaluation_and_freezing_keep_the_statistics(still):
    normalizer = EmpiricalNormalizer(2)
    normalizer.update(torch.randn(100, 2, generator=torch.Generator().manual_seed(0)))
    before = {name: value.clone() for name, value in normalizer.state_dict().items()}
    getattr(normalizer, still)()
    normalizer.update(torch.full((100, 2), 9.0))
    for name, value in normalizer.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_statistics_travel_with_the_state():
    normalizer, copy = EmpiricalNormalizer(2), EmpiricalNormalizer(2)
    normalizer.update(4.0 + torch.randn(100, 2, generator=torch.Generator().manual_seed(0)))
    copy.load_state_dict(normalizer.state_dict())
    x = torch.randn(10, 2)
    assert torch.equal(copy(x), normalizer(x))


def test_value_normaliser_undoes_itself():
    normalizer = ValueNormalizer()
    normalizer.update(100.0 + 30.0 * torch.randn(1000, 1, generator=torch.Generator().manual_seed(0)))
    returns = torch.tensor([-5.0, 0.0, 100.0, 250.0])
    torch.testing.assert_close(normalizer.denormalize(normalizer.normalize(returns)), returns)
    assert normalizer.normalize(torch.tensor([100.0])).abs() < 0.1


@settings(deadline=None, max_examples=20)
@given(mean=st.floats(-1e3, 1e3), std=st.floats(1e-2, 1e3))
def test_new_return_statistics_do_not_change_a_value(mean, std):
    torch.manual_seed(0)
    critic = Critic(3, (8,))
    x = torch.randn(20, 3)
    before = critic(x)
    critic.absorb_returns(mean + std * torch.randn(6, 50))
    torch.testing.assert_close(critic(x), before, rtol=1e-3, atol=1e-4 * (1.0 + abs(mean)))
    critic.absorb_returns(-mean + 2.0 * std * torch.randn(6, 50))
    torch.testing.assert_close(critic(x), before, rtol=1e-3, atol=1e-4 * (1.0 + abs(mean)))
