"""The access log, which is JSON here."""

import json
from typing import Any

from tests.journeys.running import RunningProxy, eventually


def logged(proxy: RunningProxy, request_id: str) -> dict[str, Any]:
    """The line of the access log about a request."""

    def look() -> dict[str, Any]:
        for line in proxy.output().splitlines():
            if request_id in line:
                found: dict[str, Any] = json.loads(line)
                return found
        return {}

    return eventually(look)
