"""One environment: a PyBullet client of its own with ground and a robot, stepped as a pure function of its state.

Bullet remembers more than positions and velocities: cached contacts and the order in which they appeared. Each control
step therefore begins with the state written anew and the contacts forgotten, so that equal states have equal futures.
"""

import math
import tempfile
from typing import Any

import numpy as np

from contract.errors import LandbridgeError
from sim.engines.pybullet.ground import add_ground
from sim.engines.pybullet.quiet import pybullet
from sim.engines.pybullet.spec import MAX_JOINT_SPEED, MAX_SPEED, ROOT, Batch, WorldSpec
from sim.engines.pybullet.urdf import GEAR, Inertial, rotor_of, with_inertial

GRAVITY = 9.81  # m/s^2

# Sweeps of the solver, and (rad/s or m/s)^2 by which the last of them may still change a velocity. On a walking Go2 a
# shorter substep changes a hundred times more than more sweeps do.
_ITERATIONS, _RESIDUAL = 20, 1e-7
_SAME = 1e-6  # a parameter comes in single precision
_STIFF = 1e10  # N m, more than any gear needs
_UNCLAMPED = 1e30  # rad/s; Bullet would cap all velocities at 100, without a word
_ROBOT, _GROUND = 2, 1  # collision groups: a robot meets the ground, and never itself
_LOAD = pybullet.URDF_USE_INERTIA_FROM_FILE | pybullet.URDF_USE_IMPLICIT_CYLINDER


class World:
    """Environment `row` of a batch."""

    def __init__(self, spec: WorldSpec, batch: Batch, row: int) -> None:
        self._spec, self._batch, self._row = spec, batch, row
        self._parameters = {name: values[row] for name, values in batch.parameters.items()}
        self._dt = spec.physics_dt / spec.substeps
        self._open()

    def _open(self) -> None:
        self._client = pybullet.connect(pybullet.DIRECT)
        if self._client < 0:
            raise LandbridgeError("engine pybullet: a process holds 1024 environments at most: use more processes")
        self._call(
            "setPhysicsEngineParameter",
            fixedTimeStep=self._dt,
            numSolverIterations=_ITERATIONS,
            solverResidualThreshold=_RESIDUAL,
            useSplitImpulse=0,  # it would leave a joint that is far beyond its stop where it is
            deterministicOverlappingPairs=1,
            enableFileCaching=0,  # the next robot comes from a file of the same name
        )
        for body in add_ground(self._client, self._spec.ground):
            self._call("setCollisionFilterGroupMask", body, -1, _GROUND, _ROBOT)
        self._inertial: Inertial | None = None
        self._body = -1
        self._joints: list[int] = []  # Bullet's, in the order of the description
        self._geom_links: list[int] = []
        self._rotors: list[tuple[int, int]] = []  # index of the joint in that order, and Bullet's of its rotor
        self.configure()

    def _call(self, function: str, *args: Any, **how: Any) -> Any:
        return getattr(pybullet, function)(*args, physicsClientId=self._client, **how)

    # -- parameters -------------------------------------------------------------------------------------------

    def configure(self) -> None:
        """Make the robot what the row's parameters say."""
        spec, value = self._spec, self._parameters
        inertial = Inertial(
            base=tuple(self._batch.base[self._row].tolist()),
            links=tuple(value["link_mass_factor"].tolist()),
            armature=tuple(value["joint_armature"].tolist()),
        )
        if inertial != self._inertial:
            self._load(inertial)
        given, bounce = float(value["friction"][0]), float(value["restitution"][0])
        nominal = abs(given - spec.friction) < _SAME
        factor = dict.fromkeys(self._geom_links, 1.0)
        if spec.feet:
            factor |= dict(zip(self._foot_links, value["foot_friction_factor"].tolist(), strict=True))
        for link, own in zip(self._geom_links, spec.geom_friction, strict=True):
            friction = factor[link] * (own if nominal else given)
            self._call("changeDynamics", self._body, link, lateralFriction=friction, restitution=bounce)
        stops = spec.stops + np.outer(value["joint_stop_margin"], (1.0, -1.0))
        for joint, (lower, upper) in zip(self._joints, stops.tolist(), strict=True):
            if math.isfinite(lower) and math.isfinite(upper):
                self._call("changeDynamics", self._body, joint, jointLowerLimit=lower, jointUpperLimit=upper)
        gravity = value["gravity_offset"] + (0.0, 0.0, -GRAVITY)
        self._call("setGravity", *gravity.tolist())
        self._force, self._torque = value["base_force"].tolist(), value["base_torque"].tolist()
        self._pulled = any((*self._force, *self._torque))
        # A motor that wants to stand still, and is as weak as the friction.
        joints, weak = self._joints, value["joint_friction"].tolist()
        self._call("setJointMotorControlArray", self._body, joints, pybullet.VELOCITY_CONTROL, forces=weak)
        strength = value["motor_strength"]
        kp, kd = strength * value["kp_factor"] * spec.kp, strength * value["kd_factor"] * spec.kd
        limit, damping = strength * (1.0 - value["battery_sag"]) * spec.effort, value["joint_damping"]
        self._motors = tuple(zip(kp.tolist(), kd.tolist(), limit.tolist(), damping.tolist(), strict=True))

    def _load(self, inertial: Inertial) -> None:
        """Put a robot with these masses into the world, in place of the present one."""
        if self._inertial is not None:
            self._call("removeBody", self._body)
        with tempfile.NamedTemporaryFile("w", suffix=".urdf") as file:
            file.write(with_inertial(self._spec.urdf, self._spec.joints, inertial))
            file.flush()
            self._body = self._call("loadURDF", file.name, useFixedBase=self._spec.fixed_base, flags=_LOAD)
        self._inertial = inertial
        joints: dict[str, int] = {}
        links = {self._spec.base: -1}
        for i in range(self._call("getNumJoints", self._body)):
            info = self._call("getJointInfo", self._body, i)
            joints[info[1].decode()], links[info[12].decode()] = i, i
        self._joints = [joints[name] for name in self._spec.joints]
        self._geom_links = [links[name] for name in self._spec.geom_links]
        self._foot_links = [self._geom_links[column] for column, _ in self._spec.feet]
        self._geom_of = {link: column for column, link in enumerate(self._geom_links)}
        for link in links.values():
            mask = _GROUND if link in self._geom_of else 0
            self._call("setCollisionFilterGroupMask", self._body, link, _ROBOT, mask)
            ideal = {"linearDamping": 0.0, "angularDamping": 0.0, "jointDamping": 0.0, "restitution": 0.0}
            self._call("changeDynamics", self._body, link, maxJointVelocity=_UNCLAMPED, **ideal)
        rotors = [(i, joints.get(rotor_of(name))) for i, name in enumerate(self._spec.joints)]
        self._rotors = [(i, rotor) for i, rotor in rotors if rotor is not None]
        for i, rotor in self._rotors:
            self._gear(self._joints[i], rotor)

    def _gear(self, joint: int, rotor: int) -> None:
        """Make the rotor turn `GEAR` times as fast as the joint."""
        self._call("setJointMotorControl2", self._body, rotor, pybullet.VELOCITY_CONTROL, force=0.0)
        axis, nowhere = (0.0, 0.0, 1.0), (0.0, 0.0, 0.0)  # a gear uses neither
        ends = (self._body, joint, self._body, rotor)
        gear = self._call("createConstraint", *ends, pybullet.JOINT_GEAR, axis, nowhere, nowhere)
        self._call("changeConstraint", gear, gearRatio=-1.0 / GEAR, maxForce=_STIFF, erp=0.0)

    # -- stepping ---------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Advance one control period, from the row's `state` under its `targets`, and write what comes of it."""
        batch, row, spec = self._batch, self._row, self._spec
        self._write(batch.state[row])
        states = batch.states[row]
        batch.contact[row] = 0.0
        readings = self._call("getJointStates", self._body, self._joints)
        for step, targets in enumerate(batch.targets[row].tolist()):
            last = step == spec.decimation - 1
            if step >= spec.decimation - 2:
                self._track(batch.feet[row, step - spec.decimation])
            for substep in range(spec.substeps):
                torques, given = [], []
                for (kp, kd, limit, damping), target, reading in zip(self._motors, targets, readings, strict=True):
                    q, speed = reading[0], reading[1]
                    torque = min(max(kp * (target - q) - kd * speed, -limit), limit)
                    given.append(torque)
                    torques.append(torque - damping * speed)
                if last and substep == 0:
                    batch.torque[row] = given
                self._call(
                    "setJointMotorControlArray", self._body, self._joints, pybullet.TORQUE_CONTROL, forces=torques
                )
                if self._pulled:
                    self._pull()
                self._call("stepSimulation")
                if last:
                    self._feel(batch.contact[row])
                readings = self._call("getJointStates", self._body, self._joints)
            states[step] = self._read(readings)
            if not np.isfinite(states[step]).all():
                states[step:] = states[step]
                break
        speed = np.abs(states[-1])
        slow = speed[7:ROOT].max() <= MAX_SPEED and speed[ROOT + len(spec.joints) :].max(initial=0.0) <= MAX_JOINT_SPEED
        batch.diverged[row] = not (slow and np.isfinite(states[-1]).all())
        if batch.diverged[row]:  # a number that is not finite would stay in Bullet's trees
            self.close()
            self._open()

    def place(self) -> None:
        """Write where the feet are in the row's `state`."""
        self._write(self._batch.state[self._row])
        self._track(self._batch.feet[self._row, -1])

    def _write(self, state: np.ndarray) -> None:
        values, joints = state.tolist(), len(self._spec.joints)
        self._call("resetBasePositionAndOrientation", self._body, values[:3], values[3:7])
        self._call("resetBaseVelocity", self._body, values[7:10], values[10:ROOT])
        position, velocity = values[ROOT : ROOT + joints], values[ROOT + joints :]
        self._call(
            "resetJointStatesMultiDof",
            self._body,
            self._joints + [rotor for _, rotor in self._rotors],
            [[q] for q in position] + [[0.0]] * len(self._rotors),
            [[v] for v in velocity] + [[GEAR * velocity[i]] for i, _ in self._rotors],
        )
        # The filter of a pair that never meets: what counts is that setting it makes Bullet forget all contacts.
        self._call("setCollisionFilterPair", self._body, -1, -1, -1, 0)

    def _read(self, readings: tuple[tuple[float, ...], ...]) -> list[float]:
        position, orientation = self._call("getBasePositionAndOrientation", self._body)
        linear, angular = self._call("getBaseVelocity", self._body)
        joints = [reading[0] for reading in readings] + [reading[1] for reading in readings]
        return [*position, *orientation, *linear, *angular, *joints]

    def _pull(self) -> None:
        """Let what pulls at the base do so in the next substep."""
        centre, _ = self._call("getBasePositionAndOrientation", self._body)
        self._call("applyExternalForce", self._body, -1, self._force, centre, pybullet.WORLD_FRAME)
        self._call("applyExternalTorque", self._body, -1, self._torque, pybullet.WORLD_FRAME)

    def _feel(self, forces: np.ndarray) -> None:
        """Add this substep's share of the mean normal force on each geom to `forces` (G,) N."""
        for contact in self._call("getContactPoints", bodyA=self._body):
            forces[self._geom_of[contact[3]]] += contact[9] / self._spec.substeps

    def _track(self, feet: np.ndarray) -> None:
        """Write the centres of the feet, in the world, to `feet` (F, 3) m."""
        if self._spec.feet:
            states = self._call("getLinkStates", self._body, self._foot_links, computeForwardKinematics=1)
            for foot, (_, offset), state in zip(feet, self._spec.feet, states, strict=True):
                foot[:], _ = pybullet.multiplyTransforms(state[4], state[5], offset, (0.0, 0.0, 0.0, 1.0))

    def close(self) -> None:
        """Release the client."""
        pybullet.disconnect(self._client)
