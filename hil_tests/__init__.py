"""Hardware-in-the-loop: the emulated robot, faults, scenarios, verdicts."""
