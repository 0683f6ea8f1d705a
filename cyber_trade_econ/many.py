"""Many fits at once: several outcomes, samples and stepwise regressors, prepared together and carried by any executor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import pandas as pd

from cyber_trade_econ.errors import ConfigError, EstimationError, FormulaError
from cyber_trade_econ.fit import Model, Options, check_options, chosen_vcov, fit
from cyber_trade_econ.formula import Formula, parse
from cyber_trade_econ.frames import check_frame, column
from cyber_trade_econ.inference.carried import check_executor
from cyber_trade_econ.inference.conventions import Cluster, Dyadic
from cyber_trade_econ.numbered import Numbered, coded
from cyber_trade_econ.records.panel import Panel
from cyber_trade_econ.stepwise import written_out

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from concurrent.futures import Executor

    from cyber_trade_econ.hdfe.factor import Codes
    from cyber_trade_econ.records.estimate import Estimate

WHOLE = "all rows"
_MODELS: Mapping[str, Model] = {"ppml": "PPML", "ols": "OLS"}
_PPML_ALONE = ("separation", "tol")


@dataclass(frozen=True)
class Key:
    """Which fit: the sample, such as ``"sector = 3"``, and the formula in canonical form."""

    sample: str
    formula: str

    def __str__(self) -> str:
        return self.formula if self.sample == WHOLE else f"{self.formula} [{self.sample}]"


@dataclass(frozen=True)
class Fits:
    """Estimates in a fixed order, samples first, then formulas as written out; a sequence that `table` and `figure` accept.

    Parameters
    ----------
    keys, estimates
        What each estimate is of, and the estimates.
    facts
        ``fits``, ``samples``, ``formulas``; ``coded_once``, columns of text whose categories were made once for all fits;
        with a split ``no_sample``, rows in which the splitting column is missing.
    """

    keys: tuple[Key, ...]
    estimates: tuple[Estimate, ...]
    facts: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.estimates)

    def __iter__(self) -> Iterator[Estimate]:
        return iter(self.estimates)

    @overload
    def __getitem__(self, at: int) -> Estimate: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Estimate, ...]: ...
    def __getitem__(self, at: int | slice) -> Estimate | tuple[Estimate, ...]:
        """Return one estimate by position, or several."""
        return self.estimates[at]

    @property
    def titles(self) -> tuple[str, ...]:
        """Number and sample of each fit, such as ``"(2) sector = 3"``; none if all are of one sample.

        The formula of a fit is left out: a table shows outcome, regressors and effects below.
        """
        if len({k.sample for k in self.keys}) < 2:
            return ()
        return tuple(f"({i}) {k.sample}" for i, k in enumerate(self.keys, 1))

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """Return `Estimate.tidy` of all fits below one another, each row with its sample and formula."""
        parts = [
            e.tidy(level).assign(sample=k.sample, formula=k.formula)
            for k, e in zip(self.keys, self.estimates, strict=True)
        ]
        whole = pd.concat(parts, ignore_index=True)
        return whole[["sample", "formula", *(c for c in whole.columns if c not in ("sample", "formula"))]]


class FitsFailed(EstimationError):
    """Some of many fits cannot be had; those that can are in ``fits``, and the error of each other one in ``failures``."""

    def __init__(self, fits: Fits, failures: Mapping[Key, Exception]) -> None:
        first = [f"{key}: {type(error).__name__}: {error}" for key, error in list(failures.items())[:5]]
        more = [f"and {len(failures) - 5} more"] if len(failures) > 5 else []
        super().__init__(
            f"{len(failures)} of {len(failures) + len(fits)} fits failed",
            found=" | ".join([*first, *more]),
            fix="The others are in the attribute 'fits' of this error, and the errors by fit in 'failures'.",
        )
        self.fits, self.failures = fits, failures


def fits(
    formula: str | Iterable[str],
    data: pd.DataFrame | Panel,
    *,
    estimator: Literal["ppml", "ols"] = "ppml",
    split: str | None = None,
    fsplit: str | None = None,
    executor: Executor | None = None,
    **options: Any,
) -> Fits:
    """Estimate several outcomes, samples and sets of regressors.

    Parameters
    ----------
    formula
        One formula or several, in which the outcome may be ``c(y1, y2)`` and a regressor and an effect each one of
        ``sw(a, b)`` (one after the other), ``csw(a, b)`` (added up), ``sw0``, ``csw0`` (the same, first without).
    data
        Data frame or Panel.
    estimator
        `ppml` or `ols`.
    split, fsplit
        Column by whose values the rows are split into samples; ``fsplit`` begins with the sample of all rows.
    executor
        Any `concurrent.futures.Executor` carries the fits.
    options
        Those of the estimator: ``vcov``, ``ssc``, ``weights``, ``offset``, ``collinear``; for PPML ``separation``, ``tol``.

    Returns
    -------
    Fits. Each estimate is the one that the estimator returns for its formula and rows alone. Categories are numbered once
    for each set of rows, singletons and effects of zeros alone are looked for once for each set of rows and outcome, the
    layout of a gravity panel once for each set of effects and rows left, and what a set of regressors shows of separation is
    not looked for again in a part of it. Starting values are not shared: neither executor nor company changes a digit.

    Raises
    ------
    ConfigError, FormulaError
        Before anything is fitted.
    FitsFailed
        If a fit has no estimate. All others are made first, and travel with the error.
    """
    parsed = _parsed(formula)
    if estimator not in tuple(_MODELS):
        raise ConfigError("fits(estimator=...)", found=repr(estimator), allowed=tuple(_MODELS))
    model, chosen = _MODELS[estimator], _options(estimator, options)
    if split is not None and fsplit is not None:
        raise ConfigError("fits()", found="split= and fsplit=", allowed="one of them")
    frame = data.frame if isinstance(data, Panel) else data
    check_frame(frame)
    check_executor("fits", executor)
    samples, lost = _samples(frame, split if fsplit is None else fsplit, whole=fsplit is not None or split is None)
    used, keys = _columns(data, parsed, replace(chosen, vcov=chosen_vcov(chosen.vcov, _panel(data), model)))
    frame = frame[used]
    shared = coded(frame, keys)
    work = []
    for name, rows in samples:
        part = frame if rows is None else frame.iloc[rows]
        numbered = Numbered(shared if rows is None else shared.iloc[rows])
        given = replace(data, frame=part) if isinstance(data, Panel) else part
        work += [(Key(name, str(p)), partial(_one, model, p, given, chosen, numbered)) for p in parsed]
    facts: dict[str, Any] = {"samples": len(samples), "formulas": len(parsed), **lost}
    facts["coded_once"] = tuple(c for c in frame if shared[c].dtype != frame[c].dtype)
    return _gathered([key for key, _ in work], _carried([piece for _, piece in work], executor), facts)


def _parsed(formula: str | Iterable[str]) -> list[Formula]:
    several = formula if isinstance(formula, Iterable) and not isinstance(formula, str) else [formula]
    written = [w for text in several for w in written_out(text)]
    parsed = [parse(text, slopes=True) for text in written]
    if not parsed or len({str(p) for p in parsed}) < len(parsed):
        raise FormulaError("fits() needs formulas that differ", found=written or "none")
    return parsed


def _options(estimator: str, given: Mapping[str, Any]) -> Options:
    allowed = [f.name for f in fields(Options) if estimator == "ppml" or f.name not in _PPML_ALONE]
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        raise ConfigError(f"options of fits(estimator={estimator!r})", found=", ".join(unknown), allowed=allowed)
    options = Options(**given)
    check_options(options)
    return options


def _samples(
    frame: pd.DataFrame, by: str | None, *, whole: bool
) -> tuple[list[tuple[str, Codes | None]], dict[str, int]]:
    """Return names and rows of the samples, all rows as ``None``, and how many rows are in none for want of a value."""
    samples: list[tuple[str, Codes | None]] = [(WHOLE, None)] if whole else []
    if by is None:
        return samples, {}
    codes, levels = pd.factorize(column(frame, by, "the column to split by"), sort=True)
    samples += [(f"{by} = {level}", np.flatnonzero(codes == number)) for number, level in enumerate(levels)]
    return samples, {"no_sample": int((codes < 0).sum())}


def _panel(data: pd.DataFrame | Panel) -> Panel | None:
    return data if isinstance(data, Panel) else None


def _columns(data: pd.DataFrame | Panel, formulas: list[Formula], options: Options) -> tuple[list[str], list[str]]:
    """Return the columns that any fit uses, and those of them that are effects or clusters alone; refuse unknown ones."""
    frame = data.frame if isinstance(data, Panel) else data
    vcov = options.vcov
    by = [c for b in vcov.by for c in b.split("^")] if isinstance(vcov, Cluster) else []
    by += [vcov.exporter, vcov.importer] if isinstance(vcov, Dyadic) else []
    terms = [c for f in formulas for c in f.columns]
    other = [c for c in (options.weights, options.offset) if c is not None]
    own = [data.unit, data.time] if isinstance(data, Panel) else []
    for name in (*terms, *by, *other):
        column(frame, name, "the variable")
    values = {a.name for f in formulas for a in (f.outcome, *(a for t in f.terms for a in t))}
    keys = {*by, *terms} - values - set(other)
    return [c for c in frame.columns if c in {*terms, *by, *other, *own}], [c for c in frame.columns if c in keys]


def _one(
    model: Model, formula: Formula, data: pd.DataFrame | Panel, options: Options, numbered: Numbered
) -> Estimate | Exception:
    """Fit one model; its error is a result like another until all are made."""
    try:
        return fit(model, formula, data, options, numbered=numbered)
    except (EstimationError, FormulaError) as error:  # a reference level may be absent from one sample
        return error


def _carried(work: list[partial[Estimate | Exception]], executor: Executor | None) -> list[Estimate | Exception]:
    """Do the work, models with many terms first: what they show of separation holds for those with fewer."""
    order = sorted(range(len(work)), key=lambda i: -len(work[i].args[1].terms))
    if executor is None:
        done = {i: work[i]() for i in order}
    else:
        futures = {i: executor.submit(work[i]) for i in order}
        done = {i: future.result() for i, future in futures.items()}
    return [done[i] for i in range(len(work))]


def _gathered(keys: list[Key], outcomes: list[Estimate | Exception], facts: dict[str, Any]) -> Fits:
    made = [(k, o) for k, o in zip(keys, outcomes, strict=True) if not isinstance(o, Exception)]
    failures = {k: o for k, o in zip(keys, outcomes, strict=True) if isinstance(o, Exception)}
    done = Fits(tuple(k for k, _ in made), tuple(e for _, e in made), {"fits": len(keys), **facts})
    if failures:
        raise FitsFailed(done, failures)
    return done
