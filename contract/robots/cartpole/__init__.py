"""Cart and pole: the classic, a motor on the cart and none on the pole. For quick learning checks."""

from pathlib import Path

from contract.robot import Joint, Robot, Source

ROBOT = Robot(
    name="cartpole",
    title="Cart and pole",
    mjcf=Path(__file__).parent / "robot.xml",
    base_body="rail",
    joints=(
        Joint(
            "slider",
            kind="slide",
            lower=-2.4,
            upper=2.4,
            velocity_limit=5.0,
            effort_limit=10.0,
            default_pos=0.0,
            kp=10.0,
            kd=1.0,
        ),
        Joint(
            "hinge",
            lower=-3.1415926,
            upper=3.1415926,
            velocity_limit=20.0,
            effort_limit=0.0,
            default_pos=0.0,
            kp=0.0,
            kd=0.0,
        ),
    ),
    standing_height=1.5,
    fixed_base=True,
    sources=(
        Source(
            "masses, length, force, track, friction",
            "Barto, Sutton, Anderson, IEEE Transactions on Systems, Man, and Cybernetics 13 (1983), appendix",
        ),
        Source("gains, velocity limits", "a choice: soft enough for the pole to be balanced through the position loop"),
    ),
)
