"""The emulated robot's body: MuJoCo at a fixed step, with parameters that the policy does not know."""

from dataclasses import asdict, dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from contract.errors import LandbridgeError
from contract.robot import Robot
from hil_tests.motor_model import MotorModel

Array = NDArray[np.float64]

_IMU_SENSORS = ("FRAMEQUAT", "GYRO", "ACCELEROMETER")
_IMU_SIZE = 4 + 3 + 3  # numbers they give


@dataclass(frozen=True)
class HiddenParameters:
    """How this robot differs from its description. Factors multiply, offsets add."""

    base_mass: float = 1.0  # factor
    base_com: tuple[float, float, float] = (0.0, 0.0, 0.0)  # m, offset in the base frame
    friction: float = 0.8  # coefficient between robot and ground
    motor_strength: tuple[float, ...] = ()  # factor a joint; empty for all 1

    @classmethod
    def draw(cls, num_joints: int, rng: np.random.Generator) -> "HiddenParameters":
        """A robot from the workshop floor: modest differences, independent of each other."""
        dx, dy, dz = rng.uniform(-0.015, 0.015, 3).tolist()
        return cls(
            base_mass=float(rng.uniform(0.9, 1.15)),
            base_com=(dx, dy, dz),
            friction=float(rng.uniform(0.6, 1.0)),
            motor_strength=tuple(rng.uniform(0.92, 1.05, num_joints).tolist()),
        )

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Command:
    """What the motor controllers hold; arrays are (joints,)."""

    target: Array  # rad
    kp: Array  # N m/rad
    kd: Array  # N m s/rad
    vel: Array | float = 0.0  # rad/s
    torque: Array | float = 0.0  # N m, added to that of the loops


@dataclass(frozen=True, eq=False)
class Sample:
    """The truth at one instant; every field belongs to `time`."""

    time: float  # s
    root_pos: Array  # (3,) m, world
    root_quat: Array  # (4,) world_from_base
    root_lin_vel: Array  # (3,) m/s, world
    root_ang_vel: Array  # (3,) rad/s, base frame
    joint_pos: Array  # (J,) rad
    joint_vel: Array  # (J,) rad/s
    commanded_torque: Array  # (J,) N m, what the controllers believe
    joint_torque: Array  # (J,) N m, what arrives at the joint
    imu_quat: Array  # (4,) world_from_imu
    gyro: Array  # (3,) rad/s, IMU frame
    accel: Array  # (3,) m/s^2, IMU frame


class RobotPhysics:
    """One robot on flat ground. Starts at rest in its rest pose."""

    def __init__(self, robot: Robot, hidden: HiddenParameters, timestep: float = 0.001) -> None:
        self.robot = robot
        self.model = _build(robot, hidden, timestep)
        self.data = mujoco.MjData(self.model)
        strength = np.array(hidden.motor_strength) if hidden.motor_strength else np.ones(robot.num_joints)
        self.motors = MotorModel.of(robot, strength)
        joints = [self.model.joint(name) for name in robot.joint_names]
        self._qpos = np.array([joint.qposadr[0] for joint in joints])
        self._dof = np.array([joint.dofadr[0] for joint in joints])
        self._lay_down()

    def step(self, time: float, command: Command) -> Sample:
        """Advance by one timestep under `command`; the sample is of the instant before, which is `time`.

        Raises:
            LandbridgeError: the state is no longer finite.
        """
        model, data = self.model, self.data
        pos, vel = data.qpos[self._qpos], data.qvel[self._dof]
        commanded = self.motors.commanded(command.target, command.kp, command.kd, pos, vel, command.vel, command.torque)
        delivered = self.motors.delivered(commanded)
        qpos, qvel = data.qpos.copy(), data.qvel.copy()
        data.qfrc_applied[self._dof] = delivered
        mujoco.mj_step(model, data)
        if not np.isfinite(data.qacc).all():
            raise LandbridgeError(f"the physics of {self.robot.name} diverged: the state is no longer finite")
        imu_quat, gyro, accel = np.split(data.sensordata[:_IMU_SIZE].copy(), (4, 7))
        return Sample(
            time,
            root_pos=qpos[:3],
            root_quat=qpos[3:7],
            root_lin_vel=qvel[:3],
            root_ang_vel=qvel[3:6],
            joint_pos=pos,
            joint_vel=vel,
            commanded_torque=commanded,
            joint_torque=delivered,
            imu_quat=imu_quat,
            gyro=gyro,
            accel=accel,
        )

    def foot_forces(self) -> Array:
        """Normal force on each foot in the last step, (feet,) N."""
        return self.data.sensordata[_IMU_SIZE:].copy()

    def _lay_down(self) -> None:
        """Rest pose, at the lowest height at which nothing is inside the ground, then half a second to
        settle.
        """
        model, data = self.model, self.data
        data.qpos[3] = 1.0
        data.qpos[self._qpos] = self.robot.rest_pose
        low, high = 0.0, 2.0 * self.robot.standing_height
        for _ in range(20):
            data.qpos[2] = middle = 0.5 * (low + high)
            mujoco.mj_forward(model, data)
            touching = bool((data.contact.dist < 0.0).any())
            low, high = (middle, high) if touching else (low, middle)
        hold = Command(np.array(self.robot.rest_pose), self.robot.kp, self.robot.kd)
        for _ in range(round(0.5 / model.opt.timestep)):
            self.step(0.0, hold)


def _build(robot: Robot, hidden: HiddenParameters, timestep: float) -> mujoco.MjModel:
    spec = mujoco.MjSpec.from_file(str(robot.mjcf))
    spec.option.timestep = timestep
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    # A state that is not finite must be reported; MuJoCo's default is to start over silently.
    spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
    spec.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1], contype=1, conaffinity=0)
    if robot.imu is None:
        raise LandbridgeError(f"the emulated robot is a robot with an IMU, and {robot.name} has none")
    for kind in _IMU_SENSORS:
        _add_sensor(spec, kind, robot.imu.site)
    for foot in robot.feet:
        site = f"{foot.name}_touch"  # a shell around the foot: contacts of its body inside count
        spec.body(foot.body).add_site(name=site, pos=spec.geom(foot.geom).pos, size=[1.5 * foot.radius, 0, 0])
        _add_sensor(spec, "TOUCH", site)
    # Before it is compiled: what MuJoCo derives from masses, boxes to look for contacts in included, follows.
    base = spec.body(robot.base_body)
    base.mass *= hidden.base_mass
    base.inertia = base.inertia * hidden.base_mass
    base.fullinertia = base.fullinertia * hidden.base_mass
    base.ipos = base.ipos + np.array(hidden.base_com)
    model = spec.compile()
    model.geom_friction[:, 0] = hidden.friction
    return model


def _add_sensor(spec: mujoco.MjSpec, kind: str, site: str) -> None:
    type_ = getattr(mujoco.mjtSensor, f"mjSENS_{kind}")
    spec.add_sensor(type=type_, objtype=mujoco.mjtObj.mjOBJ_SITE, objname=site)
