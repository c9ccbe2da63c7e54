import math
import os
from pathlib import Path

import pytest

from proxy.run import cpus


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max 100000\n", math.inf),
        ("200000 100000\n", 2.0),
        ("150000 100000\n", 1.5),
        ("", math.inf),
        ("nonsense", math.inf),
        ("1 0", math.inf),
    ],
)
def test_a_quota_is_time_per_period(text: str, expected: float) -> None:
    assert cpus.quota(text) == expected


def test_a_container_gets_no_more_workers_than_processor_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = tmp_path / "cpu.max"
    monkeypatch.setattr(cpus, "CPU_MAX", limit)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))
    assert cpus.usable() == 8
    limit.write_text("150000 100000")
    assert cpus.usable() == 2
    limit.write_text("10000 100000")
    assert cpus.usable() == 1
    limit.write_text("max 100000")
    assert cpus.usable() == 8
