"""A user's MJCF or URDF made a robot folder, with a list of what the file did not say."""
