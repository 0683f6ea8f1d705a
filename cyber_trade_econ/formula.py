"""A strict grammar for regression formulas: ``y ~ x1 + log(x2) + i(x3, ref=0) + a:b | fe1^fe2 + fe3[x]``.

A formula is read, never evaluated: names are looked up as columns, ``log`` and ``i`` are the only functions, and every other
part is refused by name. Nothing in a formula can run code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Literal, NamedTuple

from cyber_trade_econ.errors import FormulaError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LENGTH, _SHOWN = 10_000, 120
_TOKEN = re.compile(
    r"\s*(?:(?P<name>[^\W\d]\w*(?:\.\w+)*)|(?P<number>\d+(?:\.\d+)?)|'(?P<text>[^'\\]*)'|\"(?P<text2>[^\"\\]*)\""
    r"|(?P<op>[~|+\-:*^()\[\],=]))"
)
_GRAMMAR = "y ~ x + log(x) + i(x, ref=0) + a:b + a*b | fe1^fe2 + fe3[x]"
_IV = "Write y ~ x + z | fe and name z and its instruments: cte.iv_ppml(..., endogenous='z', instruments='w')."

Level = str | int | float


@dataclass(frozen=True)
class Atom:
    """One factor of a term: a column as it is, its logarithm, or its categories as indicators."""

    kind: Literal["name", "log", "i"]
    name: str
    ref: Level | None = None

    def __str__(self) -> str:
        if self.kind == "name":
            return self.name
        if self.kind == "log" or self.ref is None:
            return f"{self.kind}({self.name})"
        return f"i({self.name}, ref={self.ref!r})"


Term = tuple[Atom, ...]
Trend = tuple[tuple[str, ...], str]


@dataclass(frozen=True)
class Formula:
    """A formula as understood.

    Parameters
    ----------
    outcome
        Left-hand side.
    terms
        Right-hand side without intercept and effects, in the order written; a term of several atoms is their product.
    intercept
        Whether a constant is asked for. With fixed effects the constant is part of them.
    effects
        Fixed effects; each is a tuple of columns whose combinations are the levels.
    slopes
        Varying slopes: a fixed effect, which is also among ``effects``, and the column whose coefficient varies with it.
    """

    outcome: Atom
    terms: tuple[Term, ...]
    intercept: bool
    effects: tuple[tuple[str, ...], ...]
    slopes: tuple[Trend, ...] = ()

    def __str__(self) -> str:
        right = [":".join(map(str, t)) for t in self.terms]
        if not self.intercept:
            right.insert(0, "0")
        text = f"{self.outcome} ~ {' + '.join(right) or '1'}"
        along = {slope[0]: slope_name(slope) for slope in self.slopes}
        return f"{text} | {' + '.join(along.get(e, effect_name(e)) for e in self.effects)}" if self.effects else text

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column the formula names, once, in the order of first use."""
        used = [self.outcome.name, *(a.name for t in self.terms for a in t), *(c for e in self.effects for c in e)]
        return tuple(dict.fromkeys([*used, *(variable for _, variable in self.slopes)]))


def effect_name(effect: tuple[str, ...]) -> str:
    """Return the name of an effect, such as ``exporter^year``."""
    return "^".join(effect)


def slope_name(slope: Trend) -> str:
    """Return the name of a varying slope, such as ``pair[year]``."""
    return f"{effect_name(slope[0])}[{slope[1]}]"


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


class _Reader:
    """The tokens of one formula and how far they have been read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(_tokens(text))
        self.next = 0

    def peek(self, *ops: str) -> bool:
        token = self.tokens[self.next]
        return token.kind == "op" and token.text in ops

    def take(self) -> _Token:
        token = self.tokens[self.next]
        self.next += token.kind != "end"
        return token

    def accept(self, *ops: str) -> bool:
        found = self.peek(*ops)
        self.next += found
        return found

    def expect(self, op: str, after: str) -> None:
        if not self.accept(op):
            raise self.error(f"expected {op!r} after {after}")

    def name(self, what: str) -> str:
        if (token := self.take()).kind != "name":
            raise self.error(f"expected the name of a column as {what}", token)
        return token.text

    def error(self, problem: str, token: _Token | None = None, fix: str | None = None) -> FormulaError:
        token = token or self.tokens[self.next]
        found = "the end of the formula" if token.kind == "end" else f"{token.text!r} at position {token.at + 1}"
        return FormulaError(f"formula {self.text[:_SHOWN]!r}: {problem}", found=found, allowed=_GRAMMAR, fix=fix)


def _tokens(text: str) -> Iterator[_Token]:
    at, stripped = 0, text.rstrip()
    while at < len(stripped):
        match = _TOKEN.match(stripped, at)
        if match is None or match.lastgroup is None:
            at += len(stripped[at:]) - len(stripped[at:].lstrip())
            raise FormulaError(
                f"formula {text[:_SHOWN]!r}: not part of the grammar",
                found=f"{stripped[at : at + 12]!r} at position {at + 1}",
                allowed=_GRAMMAR,
            )
        kind = "text" if match.lastgroup == "text2" else match.lastgroup
        yield _Token(kind, match.group(match.lastgroup), match.start(match.lastgroup))
        at = match.end()
    yield _Token("end", "", at)


def parse(text: str, *, slopes: bool = False) -> Formula:
    """Read a formula.

    Parameters
    ----------
    text
        ``outcome ~ terms`` or ``outcome ~ terms | effects``. Terms are column names, ``log(x)``, ``i(x)``,
        ``i(x, ref=level)``, products ``a:b`` and ``a*b`` (= ``a + b + a:b``), ``1``, ``0`` and ``-1``. Effects are column
        names joined by ``^`` to combine them; ``pair[year]`` is an effect of each pair and a slope of it in ``year``.
    slopes
        Whether the caller knows varying slopes; if not, they are refused.

    Raises
    ------
    FormulaError
        On anything else, naming the part, its position and the grammar.
    """
    if not isinstance(text, str):
        raise FormulaError("a formula must be text", found=type(text).__name__, allowed=_GRAMMAR)
    if len(text) > MAX_LENGTH:
        raise FormulaError(f"a formula may have {MAX_LENGTH} characters", found=len(text), fix="Name fewer terms.")
    reader = _Reader(text)
    if (outcome := _atom(reader)).kind == "i":
        raise reader.error("the outcome cannot be a set of indicators", reader.tokens[0])
    reader.expect("~", "the outcome")
    terms, intercept = _terms(reader)
    effects, trends = _effects(reader) if reader.accept("|") else ((), ())
    if trends and not slopes:
        raise FormulaError(
            f"formula {text[:_SHOWN]!r}: varying slopes are not known here",
            found=slope_name(trends[0]),
            fix="Leave the slope out; cte.ols, cte.ppml and most questions asked of their estimates know slopes.",
        )
    if reader.peek("|") or (effects and reader.peek("~")):
        raise reader.error("instrumental variables are not part of the grammar", fix=_IV)
    if reader.take().kind != "end":
        raise reader.error("expected the end of the formula", reader.tokens[reader.next - 1])
    if outcome.name in {a.name for t in terms for a in t if a.kind == outcome.kind}:
        raise reader.error(f"the outcome {outcome.name!r} is also a regressor", reader.tokens[0], "Remove it.")
    return Formula(outcome, terms, intercept, effects, trends)


def _terms(reader: _Reader) -> tuple[tuple[Term, ...], bool]:
    terms: dict[Term, None] = {}
    intercept = True
    sign = "-" if reader.accept("-") else "+"
    while True:
        token = reader.tokens[reader.next]
        if token.kind == "number" and token.text in ("0", "1"):
            reader.take()
            intercept = (token.text == "1") == (sign == "+")
        elif sign == "-":
            raise reader.error("only the intercept can be removed, as in '- 1'")
        else:
            terms |= dict.fromkeys(_products(reader))
        if not reader.peek("+", "-"):
            return tuple(terms), intercept
        sign = reader.take().text


def _products(reader: _Reader) -> list[Term]:
    """One atom, or several joined by ``:`` (their product) or by ``*`` (all their products)."""
    atoms = [_atom(reader)]
    if not reader.peek(":", "*"):
        return [(atoms[0],)]
    op = reader.tokens[reader.next].text
    while reader.accept(op):
        atoms.append(_atom(reader))
    if reader.peek(":", "*"):
        raise reader.error("a term joins its parts either by ':' or by '*', not by both")
    if len(set(atoms)) < len(atoms):
        raise reader.error(f"a term names {atoms[0]} twice" if atoms[0] == atoms[1] else "a term names a part twice")
    if op == ":":
        return [tuple(atoms)]
    if len(atoms) > 4:
        raise reader.error("at most four parts can be joined by '*'")
    return [c for size in range(1, len(atoms) + 1) for c in combinations(atoms, size)]


def _atom(reader: _Reader) -> Atom:
    name = reader.name("a variable")
    if not reader.accept("("):
        return Atom("name", name)
    if name not in ("log", "i"):
        raise FormulaError(
            f"formula {reader.text[:_SHOWN]!r}: unknown function",
            found=repr(name),
            allowed=("log(x)", "i(x, ref=level)"),
            fix="Compute other transformations as columns of the data.",
        )
    column = reader.name(f"the argument of {name}()")
    ref = _ref(reader, column) if name == "i" and reader.accept(",") else None
    reader.expect(")", f"the argument of {name}()")
    return Atom("log", column) if name == "log" else Atom("i", column, ref)


def _ref(reader: _Reader, column: str) -> Level:
    if (token := reader.take()).text != "ref" or not reader.accept("="):
        other = f"i({token.text[2:]})" if token.text.startswith("i.") else token.text
        product = token.kind == "name" and reader.peek(",", ")")
        fix = f"Write the interaction as i({column}):{other}, or i({column}, ref=level):{other}." if product else None
        raise reader.error("the second argument of i() is 'ref=level'", token, fix)
    negative = reader.accept("-")
    if (token := reader.take()).kind == "number":
        value = float(token.text) if "." in token.text else int(token.text)
        return -value if negative else value
    if token.kind != "text" or negative:
        raise reader.error("the reference level is a number or a quoted text", token)
    return token.text


def _effects(reader: _Reader) -> tuple[tuple[tuple[str, ...], ...], tuple[Trend, ...]]:
    effects: dict[tuple[str, ...], None] = {}
    slopes: list[Trend] = []
    while True:
        columns = [reader.name("a fixed effect")]
        while reader.accept("^"):
            columns.append(reader.name("part of a fixed effect"))
        effect = tuple(columns)
        if len(set(columns)) < len(columns):
            raise reader.error(f"the effect {effect_name(effect)} names a column twice")
        if any(set(columns) == set(e) for e in effects):
            raise reader.error(f"the effect {effect_name(effect)} stands twice")
        effects[effect] = None
        if reader.accept("["):
            slopes.append((effect, _variable(reader, effect)))
        if not reader.accept("+"):
            return tuple(effects), tuple(slopes)


def _variable(reader: _Reader, effect: tuple[str, ...]) -> str:
    """Read the rest of a varying slope, ``year]``."""
    if reader.peek("["):
        raise reader.error(f"slopes without the effects of {effect_name(effect)} are not known; write one bracket")
    variable = reader.name(f"the variable of a slope of {effect_name(effect)}")
    if reader.peek(","):
        raise reader.error(f"an effect has one varying slope; write {effect_name(effect)}[{variable}]")
    if variable in effect:
        raise reader.error(f"{variable!r} does not vary within {effect_name(effect)}: it has no slope there")
    reader.expect("]", "the variable of a slope")
    return variable
