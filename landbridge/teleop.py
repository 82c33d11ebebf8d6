"""`landbridge teleop`."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Teleop:
    """Drive a robot by keyboard or gamepad: velocity commands on cmd_vel, twenty a second.

    A dead man's switch is in it: the command is zero as soon as no key is held or repeats, the gamepad's button is let
    go, or the device is lost. Without this program, too, the policy is given zero half a second later. Space on the
    keyboard and B on the gamepad ask robot_node for an emergency stop; the hardwired one stays in the other hand.

    The policy follows whoever published last, so the session that it joins must not publish commands of its own:
    start it with `landbridge run BUNDLE --listen --domain N`.

    Examples:
        landbridge teleop --domain 7
        landbridge teleop --domain 7 --gamepad /dev/input/js0 --top 0.8,0.4,1
        landbridge teleop --domain 7 --namespace left
    """

    domain: int
    """ROS domain of the robot's nodes."""
    gamepad: Path | None = None
    """Joystick device, as in /dev/input/js0; by default the keys of this terminal."""
    dead_man: int = 4
    """Number of the gamepad's button that must be held; 4 is the left shoulder on most."""
    stop: int = 1
    """Number of the gamepad's button that asks for an emergency stop; 1 is B, or the circle, on most."""
    top: str = "0.5,0.3,0.8"
    """Velocity of a key that is held or a stick at its end: VX,VY,YAW_RATE in m/s, m/s, rad/s."""
    namespace: str = ""
    """ROS namespace of the robot's nodes."""

    def run(self) -> int:
        """Exit code 0; UsageError without a terminal, LandbridgeError where the device is lost or there is no ROS."""
        import contextlib
        import sys

        from rich.console import Console
        from rich.live import Live

        from contract.errors import UsageError
        from deploy_robot import teleop, teleop_devices
        from deploy_robot.process import StopSignal
        from deploy_robot.ros_environment import applied, joining, require_ros
        from landbridge.arguments import velocity_command

        top = velocity_command(self.top, "--top")
        if not all(0.0 <= value < 10.0 for value in top):
            raise UsageError(f"--top {self.top}: must be three numbers from 0 to 10")
        if self.dead_man == self.stop:
            raise UsageError(f"--dead-man {self.dead_man}: is the button of --stop, too; give another number")
        variables = joining(self.domain)
        require_ros()
        from deploy_robot.ros.operator import Operator
        from deploy_robot.ros.teleop import drive

        device: contextlib.AbstractContextManager[teleop_devices.Hand] = (
            teleop_devices.gamepad(self.gamepad, teleop.Gamepad(top, self.dead_man, self.stop))
            if self.gamepad is not None
            else teleop_devices.keyboard(sys.stdin.fileno(), top)
        )
        console = Console(highlight=False)
        console.print(teleop.KEY_HELP if self.gamepad is None else teleop.PAD_HELP, soft_wrap=True)
        with (
            StopSignal() as stop,
            device as hand,
            applied(variables),
            Operator(self.domain, self.namespace) as operator,
            Live(console=console, refresh_per_second=10, transient=True) as live,
        ):

            def show(velocity: teleop.Velocity, answer: str) -> None:
                vx, vy, yaw_rate = velocity
                report = operator.safety
                mode = report.mode.value if report else "no robot_node heard"
                live.update(f"{mode:<12} {vx:+.2f} {vy:+.2f} m/s {yaw_rate:+.2f} rad/s  {answer}")

            drive(operator, hand, lambda: stop.received, show)
        return 0
