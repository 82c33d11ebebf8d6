"""`landbridge gap`: where two physics engines part under a policy, and why."""
