"""One flat tree of errors.

Every message has up to four parts in a fixed order: what was asked or what is wrong, what was found, what is allowed, and
what to do next. ``exit_code`` is what the command line returns: 2 usage, 3 network, 4 data, 5 estimation, 6 storage.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar


class CyberTradeError(Exception):
    """Root of everything this package raises on purpose.

    Parameters
    ----------
    what
        The thing asked for or the thing that is wrong, by name.
    found
        What was found instead.
    allowed
        The permitted values; an iterable is joined with commas.
    fix
        What to do next, as an instruction.
    """

    exit_code: ClassVar[int] = 4

    def __init__(self, what: str, *, found: object = None, allowed: object = None, fix: str | None = None) -> None:
        if isinstance(allowed, Iterable) and not isinstance(allowed, str):
            allowed = tuple(allowed)
        self.what, self.found, self.allowed, self.fix = what, found, allowed, fix
        parts = [what.rstrip(".")]
        if found is not None:
            parts.append(f"found {found}")
        if allowed is not None:
            parts.append("allowed: " + (", ".join(map(str, allowed)) if isinstance(allowed, tuple) else str(allowed)))
        text = "; ".join(parts) + "."
        super().__init__(f"{text} {fix}" if fix else text)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel between processes as text and attributes: a subclass may begin with other arguments than the text."""
        return _remade, (type(self), self.args), self.__dict__


def _remade(kind: type[CyberTradeError], args: tuple[Any, ...]) -> CyberTradeError:
    return kind.__new__(kind, *args)


# --- network -------------------------------------------------------------------------------------------------------------
class FetchError(CyberTradeError):
    """A download failed."""

    exit_code = 3


class NotDataError(FetchError):
    """The server answered, but with a page or an error text in place of data."""


class HashMismatch(FetchError):
    """The bytes are not those that the lock recorded."""


class RateLimited(FetchError):
    """The server asks to wait longer than the client is prepared to."""


class TooBig(FetchError):
    """More bytes than the source declares possible."""


class OfflineError(FetchError):
    """The network is switched off and the file is not in the lake or the mirror."""


# --- data ----------------------------------------------------------------------------------------------------------------
class ArchiveError(CyberTradeError):
    """A zip that is truncated, lies about its content, or lacks the expected member."""


class ParseError(CyberTradeError):
    """A file does not have the layout of its source."""


class SchemaError(CyberTradeError):
    """A table breaks its declared columns, types or expectations."""


class DuplicateKey(CyberTradeError):
    """Two rows share a key that must be unique."""


class MissingKey(CyberTradeError):
    """A join key is null, or a row found no partner where one is required."""


class UnknownCode(CyberTradeError):
    """A country, product or event code that no table knows."""


class VintageError(CyberTradeError):
    """An edition of the Harmonized System that does not exist, or codes of several editions where one is asked for."""


class EventError(CyberTradeError):
    """A coded event breaks the codebook."""


class NotPulled(CyberTradeError):
    """A table was asked for that the lake does not hold yet."""


class UnknownName(CyberTradeError):
    """A source, sample, panel, study or event id that does not exist."""

    exit_code = 2


class ConfigError(CyberTradeError):
    """An option has a value outside its list."""

    exit_code = 2


class PublishedNumberMoved(CyberTradeError):
    """A study run with ``--check`` gives other numbers than the published ones."""

    exit_code = 5


# --- storage -------------------------------------------------------------------------------------------------------------
class StorageError(CyberTradeError):
    """The lake's folder cannot be read or written."""

    exit_code = 6


class CorruptFile(StorageError):
    """A stored file does not match its recorded hash."""


class Locked(StorageError):
    """Another process holds the lake's lock."""


# --- estimation ----------------------------------------------------------------------------------------------------------
class FormulaError(CyberTradeError):
    """A formula says something the grammar does not know."""

    exit_code = 2


class EstimationError(CyberTradeError):
    """A model cannot be estimated as asked."""

    exit_code = 5


class EmptySample(EstimationError):
    """No rows, or fewer rows than parameters, are left."""


class BadOutcome(EstimationError):
    """The outcome is negative, infinite, not a number or zero everywhere."""


class BadRegressor(EstimationError):
    """A regressor, weight or offset is not a finite number."""


class Collinear(EstimationError):
    """A regressor is constant or a combination of other regressors and fixed effects."""


class FewClusters(EstimationError):
    """Cluster-robust inference was asked for with a single cluster."""


class SeparationError(EstimationError):
    """The Poisson maximum-likelihood estimate does not exist for this sample."""


class NotConverged(EstimationError):
    """An iteration stopped before its tolerance was met."""


class NotIdentified(EstimationError):
    """The design has no variation that identifies the effect asked for."""
