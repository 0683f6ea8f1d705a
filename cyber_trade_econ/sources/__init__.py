"""The registry of public sources: one module each, found by name, each ending with ``SOURCE = Source(...)``."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from functools import cache
from types import MappingProxyType

from cyber_trade_econ.errors import ConfigError, UnknownName
from cyber_trade_econ.records.source import Source

__all__ = ["all", "get"]


@cache
def _registry() -> MappingProxyType[str, Source]:
    found: dict[str, Source] = {}
    for module in pkgutil.iter_modules(__path__):
        if module.name.startswith("_"):  # readers shared by sources, not sources
            continue
        source = getattr(importlib.import_module(f"{__name__}.{module.name}"), "SOURCE", None)
        if not isinstance(source, Source) or source.name != module.name:
            raise ConfigError(
                f"module sources/{module.name}.py does not end with SOURCE = Source({module.name!r}, ...)",
                found=repr(getattr(source, "name", None)),
            )
        found[source.name] = source
    return MappingProxyType(found)


def all() -> dict[str, Source]:  # noqa: A001  # reads as sources.all()
    """Every source by name."""
    return dict(_registry())


def get(name: str) -> Source:
    """Return one source.

    Raises
    ------
    UnknownName
        If there is none of that name, with the nearest ones.
    """
    if isinstance(name, str) and name in _registry():
        return _registry()[name]
    near = difflib.get_close_matches(str(name), _registry(), 3, 0.4)
    raise UnknownName(
        f"there is no source {name!r}",
        allowed=sorted(_registry()),
        fix=f"Did you mean {' or '.join(near)}?" if near else "List them with: cyber-trade-econ sources",
    )
