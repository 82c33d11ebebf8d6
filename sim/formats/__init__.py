"""A robot in the formats of other programs, written from its MJCF: URDF, USD, and MJCF with motors."""
