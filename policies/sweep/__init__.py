"""The sweep: how far a policy's robot may differ from those of its training, in one parameter and in all at once."""
