"""Engines, tasks, the vectorised environment, and rendering."""
