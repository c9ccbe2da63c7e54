"""What every test may count on: hypothesis profiles, and a mark for what a test needs installed."""

import os
import shutil

import hypothesis
import pytest

# The folders in which Debian keeps servers are not on everybody's PATH.
SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])

# No deadline: on a machine that is shared, a slow example says nothing about the code.
hypothesis.settings.register_profile("fast", max_examples=100, deadline=None, print_blob=True)
hypothesis.settings.register_profile("deep", max_examples=5_000, deadline=None, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "needs(command, ...): programs the test calls; left out, or failed in CI, without them",
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    needed = {command for mark in item.iter_markers("needs") for command in mark.args}
    missing = sorted(name for name in needed if shutil.which(name, path=SEARCH) is None)
    if not missing:
        return
    reason = f"not installed: {', '.join(missing)} (./dev test installs it where it may)"
    if os.environ.get("CI"):
        pytest.fail(reason + "; in CI no test may be left out", pytrace=False)
    pytest.skip(reason)
