"""What differs between a stage as it was run and as it would be run now, in words."""

import json
import reprlib
from collections.abc import Iterator
from typing import Any

from eucentric.session.records import StagePlan, StageRecord


def changes_of_code(done: StageRecord, plan: StagePlan) -> Iterator[str]:
    """Name what changed in the version of a stage's code and in its settings."""
    if done.version != plan.version:
        yield f"the code of {plan.stage} changed from version {done.version} to {plan.version}"
    yield from _changes_of_settings(done.settings, plan.settings.model_dump(mode="json"))


def _changes_of_settings(old: dict[str, Any], new: dict[str, Any], within: str = "") -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if name not in old:
            yield f"setting {within}{name} is new ({reprlib.repr(after)})"
        elif name not in new:
            yield f"setting {within}{name} is gone (it was {reprlib.repr(before)})"
        elif isinstance(before, dict) and isinstance(after, dict):
            yield from _changes_of_settings(before, after, f"{within}{name}.")
        elif json.dumps(before, sort_keys=True) != json.dumps(after, sort_keys=True):  # as text, NaN equals NaN
            yield f"setting {within}{name} changed from {reprlib.repr(before)} to {reprlib.repr(after)}"
