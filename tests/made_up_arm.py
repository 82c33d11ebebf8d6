"""An arm that nobody builds: two hinges and a slide, axes and mounts at odd angles, and a box for its tool."""

from pathlib import Path

from contract.robot import Capsule, Joint, Link, Robot, Workspace

# Turned by 90 degrees about x: what was up points along -y.
_TURNED = (0.7071067811865476, 0.7071067811865476, 0.0, 0.0)

ARM = Robot(
    name="arm",
    title="Arm",
    mjcf=Path("arm.xml"),
    base_body="base",
    joints=(
        Joint("shoulder", -2.0, 2.0, 5.0, 50.0, 0.3, 100.0, 5.0),
        Joint("elbow", -2.0, 2.0, 5.0, 50.0, -0.4, 100.0, 5.0),
        Joint("extension", -0.1, 0.4, 1.0, 200.0, 0.1, 500.0, 20.0, kind="slide"),
    ),
    standing_height=0.0,
    fixed_base=True,
    links=(
        Link("shoulder", "", (0.0, 0.0, 0.2), (0.0, 0.0, 1.0)),
        # Children may be named before their parents.
        Link("extension", "elbow", (0.3, 0.0, 0.0), (0.6, 0.0, 0.8)),
        Link("elbow", "shoulder", (0.4, 0.0, 0.1), (0.0, 0.0, 1.0), _TURNED),
    ),
    capsules=(
        Capsule("post", "", (0.0, 0.0, 0.0), (0.0, 0.0, 0.2), 0.05),
        Capsule("hand", "extension", (0.0, 0.0, 0.0), (0.1, 0.0, 0.0), 0.03),
    ),
    capsule_pairs=(("post", "hand"),),
    workspace=Workspace("extension", (0.1, 0.0, 0.0), (0.2, -0.5, 0.0), (0.95, 0.9, 0.9)),
    sources=(),
)

MJCF = """
<mujoco>
  <compiler angle="radian"/>
  <worldbody>
    <body name="base">
      <body name="shoulder" pos="0 0 0.2">
        <joint name="shoulder" axis="0 0 1"/>
        <geom size="0.01"/>
        <body name="elbow" pos="0.4 0 0.1" quat="0.7071067811865476 0.7071067811865476 0 0">
          <joint name="elbow" axis="0 0 1"/>
          <geom size="0.01"/>
          <body name="extension" pos="0.3 0 0">
            <joint name="extension" type="slide" axis="0.6 0 0.8"/>
            <geom size="0.01"/>
            <site name="tool" pos="0.1 0 0"/>
          </body>
        </body>
      </body>
    </body>
  </worldbody>
</mujoco>
"""
"""The same for MuJoCo."""
