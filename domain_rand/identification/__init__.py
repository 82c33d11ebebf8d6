"""From a log of a robot's motion to the simulator's parameters, each with what is known of it."""
