"""The one table of safety constraints: what is checked, against which limit, and what a violation causes.

The documentation (docs/safety.md) and `landbridge monitors` are made from this table, and every row has a
test that trips it. A row is violated as soon as `figure <= limit` does not hold: NaN violates it.
"""

from typing import Any

from deploy_robot import monitors
from deploy_robot.arrays import library_of
from deploy_robot.constraint import PERIODS, Constraint, Reaction, Reading, Scope
from deploy_robot.limits import Limits
from deploy_robot.supervisor_config import HOLD_WINDOW

CLEARANCE_MARGIN = 0.05  # m, from where on closeness to itself counts


def _limit_of(what: str) -> str:
    return f"x {what} limit"


def _discharge(r: Reading) -> Any:
    """How far the battery is empty, as a share of how far it may be."""
    assert r.limits.battery is not None
    return abs(1.0 - r.battery) / (1.0 - r.limits.battery)  # a charge far above one is none


def _drop(r: Reading) -> Any:
    """How far the base has sunk from its standing height, as a share of how far it may."""
    standing, least = r.limits.standing_height, r.limits.base_height
    assert r.limits.geometry is not None and least is not None
    return (standing - r.limits.geometry.base_height(r.points(), r.world_up())) / (standing - least)


def _closeness(r: Reading) -> Any:
    """How far each pair of the robot's own parts is into the margin around each other, m."""
    assert r.limits.geometry is not None
    return CLEARANCE_MARGIN - r.limits.geometry.clearances(r.points())


def _outside_workspace(r: Reading) -> Any:
    """How far the tool is outside the workspace along each axis, m."""
    lower, upper = r.limits.workspace_lower, r.limits.workspace_upper
    assert r.limits.geometry is not None and lower is not None and upper is not None
    return monitors.beyond_range(r.limits.geometry.tool_position(r.points()), lower, upper)


def _outside_envelope(r: Reading) -> Any:
    """Share of what the sensors say that training has not seen the like of."""
    values = library_of(r.gyro).concatenate([getattr(r, name) for name in r.limits.envelope_signals], -1)
    return monitors.share_outside(values, r.limits.envelope_lower, r.limits.envelope_upper)


def _knows_feet(limits: Limits) -> bool:
    return limits.base_height is not None and limits.geometry is not None and bool(limits.geometry.feet)


CONSTRAINTS: tuple[Constraint, ...] = (
    Constraint(
        "operator_stop",
        "Somebody or some program asked for a stop.",
        lambda r: r.stop_requests,
        limit=0.0,
        unit="requests",
        reaction=Reaction.STOP,
        trip_after=0.0,
        release_after=0.5,
        detail=lambda r: r.stop_reason,
    ),
    Constraint(
        "finite_state",
        "The newest robot state has a number that is NaN, infinite or missing, or a stamp in the future.",
        lambda r: r.state_faults,
        limit=0.0,
        unit="numbers",
        reaction=Reaction.HOLD,  # a single one; when they go on, lost_robot damps
        trip_after=0.0,
        release_after=0.3,
    ),
    Constraint(
        "stale_state",
        "The newest sound robot state is too old to act on.",
        lambda r: r.state_age,
        limit=0.06,
        unit="s",
        reaction=Reaction.HOLD,
        trip_after=0.0,
        release_after=0.3,
    ),
    Constraint(
        "lost_robot",
        "The robot has sent no sound state for so long that nothing is known about it.",
        lambda r: r.state_age,
        limit=0.2,
        unit="s",
        reaction=Reaction.DAMP,
        trip_after=0.0,
        release_after=0.5,
    ),
    Constraint(
        "frozen_state",
        "New samples keep coming, but all joint values or all IMU values in them stay exactly the same.",
        lambda r: r.state_frozen,
        limit=0.2,
        unit="s",
        reaction=Reaction.DAMP,
        trip_after=0.0,
        release_after=0.5,
    ),
    Constraint(
        "imu_norm",
        "The IMU's quaternion has not the length one, so it is no orientation.",
        lambda r: monitors.norm_error(r.imu_quat),
        limit=0.05,
        unit="of its length",
        reaction=Reaction.DAMP,
        trip_after=0.02,
        release_after=0.5,
    ),
    Constraint(
        "tilt",
        "The base leans so far that the robot is falling or has fallen.",
        lambda r: monitors.lean(r.world_up(), r.limits.up),
        limit=1.0,
        unit="rad",
        reaction=Reaction.DAMP,
        trip_after=0.02,
        release_after=0.5,
    ),
    Constraint(
        "joint_position",
        "A joint is further outside its limits than its end stop yields: encoder or mechanics are broken.",
        lambda r: monitors.beyond_range(r.joint_pos, r.limits.joint_lower, r.limits.joint_upper),
        limit=0.1,
        unit="rad outside the limits",
        reaction=Reaction.DAMP,
        trip_after=0.02,
        release_after=0.5,
        joints=True,
        basis="robot",
    ),
    Constraint(
        "joint_velocity",
        "A joint moves faster than it is made for.",
        lambda r: monitors.share_of_limit(r.joint_vel, r.limits.joint_velocity),
        limit=1.0,
        unit=_limit_of("velocity"),
        reaction=Reaction.DAMP,
        trip_after=0.03,
        release_after=0.5,
        joints=True,
        basis="robot",
    ),
    Constraint(
        "joint_torque",
        "A joint gives its full torque for longer than any motion needs: it is jammed or overloaded.",
        lambda r: monitors.share_of_limit(r.joint_torque, r.limits.joint_effort),
        limit=0.95,
        unit=_limit_of("torque"),
        reaction=Reaction.DAMP,
        trip_after=0.5,
        release_after=0.5,
        joints=True,
        basis="robot",
    ),
    Constraint(
        "power",
        "All joints together take more mechanical power than the robot is made for; braking counts like driving.",
        lambda r: monitors.power(r.joint_torque, r.joint_vel) / r.limits.power,
        limit=1.0,
        unit=_limit_of("power"),
        reaction=Reaction.DAMP,
        trip_after=0.1,
        release_after=0.5,
        basis="robot",
    ),
    Constraint(
        "motor_temperature",
        "A motor is nearly as hot as where its own protection cuts it off, at a moment of its choosing.",
        lambda r: monitors.share_of_limit(r.temperature, r.limits.temperature),
        limit=0.95,
        unit=_limit_of("temperature"),
        reaction=Reaction.DAMP,
        trip_after=0.5,
        release_after=0.5,
        joints=True,
        basis="robot",
        needs="motor temperatures, and their limit",
        signal="temperature",
        fact=lambda limits: limits.temperature is not None,
    ),
    Constraint(
        "battery",
        "The battery is nearly empty: the robot sinks to the ground while it can still do so gently.",
        _discharge,
        limit=1.0,
        unit="x permitted discharge",
        reaction=Reaction.DAMP,
        trip_after=1.0,
        release_after=0.5,
        basis="robot",
        needs="the battery's charge, and its minimum",
        signal="battery",
        fact=lambda limits: limits.battery is not None,
    ),
    Constraint(
        "foot_force",
        "A foot hits the ground harder than the robot is made for.",
        lambda r: monitors.share_of_limit(r.foot_force, r.limits.foot_force),
        limit=1.0,
        unit=_limit_of("foot force"),
        reaction=Reaction.HOLD,
        trip_after=0.02,
        release_after=0.3,
        elements=lambda limits: limits.foot_names,
        basis="robot",
        needs="forces on the feet in N, and their limit",
        signal="foot_force",
        fact=lambda limits: limits.foot_force is not None,
    ),
    Constraint(
        "base_height",
        "The base is so low above the lowest foot that the legs no longer carry it.",
        _drop,
        limit=1.0,
        unit="x permitted drop",
        reaction=Reaction.DAMP,
        trip_after=0.1,
        release_after=0.5,
        scope=Scope.POLICY,
        basis="robot",
        needs="the robot's links, feet and smallest base height",
        fact=_knows_feet,
    ),
    Constraint(
        "self_collision",
        "Two parts of the robot touch, or are about to.",
        _closeness,
        limit=CLEARANCE_MARGIN,
        unit=f"m into a margin of {CLEARANCE_MARGIN:g} m",
        reaction=Reaction.HOLD,
        trip_after=0.02,
        release_after=0.3,
        scope=Scope.POLICY,
        elements=lambda limits: limits.geometry.pairs if limits.geometry else (),
        basis="robot",
        needs="the robot's links and capsules",
        fact=lambda limits: limits.geometry is not None and bool(limits.geometry.pairs),
    ),
    Constraint(
        "workspace",
        "The tool is outside the box that it must stay in.",
        _outside_workspace,
        limit=0.0,
        unit="m outside the box",
        reaction=Reaction.HOLD,
        trip_after=0.02,
        release_after=0.3,
        scope=Scope.POLICY,
        elements=lambda limits: ("x", "y", "z"),
        basis="robot",
        needs="the robot's links and workspace",
        fact=lambda limits: limits.workspace_lower is not None and limits.geometry is not None,
    ),
    Constraint(
        "stand_up",
        "The robot did not reach its start pose: a leg is blocked, or the robot is too heavy for its gains.",
        lambda r: r.stand_overdue,
        limit=2.0,
        unit="s",
        reaction=Reaction.DAMP,
        trip_after=0.0,
        release_after=0.0,
    ),
    Constraint(
        "clock",
        "The clock that the supervisor is given stands still, runs backwards or is not a number.",
        lambda r: r.clock_faults,
        limit=5.0,
        unit="steps",
        reaction=Reaction.DAMP,
        trip_after=0.0,
        release_after=0.5,
    ),
    Constraint(
        "late_step",
        "The supervisor itself was called late; no motion is made up for the time that it missed.",
        lambda r: r.step_time,
        limit=0.06,
        unit="s",
        reaction=Reaction.CLIP,
        trip_after=0.0,
        release_after=0.5,
    ),
    Constraint(
        "finite_target",
        "The newest joint target has a number that is NaN, infinite or missing, or a stamp in the future.",
        lambda r: r.target_faults,
        limit=0.0,
        unit="numbers",
        reaction=Reaction.HOLD,
        trip_after=0.0,
        release_after=0.3,
        scope=Scope.POLICY,
    ),
    Constraint(
        "lost_policy",
        "The policy has not sent a sound joint target for several control periods.",
        lambda r: r.target_age,
        limit=3.0,
        unit=PERIODS,
        reaction=Reaction.HOLD,
        trip_after=0.0,
        release_after=0.3,
        scope=Scope.POLICY,
    ),
    Constraint(
        "dead_policy",
        "The policy has been silent for so long that nobody can be expected to take over.",
        lambda r: r.target_age,
        limit=50.0,
        unit=PERIODS,
        reaction=Reaction.DAMP,
        trip_after=0.0,
        release_after=0.5,
        scope=Scope.POLICY,
    ),
    Constraint(
        "late_target",
        "The joint target in use was made from too old a sensor sample: the policy or the network is slow.",
        lambda r: r.target_delay,
        limit=5.0,
        unit=PERIODS,
        reaction=Reaction.HOLD,
        trip_after=0.0,
        release_after=0.3,
        scope=Scope.POLICY,
    ),
    Constraint(
        "wild_target",
        "A joint target lies so far outside its limits that no trained policy can have meant it.",
        lambda r: r.target_excess(),
        limit=0.5,
        unit="rad outside the limits",
        reaction=Reaction.HOLD,
        trip_after=0.0,
        release_after=0.3,
        scope=Scope.POLICY,
        joints=True,
        basis="robot",
    ),
    Constraint(
        "target_position",
        "A joint target lies outside its limits and is clipped to them.",
        lambda r: r.target_excess(),
        limit=1e-5,  # a limit in float64 that went through a float32 graph
        unit="rad outside the limits",
        reaction=Reaction.CLIP,
        trip_after=0.0,
        release_after=0.5,
        scope=Scope.POLICY,
        joints=True,
        basis="robot",
    ),
    Constraint(
        "target_slew",
        "A joint target jumps too fast, and the command follows it at the permitted speed only.",
        lambda r: monitors.rate_share(r.target - r.previous_target, r.target_interval, r.limits.joint_velocity),
        limit=2.0,  # walking policies reach 1.1: to a position loop a jump is a torque
        unit=_limit_of("velocity"),
        reaction=Reaction.CLIP,
        trip_after=0.0,
        release_after=0.5,
        scope=Scope.POLICY,
        joints=True,
        basis="robot",
    ),
    Constraint(
        "command_range",
        "The operator asks for more than the policy was trained for; it is told the nearest that it knows.",
        lambda r: monitors.beyond_range(r.command, r.limits.command_lower, r.limits.command_upper),
        limit=0.0,
        unit="outside the range",
        reaction=Reaction.CLIP,
        trip_after=0.0,
        release_after=0.5,
        scope=Scope.POLICY,
        elements=lambda limits: limits.command_elements or (),
        basis="bundle",
        needs="the command, and a policy that takes one",
        signal="command",
        fact=lambda limits: limits.command_lower is not None,
    ),
    Constraint(
        "training_envelope",
        "The sensors show what training has not seen the like of, so nothing is known of what the policy will do.",
        _outside_envelope,
        limit=0.25,
        unit="of the sensor values outside",
        reaction=Reaction.HOLD,
        trip_after=0.2,
        release_after=0.3,
        scope=Scope.POLICY,
        basis="bundle",
        needs="a bundle with a training envelope of measured signals",
        signal="gyro",
        fact=lambda limits: limits.envelope_lower is not None,
    ),
    Constraint(
        "repeated_holds",
        "The policy was cut off again and again: it will not come right by itself.",
        lambda r: r.holds,
        limit=5.0,
        unit=f"holds in {HOLD_WINDOW:g} s",
        reaction=Reaction.DAMP,
        trip_after=0.0,
        release_after=0.5,
        scope=Scope.POLICY,
    ),
)
