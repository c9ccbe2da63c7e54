"""What a run was made on: figures without it say nothing."""

import os
import platform
import ssl
import sys
from pathlib import Path


def describe() -> dict[str, str]:
    """The machine and what the rig itself runs on."""
    return {
        "cpu": cpu_model(Path("/proc/cpuinfo").read_text()),
        "cpus": str(len(os.sched_getaffinity(0))),
        "kernel": platform.release(),
        "python": sys.version.split()[0],
        "openssl": ssl.OPENSSL_VERSION,
        "load_before": f"{os.getloadavg()[0]:.2f}",
    }


def cpu_model(cpuinfo: str) -> str:
    """The processor's name from `/proc/cpuinfo`; its architecture where none is told."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
