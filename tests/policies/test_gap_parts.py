"""The instruments of the comparison, each on data whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import contract.robots
from contract.errors import UsageError
from policies.evaluation import Bar
from policies.gap import verdict as gap_verdict
from policies.gap.course import course
from policies.gap.equivalent import Equivalent, Explanation
from policies.gap.finding import Finding, listed
from policies.gap.joints import match, match_moves
from policies.gap.motors import identify
from policies.gap.parting import Channel, Parting, first_to_part, partings
from policies.gap.physics import Difference, Touch, touch
from policies.gap.response import Response, wild
from policies.gap.state import State
from sim import tasks

GO2 = contract.robots.load("unitree_go2")
JOINTS = GO2.num_joints
PERIOD = 0.02  # s

permutations = st.permutations(range(JOINTS))
signs = st.lists(st.sampled_from([-1.0, 1.0]), min_size=JOINTS, max_size=JOINTS)


@given(permutations, signs, st.integers(0, 1000))
@settings(max_examples=25)
def test_a_map_of_joints_is_recognised(order: list[int], sign: list[float], seed: int) -> None:
    given_values = np.random.default_rng(seed).normal(size=(40, JOINTS))
    offset = np.linspace(-1.0, 1.0, JOINTS)
    found = match(np.array(sign) * given_values[:, order] + offset, given_values)
    assert found.source.tolist() == order
    assert found.sign.tolist() == sign
    assert found.offset == pytest.approx(offset)
    assert found.residual.max() < 1e-9
    assert set(found.moved) == {i for i in range(JOINTS) if order[i] != i or sign[i] < 0}


def test_noise_is_no_map() -> None:
    generator = np.random.default_rng(0)
    found = match(generator.normal(size=(40, 3)), generator.normal(size=(40, 3)))
    assert not found.moved
    assert found.residual.min() > 0.5


def test_a_map_is_told_in_words() -> None:
    names = ("a", "b", "c", "d")
    values = np.random.default_rng(0).normal(size=(40, 4))
    for order, sign, said in (
        ((1, 0, 2, 3), (1, 1, 1, 1), "a and b are swapped"),
        ((0, 1, 2, 3), (1, 1, -1, 1), "c is reversed"),
        ((1, 0, 2, 3), (-1, -1, 1, 1), "a and b are swapped and reversed"),
        ((1, 2, 0, 3), (1, 1, 1, 1), "a follows b, b follows c, c follows a"),
        ((0, 1, 2, 3), (1, 1, 1, 1), ""),
    ):
        assert match(np.array(sign) * values[:, order], values).describe(names) == said


@given(permutations, signs)
@settings(max_examples=25)
def test_joints_are_known_by_what_moves_with_them(order: list[int], sign: list[float]) -> None:
    reference = np.random.default_rng(1).uniform(0.005, 0.02, size=(JOINTS, 12))
    found = match_moves(np.array(sign)[:, None] * reference[order], reference, 1e-3)
    assert found is not None
    assert (found.source.tolist(), found.sign.tolist()) == (order, sign)


def test_joints_that_move_alike_are_not_guessed() -> None:
    reference = np.ones((2, 3))
    assert match_moves(reference, reference, 1e-3) is None
    assert match_moves(np.zeros((2, 3)), np.eye(2, 3), 1e-3) is None


def servo(
    start_and_target: tuple[State, np.ndarray], order: list[int], sign: float, offset: float, kp: float, kd: float
) -> Response:
    """Responses of motors that obey a known law at the start of the last physics step."""
    start, target = start_and_target
    generator = np.random.default_rng(3)
    last_pos = start.joint_pos + generator.normal(0.0, 0.02, start.joint_pos.shape)
    last_vel = start.joint_vel + generator.normal(0.0, 0.5, start.joint_vel.shape)
    asked = kp * (sign * target[:, order] + offset - last_pos) - kd * last_vel
    after = replace(start, joint_pos=last_pos + 0.005 * last_vel, joint_vel=last_vel - 0.3)
    return Response(
        start=start,
        target=target,
        placed=start,
        seen=start,
        after=after,
        torque=np.clip(asked, -GO2.joint_effort_limit, GO2.joint_effort_limit),
        contact=np.zeros((len(start), 1)),
        last_pos=last_pos,
        last_vel=last_vel,
        mean_vel=start.joint_vel,
        ends={},
    )


@given(
    st.sampled_from([list(range(JOINTS)), [2, 1, 0, *range(3, JOINTS)], list(np.roll(range(JOINTS), 3))]),
    st.sampled_from([1.0, -1.0]),
    st.floats(-0.5, 0.5),
    st.floats(10.0, 40.0),
    st.floats(0.1, 2.0),
)
@settings(max_examples=15)
def test_motors_are_identified(order: list[int], sign: float, offset: float, kp: float, kd: float) -> None:
    motors = identify(servo(wild(GO2, 400, 0), order, sign, offset, kp, kd), GO2)
    assert motors.source.tolist() == [int(i) for i in order]
    assert motors.sign.tolist() == [sign] * JOINTS
    assert motors.kp == pytest.approx(kp, rel=1e-3)
    assert motors.kd == pytest.approx(kd, rel=1e-2)
    assert motors.offset == pytest.approx(offset, abs=1e-3)
    assert motors.limit == pytest.approx(GO2.joint_effort_limit, rel=1e-6)


def test_a_motor_that_does_nothing_is_not_identified() -> None:
    response = servo(wild(GO2, 100, 0), list(range(JOINTS)), 1.0, 0.0, 25.0, 0.5)
    response.torque[:, 4] = 0.0
    motors = identify(response, GO2)
    assert [i for i in range(JOINTS) if np.isnan(motors.kp[i])] == [4]


def channel(group: str, signal: str, difference: np.ndarray) -> Channel:
    width = difference.shape[1]
    names = tuple(f"{signal}{i}" for i in range(width))
    at_end = group not in ("observation", "target")
    first = np.zeros_like(difference)
    return Channel(group, signal, ("1",) * width, names, at_end, first, difference, np.full(width, 0.1))


def steps(*parted: tuple[int, int, float]) -> np.ndarray:
    """Differences of ten steps and two elements: 0.05, and from each (step, element) on what is given."""
    values = np.full((10, 2), 0.05)
    for step, element, size in parted:
        values[step:, element] = size
    return values


def test_the_first_step_beyond_tolerance_is_found_with_its_element() -> None:
    found = partings(
        [
            channel("observation", "a", steps((6, 0, 0.2))),
            channel("observation", "b", steps((4, 1, -0.3), (5, 0, 0.9))),
            channel("torque", "t", steps((2, 0, 0.15))),
            channel("contact", "c", steps()),
        ],
        "closed",
        PERIOD,
    )
    observation, torque, contact = found
    assert (observation.signal, observation.element) == ("b", "b1")
    assert (observation.time, observation.size) == (pytest.approx(4 * PERIOD), 0.3)
    assert observation.largest == pytest.approx(9.0)
    assert torque.time == pytest.approx(3 * PERIOD)  # shown at the end of its step
    assert (contact.time, contact.largest) == (None, pytest.approx(0.5))
    assert first_to_part(found, PERIOD) is torque
    assert first_to_part([contact], PERIOD) is None


@given(st.integers(1, 8), st.integers(1, 8))
def test_of_one_step_the_cause_comes_first(torque_step: int, observation_step: int) -> None:
    found = partings(
        [
            channel("observation", "o", steps((observation_step, 0, 0.2))),
            channel("target", "p", steps((observation_step, 0, 0.2))),
            channel("torque", "t", steps((torque_step, 0, 0.2))),
        ],
        "closed",
        PERIOD,
    )
    first = first_to_part(found, PERIOD)
    assert first is not None
    assert first.group == ("observation" if observation_step <= torque_step else "torque")


def difference(where: str, channel: str, size: float, step: float = 0.0) -> Difference:
    return Difference(where, channel, "1", size, change=10.0, reset=1e-6, step=step, trained=1.0, worst="FL_calf_joint")


def sentences(rows: list[Difference], explanations: list[Explanation], touched: Touch | None = None) -> list[str]:
    return [f.sentence for f in gap_verdict.of_physics(rows, explanations, touched, "here", "there")]


UNEXPLAINED = [Explanation("air", (), 0.1), Explanation("ground", (), 0.2)]
CONTACT = difference("ground", "contact", 5.0)


def test_what_differs_on_the_ground_alone_is_contact() -> None:
    rows = [difference("ground", "joint velocity", 1.5), CONTACT, difference("air", "joint velocity", 0.001)]
    (said,) = sentences(rows, UNEXPLAINED, Touch(earlier=0.1, later=0.0, share=0.6))
    assert "from the states of the run, 1.5 times what training varied: contact" in said
    assert (
        "60% of its square comes from periods with contact in one engine alone, mostly in there and not in here" in said
    )


def test_what_differs_in_the_air_is_motors_joints_or_inertia() -> None:
    rows = [difference("ground", "joint velocity", 1.5), CONTACT, difference("air", "joint velocity", 1.4, step=0.1)]
    assert all(": motors, joints or inertia" in said for said in sentences(rows, UNEXPLAINED))


def test_what_the_engine_itself_does_with_half_its_step_is_said_to_be_that() -> None:
    (said,) = sentences([difference("air", "joint velocity", 0.4, step=0.5)], UNEXPLAINED)
    assert "no more than here does from itself with half its physics step" in said


def test_what_is_explained_is_said_to_be_like_that() -> None:
    ice = Equivalent("friction", "1", 0.8, 0.2, 0.4, 1.25)
    rows = [difference("ground", "joint velocity", 1.5)]
    (said,) = sentences(rows, [Explanation("air", (), 1.0), Explanation("ground", (ice,), 0.97)])
    assert "friction 0.2 in place of 0.8 (beyond training: 0.4 to 1.25): 97% of what differs" in said
    assert not ice.trained


def test_rounding_is_not_noticed() -> None:
    assert not gap_verdict.noticed([difference("ground", "torque", 2e-6), difference("air", "torque", 0.005)])


def test_what_parts_though_nothing_differs_is_the_policys_doing() -> None:
    parted = Parting("closed", "observation", "gyro", "x", "rad/s", 1.0, 0.5, 0.1, 7.0)
    (found,) = gap_verdict.of_policy([], [parted], "there", "here", PERIOD)
    assert (found.fault, found.signal, found.elements, found.size) == ("policy", "gyro", ("x",), 7.0)
    assert not list(gap_verdict.of_policy([], [replace(parted, time=None)], "there", "here", PERIOD))
    assert not list(gap_verdict.of_policy([found], [parted], "there", "here", PERIOD))


def test_the_contract_comes_before_physics_in_the_verdict() -> None:
    physics, breach = (Finding(f, "there", "s", (), 1.0, "1", f"a {f}") for f in ("physics", "contract"))  # type: ignore[arg-type]
    cause, said = gap_verdict.summary([physics, breach], [Bar("falls in there", "per run", 1.0, 0.0)], "here", "there")
    assert (cause, said) == ("contract", "contract: a contract; beyond the bars (falls in there)")


def test_contact_at_other_times_is_counted() -> None:
    response = servo(wild(GO2, 4, 0), list(range(JOINTS)), 1.0, 0.0, 25.0, 0.5)
    first = replace(response, contact=np.array([[0.0], [0.0], [9.0], [9.0]]))
    moved = response.after.joint_vel + np.array([[3.0], [0.0], [0.0], [1.0]])
    second = replace(
        response,
        contact=np.array([[9.0], [0.0], [9.0], [0.0]]),
        after=replace(response.after, joint_vel=moved),
    )
    assert touch(first, second) == Touch(earlier=0.25, later=0.25, share=pytest.approx(1.0))
    assert touch(first, replace(second, contact=np.zeros((4, 0)))) is None


def test_the_course_commands_one_thing_after_another() -> None:
    task = tasks.load("go2-velocity-flat")
    way = course(task, GO2, seed=3, leg_seconds=0.5)
    assert [leg.name for leg in way.legs] == ["stand", "vx", "vy", "yaw_rate"]
    assert way.commands.shape == (100, 3)
    for i, leg in enumerate(way.legs):
        assert (way.commands[25 * i : 25 * (i + 1)] == np.float32(leg.command)).all()
    assert (np.abs(way.commands) <= np.abs(task.command.upper)).all()
    assert (way.start.joint_pos == course(task, GO2, seed=3).start.joint_pos).all()
    assert (way.start.joint_pos != course(task, GO2, seed=4).start.joint_pos).any()
    with pytest.raises(UsageError, match="at least 0.2 s, got nan"):
        course(task, GO2, 0, float("nan"))


def test_long_lists_are_cut() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(list("abcdef")) == "a, b, c, d and 2 more"
