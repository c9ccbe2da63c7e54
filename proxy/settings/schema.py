"""The JSON Schema of proxy.yaml, for editors: generated from the models, kept in `config/`."""

import json
from typing import Any

from proxy.settings.fields import Table
from proxy.settings.models import Settings
from proxy.settings.not_built import NOT_BUILT, never
from proxy.settings.shape import models_at

_HEAD = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "pyproxy configuration",
}


def _tables(model: type[Table]) -> dict[str, type[Table]]:
    """Return every model by its name."""
    found: dict[str, type[Table]] = {}
    for child in model.__subclasses__():
        found |= {child.__name__: child, **_tables(child)}
    return found


def _spell_defaults(definition: dict[str, Any], model: type[Table]) -> None:
    """Write defaults as the file would have them: "10s" instead of 10.0. Titles say nothing new."""
    defaults = model.model_construct().model_dump(mode="json")
    for name, one in definition.get("properties", {}).items():
        one.pop("title", None)
        if "default" in one:
            one["default"] = defaults[name]


def _mark_not_built(definitions: dict[str, dict[str, Any]]) -> None:
    """Say of every key that is refused that it is."""
    for feature in NOT_BUILT:
        if feature.harmless is not never:
            continue
        *path, key = feature.pattern.split(".")
        for model in models_at(tuple(path)):
            one = definitions[model.__name__].get("properties", {}).get(key)
            if one is not None:
                one["description"] = "Not built yet: refused."
                one["deprecated"] = True


def json_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12). What passes it may still break a rule between fields."""
    schema = Settings.model_json_schema()
    definitions = {**schema.pop("$defs"), "Settings": schema}
    tables = _tables(Table)
    for name, definition in definitions.items():
        definition.pop("title", None)
        _spell_defaults(definition, tables[name])
    _mark_not_built(definitions)
    root = definitions.pop("Settings")
    return {**_HEAD, **root, "$defs": dict(sorted(definitions.items()))}


def schema_text() -> str:
    """Return the schema as the text of `config/proxy.schema.json`."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
