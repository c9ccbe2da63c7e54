"""Which keys the models know at a path of the file."""

from typing import Any, get_args

from pydantic import BaseModel

from proxy.settings.models import Settings
from proxy.settings.problem import Path


def _models(annotation: Any) -> list[type[BaseModel]]:  # noqa: ANN401 - annotations are of any kind
    """Return the models inside an annotation: unions, tuples and dicts are looked through."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def keys_at(path: Path) -> tuple[str, ...]:
    """Return the keys allowed in the table at `path`; nothing where any name will do."""
    models: list[type[BaseModel]] = [Settings]
    for step in path:
        found: list[type[BaseModel]] = []
        for model in models:
            if isinstance(step, str) and step in model.model_fields:
                found += _models(model.model_fields[step].annotation)
        # A list's index and a name of the user's own, such as an upstream's, lead to the same model.
        models = found or models
    return tuple(dict.fromkeys(key for model in models for key in model.model_fields))
