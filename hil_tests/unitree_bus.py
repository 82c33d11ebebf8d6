"""The emulated robot's end of a Unitree Go2's bus: rt/lowstate out, rt/lowcmd in, over DDS.

What a Go2 tells of itself beyond its motion (temperatures, battery, foot sensors) is constant here.
"""

import numpy as np

from contract.errors import UsageError
from contract.robot import Robot
from contract.rotations import euler_from_quat
from deploy_robot.drivers import unitree_go2_dds as dds
from deploy_robot.drivers import unitree_go2_messages as messages
from deploy_robot.drivers.emulated_bus import FrameError, LowState
from deploy_robot.drivers.unitree_go2_address import Address
from hil_tests.robot_physics import Command

_MOTOR_TEMPERATURE, _IMU_TEMPERATURE = 38, 60  # degrees Celsius
_CHARGE = 87  # percent
_VOLTAGE = 29.5  # V, of eight cells
_TICKS = 2**32


class UnitreeCodec:
    """Samples of `deploy_robot.drivers.unitree_go2_messages`.

    Raises:
        UsageError: the robot is no Go2.
    """

    def __init__(self, robot: Robot) -> None:
        if set(robot.joint_names) != set(messages.MOTORS):
            raise UsageError(f"protocol unitree: {robot.name} has other joints than a unitree_go2")
        self._motors = np.array([messages.MOTORS.index(name) for name in robot.joint_names])
        self._message = messages.low_state()
        motors, battery = self._message["motor_state"][: len(messages.MOTORS)], self._message["bms_state"]
        motors["mode"], motors["temperature"] = messages.SERVO, _MOTOR_TEMPERATURE
        self._message["imu_state"]["temperature"] = _IMU_TEMPERATURE
        battery["soc"], battery["cell_vol"][:8] = _CHARGE, 1000.0 * _VOLTAGE / 8
        self._message["power_v"] = _VOLTAGE

    def decode(self, datagram: bytes) -> Command:
        """See `robot_bus.Codec`. A motor obeys in servo mode only; a stop value as position or speed means none."""
        message = messages.decode(datagram, messages.LOW_CMD)
        if tuple(message["head"]) != messages.HEAD or message["level_flag"] != messages.LOW_LEVEL:
            raise FrameError("head or level_flag are not those of a motor command")
        motors = message["motor_cmd"][self._motors]
        on = motors["mode"] == messages.SERVO
        q, dq = (motors[field].astype(np.float64) for field in ("q", "dq"))
        by_position, by_velocity = on & (q != np.float32(messages.POS_STOP)), on & (dq != messages.VEL_STOP)
        return Command(
            target=np.where(by_position, q, 0.0),
            kp=np.where(by_position, motors["kp"], 0.0).astype(np.float64),
            kd=np.where(by_velocity, motors["kd"], 0.0).astype(np.float64),
            vel=np.where(by_velocity, dq, 0.0),
            torque=np.where(on, motors["tau"], 0.0).astype(np.float64),
        )

    def encode(self, state: LowState) -> bytes:
        """See `robot_bus.Codec`."""
        motors, imu = self._message["motor_state"], self._message["imu_state"]
        motors["q"][self._motors] = state.joint_pos
        motors["dq"][self._motors] = state.joint_vel
        motors["tau_est"][self._motors] = state.joint_torque
        imu["quaternion"], imu["gyroscope"], imu["accelerometer"] = state.imu_quat, state.gyro, state.accel
        imu["rpy"] = euler_from_quat(state.imu_quat)
        self._message["tick"] = round(1000.0 * state.stamp) % _TICKS
        return messages.encode(self._message)


class UnitreeLink:
    """The robot as a participant in a DDS network.

    Raises:
        LandbridgeError: the network cannot be joined.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        network = dds.Network(address.interface, address.domain)
        self._commands = network.reader(dds.LOW_CMD)
        self._states = network.writer(dds.LOW_STATE)

    def receive(self) -> list[bytes]:
        """See `robot_bus.Link`."""
        return self._commands.take()

    def send(self, datagram: bytes) -> None:
        """See `robot_bus.Link`."""
        self._states.write(datagram)

    def close(self) -> None:
        """See `robot_bus.Link`."""
        del self._commands, self._states

    def __str__(self) -> str:
        return str(self._address)
