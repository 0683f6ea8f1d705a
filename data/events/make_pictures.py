"""Draw the coded events into ``data/events/pictures/``: ``python data/events/make_pictures.py``."""

from __future__ import annotations

from pathlib import Path

import cyber_trade_econ as cte

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Write one PNG per picture."""
    events = cte.events()
    folder = HERE / "pictures"
    folder.mkdir(exist_ok=True)
    for kind in ("timeline", "matrix"):
        cte.event_figure(events, kind).save(folder / f"{kind}.png", dpi=160)
    for side in ("imposer", "target"):
        cte.event_figure(events, "map", side=side).save(folder / f"map_{side}.png", dpi=160)


if __name__ == "__main__":
    main()
