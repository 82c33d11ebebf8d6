"""Pictures and videos of a robot from recorded poses, without OpenGL, display or GPU."""

from sim.rendering.camera import Camera
from sim.rendering.frames import Frames
from sim.rendering.recording import read_recording
from sim.rendering.video import FPS, SIZE, render, still

__all__ = ["FPS", "SIZE", "Camera", "Frames", "read_recording", "render", "still"]
