"""How long the steps of a fit take: functions of the package are timed where they are called, the package stays as it is."""

from __future__ import annotations

import sys
import time
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = {
    "build": ("design:build",),
    "prune+separation": ("fit:existing_sample",),
    "core": ("cores:by_poisson", "cores:by_least_squares"),
    "covariance": ("solved:covariance",),
}


class Watch:
    """Seconds of CPU by step; a step inside another counts for the outer one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(STEPS, 0.0)
        self.absent: list[str] = []
        self._inside = False
        for step, places in STEPS.items():
            for place in places:
                self._time(step, place)

    def _time(self, step: str, place: str) -> None:
        module, name = place.split(":")
        function = getattr(import_module(f"cyber_trade_econ.{module}"), name, None)
        if function is None:
            self.absent.append(place)
            return
        timed = self._timed(step, function)
        for loaded in [m for n, m in sys.modules.items() if n.startswith("cyber_trade_econ") and m is not None]:
            for attribute, value in list(vars(loaded).items()):
                if value is function:
                    setattr(loaded, attribute, timed)

    def _timed(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            if self._inside:
                return function(*args, **kwargs)
            self._inside, start = True, time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                self._inside = False
                self.seconds[step] += time.process_time() - start

        return timed
