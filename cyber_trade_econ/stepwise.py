"""One formula that stands for several: ``c(y1, y2) ~ x + csw(z1, z2) | sw0(fe1, fe2)``.

Such a formula is written out as text before the grammar of `cyber_trade_econ.formula` sees any of it, so that each formula it
stands for could have been typed by hand and is refused as if it had been. The words are those of R's fixest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate, product

from cyber_trade_econ.errors import FormulaError

STEPS = ("sw", "sw0", "csw", "csw0")
"""``sw(a, b)``: a, then b; ``csw(a, b)``: a, then a + b; the names ending in 0 begin with neither."""

_CALL = re.compile(r"(?<![\w.])(c|mvsw|c?sw0?)\s*\(")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_ALLOWED = ("c(y1, y2) ~ ...", "sw(a, b)", "sw0(a, b)", "csw(a, b)", "csw0(a, b)")


def written_out(text: str) -> list[str]:
    """Return the plain formulas that ``text`` stands for: outcome by outcome, then terms, then effects.

    Parameters
    ----------
    text
        A formula in which the outcome may be ``c(y1, y2)``, and one term and one effect may be a stepwise function, each of
        whose parts is one term or effect or several joined by ``+``.

    Raises
    ------
    FormulaError
        If one of these functions is used in another place, twice in one part, or without arguments.
    """
    if not isinstance(text, str):
        raise FormulaError("a formula must be text", found=type(text).__name__, allowed=_ALLOWED)
    if not _CALL.search(text):
        return [text]
    sides = _split(text, "~")
    if len(sides) != 2:
        raise _error(text, "a formula has one '~'", f"{len(sides) - 1}")
    parts = _split(sides[1], "|")
    choices = [_outcomes(sides[0], text), *(_choices(part, text) for part in parts)]
    written = []
    for outcome, terms, *effects in product(*choices):
        written.append(" | ".join([f"{outcome} ~ {terms or '1'}", *(e for e in effects if e)]))
    twice = sorted({w for w in written if written.count(w) > 1})
    if twice:
        raise _error(text, "the same formula comes out twice", repr(twice[0]))
    return written


def _outcomes(left: str, text: str) -> list[str]:
    call = _whole(left)
    if call is not None and call.name == "c":
        return list(call.arguments(text))
    _refuse_calls(left, text)
    return [left.strip()]


def _choices(part: str, text: str) -> list[str]:
    """Write out one part of the right-hand side; a choice may be empty."""
    pieces = _split(part, "+-", keep=True)
    signs, summands = ["+", *pieces[1::2]], [piece.strip() for piece in pieces[::2]]
    calls = {i: call for i, piece in enumerate(summands) if (call := _whole(piece)) is not None and call.name in STEPS}
    for i, piece in enumerate(summands):
        if i not in calls:
            _refuse_calls(piece, text)
    if not calls:
        return [part.strip()]
    if len(calls) > 1:
        raise _error(text, "one stepwise function in each part of a formula", f"{len(calls)} in {part.strip()!r}")
    at, call = next(iter(calls.items()))
    if signs[at] == "-":
        raise _error(text, "a stepwise function cannot be taken away", repr(part.strip()))
    choices = []
    for step in call.steps(text):
        filled = [*summands[:at], step, *summands[at + 1 :]]
        signed = [f"{sign} {piece}" for sign, piece in zip(signs, filled, strict=True)]
        empty = {
            0,
            at,
        }  # before a leading sign, and a step that adds nothing; elsewhere an empty term is an error to come
        choices.append(" ".join(t for i, t in enumerate(signed) if filled[i] or i not in empty).removeprefix("+ "))
    return choices


@dataclass(frozen=True)
class _Call:
    """A function of this module with the text between its brackets."""

    name: str
    inside: str

    def arguments(self, text: str) -> tuple[str, ...]:
        _refuse_calls(self.inside, text)
        found = tuple(a.strip() for a in _split(self.inside, ","))
        if not all(found):
            raise _error(text, f"{self.name}() needs parts between its commas", repr(f"{self.name}({self.inside})"))
        return found

    def steps(self, text: str) -> list[str]:
        given = self.arguments(text)
        steps = list(accumulate(given, "{} + {}".format)) if self.name.startswith("c") else list(given)
        return ["", *steps] if self.name.endswith("0") else steps


def _whole(piece: str) -> _Call | None:
    """Read a piece that is nothing but one call."""
    piece = piece.strip()
    match = _CALL.match(piece)
    if match is None or not piece.endswith(")") or len(_split(piece[match.end() : -1] + "\0", ")")) > 1:
        return None
    return _Call(match.group(1), piece[match.end() : -1])


def _refuse_calls(piece: str, text: str) -> None:
    match = _CALL.search(_QUOTED.sub("''", piece))
    if match is not None:
        raise _error(text, f"{match.group(1)}() cannot stand here", repr(piece.strip()))


def _split(text: str, marks: str, *, keep: bool = False) -> list[str]:
    """Split at marks that stand outside brackets and quotes; ``keep`` leaves the marks in between."""
    out, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in marks and depth == 0:
            out += [letter, ""] if keep else [""]
            continue
        else:
            depth += (letter in "([") - (letter in ")]")
        out[-1] += letter
    return out


def _error(text: str, problem: str, found: str) -> FormulaError:
    short = text if len(text) <= 120 else text[:117] + "..."
    return FormulaError(f"formula {short!r}: {problem}", found=found, allowed=_ALLOWED)
