"""docs/configuration.md names every key, and its examples are right."""

import re
from pathlib import Path

import pytest

from proxy.settings.load import load_text
from proxy.settings.schema import json_schema
from tests.settings.loading import SITE

TEXT = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_every_key_is_named() -> None:
    schema = json_schema()
    named = set(re.findall(r"[\w]+", " ".join(re.findall(r"`([^`\n]+)`", TEXT))))
    tables = [schema, *schema["$defs"].values()]
    keys = {key for table in tables for key in table.get("properties", {})}
    assert keys - named == set()


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_loads(text: str) -> None:
    whole = text if "sites:" in text else text + SITE
    assert load_text(whole, "configuration.md", {}, "/").sites


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 4


def test_every_default_in_the_tables_is_the_models() -> None:
    """A row `| `key` | `default` | …` of the tables that stand for one model each."""
    definitions = json_schema()["$defs"]
    for title, model in (
        ("timeouts", "Timeouts"), ("limits", "Limits"), ("listen", "Listen"),
    ):  # fmt: skip
        part = TEXT.split(f"### {title}\n")[1].split("\n### ")[0]
        rows = dict(re.findall(r'^\| `(\w+)` \| `"?(.*?)"?` \|', part, re.MULTILINE))
        for key, one in definitions[model]["properties"].items():
            default = one["default"]
            shown = default[0] if isinstance(default, list) else str(default)
            assert rows[key].replace("60s", "1m") == shown, key
