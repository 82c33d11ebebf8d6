"""What runs on the robot computer: the ONNX policy, safety monitors, supervisor, drivers and ROS 2 nodes."""
