"""How far two coders agree: Cohen's kappa and Krippendorff's alpha, field by field, with bootstrap intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from cyber_trade_econ.codes.country import is_country
from cyber_trade_econ.errors import ConfigError, EventError
from cyber_trade_econ.events.codebook import Codebook, codebook
from cyber_trade_econ.events.read import read

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

# Columns that are coded but have no list of codes: pairs of economies and products as sets, severity as a number.
SETS = ("imposer", "target", "hs_codes")
NUMBERS = ("intensity",)
_SEVERITY = tuple(str(n) for n in range(11))
_ECONOMIES = "ISO 3166 alpha-3, EUU, WLD"
_ALLOWED = {
    "imposer": _ECONOMIES,
    "target": _ECONOMIES,
    "hs_codes": "2, 4 or 6 digits",
    "intensity": "a whole number 0 to 10",
}
NOT_JUDGED = ("confidence", "source_kind", "source_check")
"""Fields that say what one coder read; another coder cannot agree or disagree with that."""

_LEVEL = 0.95


class _Coded(NamedTuple):
    """One field as coded twice: values by unit, the distances between values, what kappa compares, and the event."""

    first: npt.NDArray[np.intp]
    second: npt.NDArray[np.intp]
    distance: Floats
    primary: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]
    event: npt.NDArray[np.intp]


def agreement(
    codes_a: str | Path | pd.DataFrame,
    codes_b: str | Path | pd.DataFrame,
    *,
    draws: int = 2000,
    seed: int = 20180103,
    book: Codebook | None = None,
) -> pd.DataFrame:
    """Compare two codings of the same events.

    Kappa (Cohen 1960, DOI 10.1177/001316446002000104) compares single codes: the first of a cell with several, and the
    whole cell of economies or products, which have no order. Alpha (Krippendorff 2011,
    https://repository.upenn.edu/handle/20.500.14332/2089) compares whole cells: nominal for single codes, with the
    Jaccard distance for sets of codes, with squared differences for ``intensity``. In ``org_action``, which has one code
    per firm, firms are compared one by one. Intervals are percentiles of a bootstrap that draws events with replacement.
    Events for which both coders say ``na`` in a field are left out of it, since the record type alone decides that.

    Parameters
    ----------
    codes_a, codes_b
        CSV files, or frames of text: ``event_id`` and coded columns, several codes joined by ``;``, ``""`` for empty.
    draws
        Bootstrap draws, at least 100.
    seed
        Seed of the draws.
    book
        The coding scheme, that of the package when None.

    Returns
    -------
    One row per field that both codings have: ``field, units`` (events), ``equal`` (share of identical cells, of firms in
    ``org_action``), ``kappa, kappa_low, kappa_high, alpha, alpha_low, alpha_high`` (95 per cent) and ``codes`` (distinct
    values used). Where neither coder ever varies, kappa and alpha are not defined and NaN. ``attrs["facts"]`` counts the
    events that one coding alone has, and by field the draws without variation, which the intervals leave out.

    Raises
    ------
    EventError
        If a coding has no or repeated ids or values that are no codes, shares no event or field with the other, or has
        another number of firms.
    ConfigError
        If ``draws`` is not a whole number of at least 100.
    """
    if not isinstance(draws, int) or draws < 100:
        raise ConfigError("draws of the bootstrap", found=repr(draws), allowed="a whole number, 100 or more")
    scheme = codebook() if book is None else book
    a, b = (_coding(given, scheme) for given in (codes_a, codes_b))
    both = [i for i in a.index if i in set(b.index)]
    fields = [c for c in a.columns if c in b.columns and c in _judged(scheme)]
    if not both or not fields:
        raise EventError(
            "two codings that have nothing in common",
            found=f"{len(both)} common events, {len(fields)} common fields",
            fix="Both files need event_id with the same ids, and the same coded columns.",
        )
    rng = np.random.default_rng(seed)
    rows, without = [], {}
    for name in fields:
        cells = zip(both, a.loc[both, name], b.loc[both, name], strict=True)
        judged = [i for i, x, y in cells if not (x == y and _not_asked(name, str(x)))]
        if not judged:
            continue
        coded = _encode(a.loc[judged, name], b.loc[judged, name], name, scheme)
        rows.append(_row(name, coded, rng.integers(0, len(judged), size=(draws, len(judged)))))
        without[name] = rows[-1].pop("undefined")
    out = pd.DataFrame(rows)
    out.attrs["facts"] = {
        "events_in_both": len(both),
        "only_in_a": len(a) - len(both),
        "only_in_b": len(b) - len(both),
        "draws": draws,
        "seed": seed,
        "draws_without_variation": {k: v for k, v in without.items() if v},
    }
    return out


def cohen_kappa(first: npt.NDArray[np.intp], second: npt.NDArray[np.intp]) -> float:
    """Return Cohen's kappa of two codings, each shape (n,), whole numbers from 0; NaN where chance agreement is 1."""
    size = int(max(first.max(), second.max())) + 1
    n = len(first)
    expected = float((np.bincount(first, minlength=size) / n) @ (np.bincount(second, minlength=size) / n))
    return float("nan") if expected == 1 else (float((first == second).mean()) - expected) / (1 - expected)


def krippendorff_alpha(first: npt.NDArray[np.intp], second: npt.NDArray[np.intp], distance: Floats) -> float:
    """Return Krippendorff's alpha of two complete codings, each shape (n,), given the (k, k) distances of values.

    NaN where all values are the same, so that no disagreement is expected.
    """
    values = np.bincount(np.concatenate([first, second]), minlength=len(distance)).astype(float)
    total = values.sum()
    expected = float(values @ distance @ values) / (total * (total - 1))
    return float("nan") if expected == 0 else 1 - float(distance[first, second].mean()) / expected


def _row(name: str, coded: _Coded, drawn: npt.NDArray[np.int64]) -> dict[str, object]:
    one, two = coded.primary
    units = [np.flatnonzero(coded.event == e) for e in range(drawn.shape[1])]
    picks = [np.concatenate([units[e] for e in events]) for events in drawn]
    kappas = np.array([cohen_kappa(one[p], two[p]) for p in picks])
    alphas = np.array([krippendorff_alpha(coded.first[p], coded.second[p], coded.distance) for p in picks])
    kappa = cohen_kappa(one, two)
    alpha = krippendorff_alpha(coded.first, coded.second, coded.distance)
    return {
        "field": name,
        "units": drawn.shape[1],
        "equal": float((coded.first == coded.second).mean()),
        **dict(zip(("kappa", "kappa_low", "kappa_high"), (kappa, *_interval(kappas)), strict=True)),
        **dict(zip(("alpha", "alpha_low", "alpha_high"), (alpha, *_interval(alphas)), strict=True)),
        "codes": len(coded.distance),
        "undefined": int(np.isnan(alphas).sum()),
    }


def _interval(values: Floats) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)


def _judged(book: Codebook) -> list[str]:
    return [*(f for f in book.fields if f not in NOT_JUDGED), *SETS, *NUMBERS]


def _not_asked(name: str, cell: str) -> bool:
    return cell == "na" or (name in NUMBERS and cell in ("", "nan"))


def _coding(given: str | Path | pd.DataFrame, book: Codebook) -> pd.DataFrame:
    """Return a coding indexed by event, its codes checked."""
    if isinstance(given, pd.DataFrame):
        name, frame, lines = "the coding", given, tuple(range(2, len(given) + 2))
    else:
        name, (frame, lines) = Path(given).name, read(Path(given))
    if "event_id" not in frame.columns:
        raise EventError(f"{name} has no column event_id", found=list(frame.columns)[:8])
    first_line: dict[str, int] = {}
    for line, ident in zip(lines, frame["event_id"], strict=True):
        if not ident or ident in first_line:
            found = f"{ident!r} as in line {first_line[ident]}" if ident else "nothing"
            fault = "an event twice" if ident else "an event without id"
            raise EventError(f"{name} has {fault}, line {line}, event_id", found=found, allowed="each event once")
        first_line[ident] = line
    for field in (f for f in _judged(book) if f in frame.columns):
        for line, cell in zip(lines, frame[field], strict=True):
            wrong = [code for code in str(cell).split(";") if not _is_code(field, code, book)]
            if wrong:
                allowed = book.fields[field].codes if field in book.fields else _ALLOWED[field]
                raise EventError(f"{name}, line {line}, {field}", found=repr(wrong[0]), allowed=allowed)
    return frame.set_index("event_id")


def _is_code(field: str, code: str, book: Codebook) -> bool:
    if field in book.fields:
        return not code or code in book.fields[field].codes
    if field in NUMBERS:
        return code.removesuffix(".0") in ("", "nan", *_SEVERITY)
    if field == "hs_codes":
        return not code or (code.isascii() and code.isdigit() and len(code) in (2, 4, 6))
    return code in ("", "EUU", "WLD") or is_country(code)


def _encode(a: pd.Series, b: pd.Series, name: str, book: Codebook) -> _Coded:
    """Return a field as numbers of its values, and how far those are apart."""
    if name in NUMBERS:
        a, b = (s.astype(str).str.removesuffix(".0").replace("nan", "") for s in (a, b))
    event = np.arange(len(a), dtype=np.intp)
    if name in book.fields and book.fields[name].along:
        firms = [_by_firm(name, *given) for given in zip(a.index, a, b, strict=True)]
        event = np.repeat(event, [len(pairs) for pairs in firms])
        a, b = (pd.Series([pair[side] for pairs in firms for pair in pairs], dtype=str) for side in (0, 1))
    several = name in SETS or (name in book.fields and book.fields[name].several)
    split: Callable[[str], frozenset[str] | str] = (lambda c: frozenset(c.split(";"))) if several else str
    single = split if name in SETS else _first
    first, second, values = _numbered([split(c) for c in a], [split(c) for c in b])
    one, two, _ = _numbered([single(c) for c in a], [single(c) for c in b])
    return _Coded(first, second, _distances(values, number=name in NUMBERS), (one, two), event)


def _by_firm(name: str, event: str, one: str, two: str) -> list[tuple[str, str]]:
    """Return the two codes of each firm of an event; ``na`` alone is said of all of them."""
    first, second = one.split(";"), two.split(";")
    firms = max(len(first), len(second))
    first, second = (codes * firms if codes == ["na"] else codes for codes in (first, second))
    if len(first) != len(second):
        raise EventError(
            f"{name} of {event}",
            found=f"{len(first)} code(s) in one coding, {len(second)} in the other",
            allowed="one code per firm in both, or na alone",
        )
    return list(zip(first, second, strict=True))


def _first(cell: str) -> str:
    return cell.split(";", 1)[0]


def _numbered(
    a: Sequence[frozenset[str] | str], b: Sequence[frozenset[str] | str]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], list[frozenset[str] | str]]:
    values = list(dict.fromkeys([*a, *b]))
    place = {value: n for n, value in enumerate(values)}
    return np.array([place[v] for v in a], dtype=np.intp), np.array([place[v] for v in b], dtype=np.intp), values


def _distances(values: Sequence[frozenset[str] | str], *, number: bool) -> Floats:
    if number and all(isinstance(v, str) and v.replace(".", "", 1).isdigit() for v in values):
        x = np.array([float(str(v)) for v in values])
        return np.asarray((x[:, None] - x) ** 2, dtype=np.float64)
    return np.array([[_apart(u, v) for v in values] for u in values], dtype=np.float64)


def _apart(u: frozenset[str] | str, v: frozenset[str] | str) -> float:
    """Jaccard distance of sets; 0 or 1 for single codes."""
    if isinstance(u, frozenset) and isinstance(v, frozenset):
        return 1 - len(u & v) / len(u | v)
    return float(u != v)
