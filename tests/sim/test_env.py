"""The vectorised environment: timing, episode ends, randomisation, logs and checkpoints."""

import dataclasses
import io
import itertools
import math

import pytest
import torch
from go2_states import DEFAULT, JOINTS, ROBOT, assert_same, place, snapshot

import sim.tasks
from contract.errors import UsageError
from domain_rand.distributions import Uniform
from domain_rand.presets import QUADRUPED
from domain_rand.randomiser import EpisodeRandomiser, ReplayRandomiser
from domain_rand.spec import Randomisation, Term
from sim.env import VecEnv
from sim.sensors import MAX_SENSOR_DELAY
from sim.symmetry import MirrorKind
from sim.tasks.task import CriticTerm, InitialState

TASK = sim.tasks.load("go2-velocity-flat")
UPSIDE_DOWN = torch.tensor([0.0, 1.0, 0.0, 0.0])


@pytest.fixture(autouse=True)
def _mujoco_log_elsewhere(tmp_path, monkeypatch):
    """MuJoCo appends its warnings to a file in the working directory."""
    monkeypatch.chdir(tmp_path)


def _env(num_envs=2, task=TASK, **options):
    return VecEnv(task, num_envs, threads=0, **options)


def _fixed(num_envs, **values):
    """A randomiser that gives these values, one number for all environments or one each, in every episode."""
    sizes = {name: p.size for name, p in _parameters().items()}
    draws = {}
    for name, value in values.items():
        column = torch.as_tensor(value, dtype=torch.float32).reshape(-1, 1)
        draws[name] = column.expand(num_envs, sizes[name]).clone()
    return ReplayRandomiser(draws)


def _parameters():
    env = _env(1)
    try:
        return env.parameters
    finally:
        env.close()


def _wiggle(env):
    """A policy that depends on every signal."""
    parts = [v.sum(dim=1, keepdim=True) for v in env.signals.values()]
    return DEFAULT + 0.2 * torch.sin(sum(parts) + torch.arange(JOINTS))


def _record(env, monkeypatch, method):
    """Arguments of every call of an engine's method, which still happens."""
    calls, original = [], getattr(env.engine, method)

    def recorder(*args):
        calls.append(tuple(a.clone() for a in args))
        return original(*args)

    monkeypatch.setattr(env.engine, method, recorder)
    return calls


# -- a step -----------------------------------------------------------------------------------------------------


def test_no_environment_is_refused():
    with pytest.raises(UsageError, match="num_envs must be at least 1, got 0"):
        _env(0)


def test_signals_are_those_that_the_task_declares():
    env = _env(3)
    for _ in range(2):
        assert {n: tuple(v.shape[1:]) for n, v in env.signals.items()} == {s.name: s.shape for s in TASK.signals}
        assert all(v.dtype == torch.float32 and v.shape[0] == 3 for v in env.signals.values())
        env.step(_wiggle(env))


def test_shapes_of_a_result():
    env = _env(3)
    result = env.step(_wiggle(env))
    for field in ("reward", "terminated", "truncated", "done", "diverged", "tracking_error"):
        assert getattr(result, field).shape == (3,), field
    assert set(result.reward_terms) == {t.name for t in TASK.rewards}
    assert env.critic_obs().shape == (3, env.critic_dim)
    assert torch.equal(env.critic_obs(torch.tensor([2, 0])), env.critic_obs()[[2, 0]])


def test_targets_reach_the_motors_late_by_physics_steps(monkeypatch):
    """A delay is rounded to physics steps of 5 ms: a target late by less than half a step is there for all of it."""
    delays = [0.002, 0.005, 0.008, 0.01, 0.02]
    env = _env(5, randomiser=_fixed(5, action_delay=delays))
    calls = _record(env, monkeypatch, "step")
    old, new = env.joint_target.clone(), DEFAULT.repeat(5, 1) + 0.1
    env.step(new)
    env.step(new + 0.1)
    first, second = calls[0][0], calls[1][0]
    for i, late in enumerate([0, 1, 2, 2, 4]):
        assert torch.equal(first[i], torch.cat([old[i].expand(late, -1), new[i].expand(4 - late, -1)]))
        assert torch.equal(second[i], torch.cat([new[i].expand(late, -1), new[i].expand(4 - late, -1) + 0.1]))


def test_motors_miss_a_target_by_the_offset_of_their_encoders(monkeypatch):
    """They close their loop on the position that they read, as the policy does."""
    env = _env(2, randomiser=_fixed(2, encoder_offset=[0.0, 0.02]))
    calls = _record(env, monkeypatch, "step")
    env.step(DEFAULT.repeat(2, 1))
    assert torch.allclose(calls[0][0][0], DEFAULT.expand(4, -1))
    assert torch.allclose(calls[0][0][1], DEFAULT.expand(4, -1) - 0.02)
    read_minus_true = env.signals["joint_pos"] - env.state.joint_pos
    assert torch.allclose(read_minus_true, torch.tensor([[0.0], [0.02]]).expand(2, JOINTS), atol=1e-6)


@pytest.mark.parametrize(("name", "longest"), [("action_delay", 0.02), ("sensor_delay", MAX_SENSOR_DELAY)])
def test_a_delay_that_cannot_be_played_is_refused(name, longest):
    _env(1, randomiser=_fixed(1, **{name: longest})).close()
    for value in (longest + 0.005, -0.005, math.nan):
        with pytest.raises(UsageError, match=f"{name} must lie between 0 and {longest} s"):
            _env(1, randomiser=_fixed(1, **{name: value}))


def test_the_callers_tensor_is_neither_kept_nor_changed():
    task = TASK.with_episode(0.06)
    one, other = _env(2, task), _env(2, task)
    buffer = torch.empty(2, JOINTS)
    for i in range(6):
        target = DEFAULT + 0.1 * math.sin(i) * torch.ones(2, 1)
        buffer.copy_(target)
        a, b = one.step(buffer), other.step(target)
        assert torch.equal(buffer, target)
        assert torch.equal(a.reward, b.reward)
        buffer.fill_(math.nan)


def test_rewards_are_weighted_terms_by_the_second():
    terms = tuple(dataclasses.replace(t, ramped=False) for t in TASK.rewards)
    env = _env(4, dataclasses.replace(TASK, rewards=terms, positive_reward=False), auto_reset=False)
    for _ in range(3):
        result = env.step(_wiggle(env))
    for term in terms:
        if term.name == "air_time":  # looks at what the step forgets afterwards
            continue
        expected = term.weight * TASK.control_period * term.function(env)
        assert torch.allclose(result.reward_terms[term.name], expected), term.name
    assert torch.allclose(result.reward, torch.stack(list(result.reward_terms.values())).sum(dim=0))


def test_ramped_terms_grow_to_their_weight():
    task = dataclasses.replace(TASK, penalty_ramp=10, penalty_start=0.25)
    env = _env(2, task)
    factors = []
    for _ in range(12):
        factors.append(env.penalty_factor())
        env.step(_wiggle(env))
    assert factors[0] == 0.25
    assert factors[5] == pytest.approx(0.25 + 0.75 * 0.5)
    assert factors[10:] == [1.0, 1.0]
    assert _env(1, dataclasses.replace(TASK, penalty_ramp=0)).penalty_factor() == 1.0


# -- the end of an episode --------------------------------------------------------------------------------------


def test_a_fall_terminates_the_end_of_time_truncates_and_a_fall_at_the_end_of_time_is_a_fall():
    env = _env(3, TASK.with_episode(0.1), auto_reset=False)
    for _ in range(4):
        assert not env.step(_wiggle(env)).done.any()
    place(env.engine, [1], height=1.0, root_quat=UPSIDE_DOWN)
    result = env.step(_wiggle(env))
    assert result.terminated.tolist() == [False, True, False]
    assert result.truncated.tolist() == [True, False, True]
    assert result.done.all()


def test_touching_the_ground_with_the_base_terminates():
    env = _env(2, auto_reset=False)
    place(env.engine, [1], height=0.056, joint_pos=torch.tensor(ROBOT.rest_pose))
    assert env.step(torch.stack([DEFAULT, torch.tensor(ROBOT.rest_pose)])).terminated.tolist() == [False, True]


def test_the_critic_sees_the_last_state_of_what_ran_out_of_time():
    critic = (
        CriticTerm("env", lambda env: torch.arange(env.num_envs)[:, None].float(), MirrorKind.SCALAR),
        CriticTerm("step", lambda env: env.episode_step[:, None].float(), MirrorKind.SCALAR),
        CriticTerm("root_pos", lambda env: env.state.root_pos, MirrorKind.VECTOR),
    )
    env = _env(4, dataclasses.replace(TASK, critic=critic).with_episode(0.2))
    env.episode_step[:] = torch.tensor([9, 2, 9, 9])
    for i in range(4):
        place(env.engine, [i], height=2.0 + i, root_quat=UPSIDE_DOWN if i == 2 else torch.tensor([1.0, 0, 0, 0]))
    result = env.step(_wiggle(env))
    assert result.truncated.tolist() == [True, False, False, True]
    assert result.terminated.tolist() == [False, False, True, False]
    assert result.final_critic_obs[:, :2].tolist() == [[0.0, 10.0], [3.0, 10.0]]
    assert torch.allclose(result.final_critic_obs[:, 4], torch.tensor([2.0, 5.0]), atol=0.01)
    after = env.critic_obs()
    assert after[:, 1].tolist() == [0.0, 3.0, 0.0, 0.0]
    assert (after[[0, 2, 3], 4] < 0.5).all()

    assert env.step(_wiggle(env)).final_critic_obs.shape == (0, env.critic_dim)


def test_a_finished_episode_begins_anew_at_once_and_alone():
    task = dataclasses.replace(TASK, initial=InitialState())
    env = _env(3, task)
    env.episode_step[:] = torch.tensor([5, env.max_steps - 1, 7])
    index, air = env.episode_index.clone(), env.state.root_pos.clone()
    result = env.step(DEFAULT.repeat(3, 1) + 0.2)
    assert result.done.tolist() == [False, True, False]
    assert env.episode_step.tolist() == [6, 0, 8]
    assert (env.episode_index - index).tolist() == [0, 1, 0]
    assert torch.allclose(env.state.root_pos[1], torch.tensor([0.0, 0.0, ROBOT.standing_height]))
    assert not torch.equal(env.state.root_pos[0], air[0])
    # Sensors, targets and contacts are those of the new episode.
    assert torch.allclose(env.signals["joint_pos"][1], DEFAULT)
    assert torch.allclose(env.signals["joint_vel"][1], torch.zeros(JOINTS))
    assert torch.equal(env.joint_target[1], DEFAULT)
    assert torch.equal(env.last_joint_target[1], DEFAULT)
    assert not env.foot_contact[1].any()
    assert (env.air_time[1] == 0.0).all()
    assert env.episode_return[1] == 0.0


def test_without_auto_reset_an_environment_idles_on():
    env = _env(2, TASK.with_episode(0.04), auto_reset=False)
    assert env.episode_step.tolist() == [0, 0]
    for _ in range(4):
        env.step(_wiggle(env))
    assert env.episode_step.tolist() == [4, 4]
    assert env.episode_index.tolist() == [0, 0]
    assert env.finished == []


def test_first_episodes_are_scattered_over_the_clock_and_logged_with_their_true_length():
    env = _env(16, TASK.with_episode(0.4))
    start = env.episode_step.clone()
    assert start.unique().numel() > 5
    for _ in range(20):
        env.step(DEFAULT.repeat(16, 1))
    first = {e.env: e for e in env.finished if e.episode == 0}
    assert len(first) == 16
    assert all(e.steps == 20 - int(start[i]) for i, e in first.items() if not e.terminated)


# -- divergence -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("auto_reset", [True, False])
def test_a_diverged_environment_is_counted_and_poisons_nothing(auto_reset):
    env = _env(3, auto_reset=auto_reset, randomiser=_fixed(3, action_delay=0.01))
    env.step(_wiggle(env))
    target = DEFAULT.repeat(3, 1)
    target[1, 4] = math.nan
    result = env.step(target)
    assert result.diverged.tolist() == [False, True, False]
    assert result.terminated[1]
    assert not result.truncated[1]
    assert result.reward[1] == 0.0
    for _ in range(3):
        everything = [result.reward, result.tracking_error, env.critic_obs(), env.episode_return]
        everything += [*result.reward_terms.values(), *env.signals.values(), *snapshot(env.engine).values()]
        assert all(torch.isfinite(v).all() for v in everything)
        result = env.step(DEFAULT.repeat(3, 1))
        assert not result.diverged.any()
    if auto_reset:
        assert [(e.env, e.terminated, e.diverged) for e in env.finished] == [(1, True, True)]


# -- randomisation ----------------------------------------------------------------------------------------------


def test_seeds_differ_and_a_seed_repeats():
    states = []
    for seed in (0, 0, 1):
        env = _env(2, seed=seed, randomiser=EpisodeRandomiser(QUADRUPED, seed))
        for _ in range(3):
            env.step(_wiggle(env))
        states.append(snapshot(env.engine))
        assert not torch.equal(env.state.joint_pos[0], env.state.joint_pos[1])
    assert_same(states[0], states[1])
    assert not torch.equal(states[0]["joint_pos"], states[2]["joint_pos"])


def test_an_unknown_parameter_is_refused_by_name():
    randomiser = EpisodeRandomiser(Randomisation((Term("ice", Uniform(0.0, 1.0)),)), 0)
    with pytest.raises(UsageError, match="no parameter 'ice'"):
        _env(1, randomiser=randomiser)


def test_a_logged_episode_can_be_drawn_again():
    seed = 5
    env = _env(3, TASK.with_episode(0.1), randomiser=EpisodeRandomiser(QUADRUPED, seed))
    seen = {}
    for _ in range(12):
        for i in range(3):
            seen[i, int(env.episode_index[i])] = {n: v[i].clone() for n, v in env.draws.items()}
        env.step(_wiggle(env))
    assert len(env.finished) >= 6
    again = EpisodeRandomiser(QUADRUPED, seed)
    again.bind(env.parameters)
    for episode in env.finished:
        draw = again.draw(torch.tensor([episode.env]).numpy(), torch.tensor([episode.episode]).numpy())
        recorded = seen[episode.env, episode.episode]
        assert draw.keys() == recorded.keys() == {t.parameter for t in QUADRUPED.terms}
        assert all(torch.equal(draw[n][0], recorded[n]) for n in draw)


def test_draws_reach_the_engine_the_sensors_and_the_critic():
    env = _env(2, randomiser=EpisodeRandomiser(QUADRUPED, 3))
    engine = env.engine._values
    for name, value in env.draws.items():
        assert torch.equal(env.parameter(name), value)
        if name in engine:
            assert torch.equal(torch.from_numpy(engine[name]).float(), value), name
        elif name in env.sensors.values:
            assert torch.equal(env.sensors.values[name], value), name
    nominal = _env(2)
    assert torch.equal(nominal.parameter("payload_mass"), torch.zeros(2, 1))
    assert torch.equal(nominal.parameter("motor_strength"), torch.ones(2, JOINTS))


def test_replayed_draws_give_the_same_physics():
    drawn = _env(3, randomiser=EpisodeRandomiser(QUADRUPED, 9), auto_reset=False)
    replayed = _env(3, randomiser=ReplayRandomiser(drawn.draws), auto_reset=False)
    nominal = _env(3, auto_reset=False)
    for _ in range(15):
        for env in (drawn, replayed, nominal):
            env.step(_wiggle(env))
    assert_same(snapshot(drawn.engine), snapshot(replayed.engine))
    assert not torch.equal(drawn.state.joint_pos, nominal.state.joint_pos)


def test_pushes_strike_at_their_interval_with_their_speed_in_all_directions(monkeypatch):
    n, interval = 64, torch.linspace(0.1, 0.3, 64)
    interval[0] = 0.0  # no pushes
    env = _env(n, auto_reset=False, randomiser=_fixed(n, push_interval=interval, push_speed=0.4, push_spin=0.2))
    calls = _record(env, monkeypatch, "push")
    struck = [[] for _ in range(n)]
    for step in range(60):
        before = len(calls)
        env.step(DEFAULT.repeat(n, 1))
        for ids, _, _ in calls[before:]:
            for i in ids.tolist():
                struck[i].append((step + 1) * 0.02)
    assert struck[0] == []
    for i in range(1, n):
        times, wanted = struck[i], interval[i].item()
        assert times[0] <= wanted + 0.02 + 1e-4
        gaps = [b - a for a, b in itertools.pairwise(times)]
        assert all(wanted - 1e-4 <= gap <= wanted + 0.02 + 1e-4 for gap in gaps)
    linear, angular = (torch.cat([c[k] for c in calls]) for k in (1, 2))
    assert torch.allclose(linear.norm(dim=1), torch.tensor(0.4))
    assert (linear[:, 2] == 0.0).all()
    assert torch.allclose(angular.abs(), torch.tensor([0.0, 0.0, 0.2]).expand_as(angular))
    # Every quadrant of direction meets both senses of spin.
    for x in (-1, 1):
        for y in (-1, 1):
            for spin in (-1, 1):
                assert ((linear[:, 0] * x > 0) & (linear[:, 1] * y > 0) & (angular[:, 2] * spin > 0)).any()


def test_initial_states_fill_their_spread():
    env = _env(64, dataclasses.replace(TASK, initial=InitialState(0.05, 0.3, 0.4, 0.15, 0.5)))
    state = env.state
    height = state.root_pos[:, 2] - ROBOT.standing_height
    for value, lower, upper in (
        (height, 0.0, 0.05),
        (state.root_lin_vel, -0.3, 0.3),
        (state.root_ang_vel, -0.4, 0.4),
        (state.joint_pos - DEFAULT, -0.15, 0.15),
        (state.joint_vel, -0.5, 0.5),
    ):
        span = upper - lower
        assert value.min() >= lower - 1e-6
        assert value.max() <= upper + 1e-6
        assert value.min() < lower + 0.1 * span
        assert value.max() > upper - 0.1 * span
    heading = 2 * torch.atan2(state.root_quat[:, 3], state.root_quat[:, 0])
    assert torch.histc(heading.remainder(2 * torch.pi), 4, 0, 2 * torch.pi).min() > 4


# -- checkpoints ------------------------------------------------------------------------------------------------


def test_a_loaded_environment_goes_on_bit_for_bit():
    """With randomisation, pushes, delays, resets and command changes between, from another seed's environment."""
    task = dataclasses.replace(TASK.with_episode(0.3), command=dataclasses.replace(TASK.command, hold=(0.1, 0.2)))
    terms = tuple(t for t in QUADRUPED.terms if t.parameter != "push_interval")
    spec = Randomisation((*terms, Term("push_interval", Uniform(0.05, 0.2))))
    env = _env(4, task, seed=1, randomiser=EpisodeRandomiser(spec, 1))
    other = _env(4, task, seed=2, randomiser=EpisodeRandomiser(spec, 1))
    for _ in range(7):
        env.step(_wiggle(env))
    other.step(_wiggle(other))
    file = io.BytesIO()
    torch.save(env.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(env.critic_obs(), other.critic_obs())
    resets = 0
    for _ in range(20):
        assert all(torch.equal(env.signals[n], other.signals[n]) for n in env.signals)
        a, b = env.step(_wiggle(env)), other.step(_wiggle(other))
        for name in ("reward", "terminated", "truncated", "diverged", "final_critic_obs", "tracking_error"):
            assert torch.equal(getattr(a, name), getattr(b, name)), name
        assert all(torch.equal(a.reward_terms[n], b.reward_terms[n]) for n in a.reward_terms)
        assert_same(snapshot(env.engine), snapshot(other.engine))
        assert torch.equal(env.critic_obs(), other.critic_obs())
        resets += int(a.done.sum())
    assert resets >= 4
    assert env.total_steps == other.total_steps


def test_a_checkpoint_of_another_size_is_refused():
    state = _env(3).state_dict()
    with pytest.raises(UsageError, match="holds 3 environments and this run 2: use --num-envs 3"):
        _env(2).load_state_dict(state)
