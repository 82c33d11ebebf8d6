"""Arguments that several commands take in the same form."""

from contract.errors import UsageError


def velocity_command(text: str, argument: str = "--command") -> tuple[float, float, float]:
    """`VX,VY,YAW_RATE` as numbers (m/s, m/s, rad/s); UsageError where it is anything else."""
    try:
        vx, vy, yaw_rate = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{argument} {text!r}: must be three numbers VX,VY,YAW_RATE, such as 0.6,0,0") from None
    return vx, vy, yaw_rate
