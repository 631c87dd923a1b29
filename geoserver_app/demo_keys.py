"""The demo's keys, kept in clear beside the demo's data so that they can be shown: never on a real instance."""

import json
import os
from pathlib import Path

FILE = "demo-keys.json"


def demo_keys(data: Path) -> dict[str, str]:
    """Agency -> key."""
    path = data / FILE
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def keep_demo_keys(data: Path, keys: dict[str, str]) -> None:
    path = data / FILE
    descriptor = os.open(path.with_suffix(".new"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        json.dump(keys, out, ensure_ascii=False, indent=1)
    path.with_suffix(".new").replace(path)
