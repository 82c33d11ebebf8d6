"""The `landbridge` command: one small file a command, importing lazily, no logic of its own."""
