"""Write the dashboards as JSON: `make dashboards`. They are committed; a test says that they are what this gives."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.grafana import campaigns, lanes, pipeline, servers

FOLDER: Final = Path(__file__).parent / "json"
_BUILDERS: Final = {
    "campaigns": campaigns.build,
    "pipeline": pipeline.build,
    "lanes": lanes.build,
    "servers": servers.build,
}


def documents() -> dict[str, str]:
    """File name → JSON of each dashboard."""
    encoder = JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False)
    return {f"{name}.json": encoder.encode(build().build()) + "\n" for name, build in _BUILDERS.items()}


def main() -> None:
    """Write them, and remove what no dashboard is anymore."""
    made = documents()
    for path in FOLDER.glob("*.json"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
