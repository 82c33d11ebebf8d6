"""What happened lately is counted, and nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from deploy_robot.recent import Recent


@given(st.lists(st.booleans() | st.floats(0.0, 4.0)))
def test_counts_what_happened_within_the_window(story: list) -> None:
    recent, now, times = Recent(10.0), 0.0, []
    for event in story:
        if isinstance(event, bool):
            recent.happened()
            times.append(now)
        else:
            recent.pass_time(event)
            now += event
        certain = sum(now - time < 10.0 - 1e-9 for time in times)
        possible = sum(now - time <= 10.0 + 1e-9 for time in times)
        assert certain <= recent.count <= possible
