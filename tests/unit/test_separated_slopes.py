"""Separation with varying slopes: against the definition on drawn panels, every answer proven or refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, sparse

from cyber_trade_econ.errors import NotConverged
from cyber_trade_econ.hdfe import cone, separated_slopes, witness
from cyber_trade_econ.hdfe.factor import Slope, chosen, compact, cross
from cyber_trade_econ.hdfe.prune import prune


def medium(seed):
    """A panel of a few hundred flows with trends by pair, most of them zero, without rows that `prune` leaves out."""
    rng = np.random.default_rng(seed)
    n, years = int(rng.integers(8, 14)), int(rng.integers(5, 9))
    i, j, t = (a.ravel() for a in np.meshgrid(range(n), range(n), range(years), indexing="ij"))
    here = rng.random(len(i)) < rng.choice([0.6, 0.8, 1.0])
    i, j, t = i[here], j[here], t[here]
    pair, early, late = (cross([compact(a), compact(b)]) for a, b in ((i, j), (i, t), (j, t)))
    effects = [early, late, pair, Slope(pair.codes, pair.levels, 2000.0 + t)]
    X = np.column_stack([(rng.random(n * n) < 0.3)[i * n + j] & (t > years // 2), rng.normal(size=len(i))])
    y = rng.exponential(size=len(i)) * (rng.random(len(i)) < rng.choice([0.25, 0.4, 0.6]))
    rows = np.flatnonzero(prune(effects, y).keep)
    return y[rows], X[rows], [chosen(e, rows) for e in effects]


def sparse_oracle(y, X, effects):
    """The definition again, for more rows: on the sparse matrix, and by whatever of HiGHS gets there."""
    n, zero = len(y), y == 0
    along = [e.scaled() if isinstance(e, Slope) else np.ones(n) for e in effects]
    dummies = [
        sparse.csr_array((v, (np.arange(n), e.codes)), shape=(n, e.levels)) for v, e in zip(along, effects, strict=True)
    ]
    Z = sparse.csr_array(sparse.hstack([sparse.csr_array(X), *dummies]))
    k, n0 = Z.shape[1], int(zero.sum())
    for method, presolve in (("highs-ipm", True), ("highs-ds", True), ("highs-ipm", False), ("highs-ds", False)):
        answer = optimize.linprog(
            np.concatenate([np.zeros(k), -np.ones(n0)]),
            A_ub=sparse.hstack([-Z[zero], sparse.eye_array(n0)]).tocsr(),
            b_ub=np.zeros(n0),
            A_eq=sparse.hstack([Z[~zero], sparse.csr_array((n - n0, n0))]).tocsr(),
            b_eq=np.zeros(n - n0),
            bounds=[(None, None)] * k + [(0, 1)] * n0,
            method=method,
            options={"presolve": presolve},
        )
        if answer.status == 0:
            break
    assert answer.status == 0
    out = np.zeros(n, dtype=bool)
    out[zero] = answer.x[k:] > 0.5
    return out


# Free slopes that stood in the programme twice made HiGHS give up on these.
@pytest.mark.parametrize("seed", [5, 1107, 1231, 1655])
def test_separation_equals_the_definition_where_many_slopes_are_free(seed):
    y, X, effects = medium(seed)
    want = sparse_oracle(y, X, effects)
    np.testing.assert_array_equal(separated_slopes.separated(y, X, effects), want)
    assert want.any()  # control


def variable(rng, i, t, n, years):
    """Draw the variable of a slope: years, or numbers of any size, by pair and year, by pair, by year, or mostly zero."""
    size = len(i)
    kind = rng.choice(["year", "year", "normal", "scaled", "exp", "pairtime", "timez", "counts", "half"])
    scale = 10.0 ** rng.uniform(-6, 6)
    if kind == "year":
        return scale, 2000.0 + t
    if kind == "normal":
        return scale, rng.normal(size=size)
    if kind == "scaled":
        return scale, scale * (rng.normal(size=size) + rng.choice([0, 10, 1e4]))
    if kind == "exp":
        return scale, np.exp(rng.choice([1.0, 3.0, 6.0]) * rng.normal(size=size))
    if kind == "pairtime":
        return scale, (rng.normal(size=n * n) * 10.0 ** rng.uniform(-3, 3, n * n))[i] * t
    if kind == "timez":
        return scale, rng.normal(size=years)[t] * scale
    if kind == "counts":
        return scale, rng.poisson(1.0, size).astype(float)
    return scale, np.where(t < years // 2, 0.0, rng.normal(size=size))


def drawn(seed):
    """A panel of up to a thousand flows with 40 to 75 % zeros, slopes of any scale, and any effects and regressors."""
    rng = np.random.default_rng(seed)
    n, years = int(rng.integers(4, 13)), int(rng.integers(3, 10))
    i, j, t = (a.ravel() for a in np.meshgrid(range(n), range(n), range(years), indexing="ij"))
    here = rng.random(len(i)) < rng.choice([0.6, 0.8, 1.0])
    i, j, t = i[here], j[here], t[here]
    by = rng.choice(["pair", "pair", "pair", "exporter", "both"])
    pair, early, late = (cross([compact(a), compact(b)]) for a, b in ((i, j), (i, t), (j, t)))
    scale, z = variable(rng, i * n + j, t, n, years)
    which = rng.choice(["three", "three", "three", "two", "years", "alone", "region"])
    few = {"two": [early, pair], "years": [pair, compact(t)], "alone": [pair]}
    effects = list(few.get(which, [early, late, pair]))
    if by != "exporter":
        effects.append(Slope(pair.codes, pair.levels, z))
    if by != "pair":
        own = by == "both" or rng.random() < 0.7
        exporter = compact(i)
        other = rng.normal(size=len(i)) * scale if own else z
        effects += [exporter, Slope(exporter.codes, exporter.levels, other)]
    if which == "region":
        region = compact((i * 7 + j) % 5)
        effects += [region, Slope(region.codes, region.levels, rng.normal(size=len(i)))]
    k = int(rng.integers(0, 4))
    columns = [
        (rng.random(n * n) < 0.3)[i * n + j] & (t > years // 2),
        rng.normal(size=len(i)),
        rng.integers(-1, 3, len(i)),
    ]
    X = np.column_stack([*columns[:k], np.empty((len(i), 0))]).astype(float)
    y = rng.exponential(size=len(i)) * (rng.random(len(i)) < rng.choice([0.25, 0.4, 0.5, 0.6]))
    if k and rng.random() < 0.3:
        y[(X[:, 0] != 0) & (rng.random(len(i)) < 0.9)] = 0.0
    rows = np.flatnonzero(prune(effects, y).keep)
    return y[rows], X[rows], [chosen(e, rows) for e in effects]


# A search by random effects alone missed rows of the first three, and could not solve for the effects of the others.
@pytest.mark.parametrize("seed", [437, 666, 1427, 1785, 1821])
def test_panels_that_rounding_led_astray(seed):
    y, X, effects = drawn(seed)
    want = sparse_oracle(y, X, effects)
    np.testing.assert_array_equal(separated_slopes.separated(y, X, effects), want)
    assert want.any()  # control


def test_any_panel_is_answered_by_the_definition():
    kinds = set()
    for seed in range(5000, 5025):
        y, X, effects = drawn(seed)
        if not (y == 0).any():
            continue
        if max(np.ptp(np.log(np.abs(e.variable) + 1e-9)) for e in effects if isinstance(e, Slope)) < 30:
            want = sparse_oracle(y, X, effects)
            np.testing.assert_array_equal(separated_slopes.separated(y, X, effects), want, err_msg=f"seed {seed}")
            kinds.add(bool(want.any()))
    assert kinds == {True, False}  # control


def test_a_variable_over_too_many_orders_of_magnitude_is_refused():
    y, X, effects = drawn(431)
    assert np.ptp(np.log10(effects[2].variable)) > 15
    with pytest.raises(NotConverged, match="proven"):
        separated_slopes.separated(y, X, effects)
    near = [Slope(e.codes, e.levels, np.log(e.variable)) if k == 2 else e for k, e in enumerate(effects)]
    np.testing.assert_array_equal(separated_slopes.separated(y, X, near), sparse_oracle(y, X, near))  # control


def test_a_sample_too_large_for_the_last_resort_is_refused(monkeypatch):
    y, X, effects = drawn(437)
    assert separated_slopes.separated(y, X, effects).any()  # control

    def fail(*_, **__):
        raise NotConverged("separation", found="nothing", fix="none")

    monkeypatch.setattr(witness, "falling", fail)
    assert separated_slopes.separated(y, X, effects).any()  # the whole sample is small
    monkeypatch.setattr(separated_slopes, "_WHOLE", 10)
    with pytest.raises(NotConverged):
        separated_slopes.separated(y, X, effects)


@pytest.mark.parametrize("wrong", ["separated", "not separated"])
def test_an_answer_of_the_programme_is_believed_only_with_its_proof(monkeypatch, wrong):
    A = sparse.csr_array(
        [[1.0, 0.0], [2.0, 1.0], [0.0, 1.0], [0.0, -1.0]]
    )  # the last two rows exclude the second column
    zero = np.ones(4, dtype=bool)
    found, z = cone.positive(A, zero)
    assert found.tolist() == [True, True, False, False]  # control
    assert z[2:].tolist() == [0.0, 0.0]
    assert (z[:2] > 0).all()
    solve = optimize.linprog

    def tampered(*args, **named):
        answer = solve(*args, **named)
        answer.x[2:] = [1, 1, 1, 0] if wrong == "separated" else 0.0
        return answer

    monkeypatch.setattr(cone.optimize, "linprog", tampered)
    with pytest.raises(NotConverged, match="proven"):
        cone.positive(A, zero)


def test_where_projections_prove_that_nothing_is_separated_no_programme_is_solved(monkeypatch):
    rng = np.random.default_rng(0)
    i, j, t = (a.ravel() for a in np.indices((16, 16, 12)))
    pair, early, late = (cross([compact(a), compact(b)]) for a, b in ((i, j), (i, t), (j, t)))
    effects = [early, late, pair, Slope(pair.codes, pair.levels, 2000.0 + t)]
    X = rng.normal(size=(len(t), 2)) + 1e4
    y = rng.exponential(size=len(t)) * (rng.random(len(t)) < 0.5)
    monkeypatch.setattr(cone, "positive", lambda *_: pytest.fail("a linear programme was solved"))
    keep = np.flatnonzero(prune(effects, y).keep)
    effects = [chosen(e, keep) for e in effects]
    assert (y[keep] == 0).mean() > 0.4
    assert not separated_slopes.separated(y[keep], X[keep], effects).any()
    X[:, 0] = (y == 0) & (rng.random(len(t)) < 0.01)
    with pytest.raises(pytest.fail.Exception):  # control: now there is something to search
        separated_slopes.separated(y[keep], X[keep], effects)


@pytest.mark.parametrize("large", [1e3, 1e7])
def test_a_regressor_that_separates_is_found_however_much_of_it_effects_take_up(large):
    rng = np.random.default_rng(1)
    i, j, t = (a.ravel() for a in np.indices((12, 12, 12)))
    pair, early, late = (cross([compact(a), compact(b)]) for a, b in ((i, j), (i, t), (j, t)))
    y = rng.exponential(size=len(t)) * (rng.random(len(t)) < 0.6)
    dummy = (y == 0) & (rng.random(len(t)) < 0.02)
    X = (dummy + large * rng.normal(size=pair.levels)[pair.codes] * t)[:, None]
    effects = [early, late, pair, Slope(pair.codes, pair.levels, 2000.0 + t)]
    rows = np.flatnonzero(prune(effects, y).keep)
    effects = [chosen(e, rows) for e in effects]
    want = separated_slopes.separated(y[rows], dummy[rows, None] * 1.0, effects)
    np.testing.assert_array_equal(want, dummy[rows])
    np.testing.assert_array_equal(separated_slopes.separated(y[rows], X[rows], effects), want)


@pytest.mark.parametrize("dense", [cone._DENSE, 0])
def test_a_combination_of_the_programme_is_put_right_before_it_is_believed(monkeypatch, dense):
    """A linear programme is off by up to 1e-7, columns and rows differ by orders of magnitude; what is returned is exact."""
    monkeypatch.setattr(cone, "_DENSE", dense)  # at 0, by iterations
    rng = np.random.default_rng(3)
    B = rng.integers(-2, 3, (40, 12)).astype(float)
    B[:30, :2] = 0.0  # these columns touch the last rows alone
    B[30:, :2] = rng.integers(1, 4, (10, 2))
    B[30:, 2:] = 0.0
    B[38:, :2] = [[0.0, 1.0], [0.0, -1.0]]  # which excludes one of them
    A = sparse.csr_array(B * 10.0 ** rng.uniform(-3, 3, 12) * 10.0 ** rng.uniform(-2, 2, 40)[:, None])
    zero = np.arange(40) >= 25
    solve = optimize.linprog

    def rough(*args, **named):
        answer = solve(*args, **named)
        answer.x[:12] += 1e-7 * rng.normal(size=12)  # the tolerance of HiGHS
        answer.ineqlin.marginals[:] += 1e-7 * rng.normal(size=15)
        return answer

    monkeypatch.setattr(cone.optimize, "linprog", rough)
    found, z = cone.positive(A, zero)
    assert np.flatnonzero(found).tolist() == list(range(30, 38))
    assert (z[found] > 0).all()
    assert (z[~found] == 0).all()
    columns = A.toarray() / np.abs(A.toarray()).max(axis=0)
    weights = np.linalg.lstsq(columns, z)[0]
    assert np.abs(columns @ weights - z).max() < 1e-9 * z.max()  # rounding of columns over four orders of magnitude


def test_a_combination_that_does_not_vanish_where_it_must_is_none(monkeypatch):
    A = sparse.csr_array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    weights, found = np.array([1.0, 1e-5]), np.array([True, True, False])
    np.testing.assert_allclose(cone._combination(A, found, weights), [1.0, 1.0, 0.0], rtol=1e-4)  # control: put right
    monkeypatch.setattr(cone, "_fitted", lambda A, _values: np.zeros(A.shape[1]))  # least squares that gets nowhere
    assert cone._combination(A, found, weights) is None
    assert cone._combination(A, found, np.array([1.0, 0.0])) is not None  # control: nothing to put right


@pytest.mark.parametrize("failing", range(7))
def test_the_programme_is_tried_in_other_ways_until_one_succeeds(monkeypatch, failing):
    A, zero = sparse.csr_array([[1.0], [0.0]]), np.ones(2, dtype=bool)
    asked, solve = [], optimize.linprog

    def trips(*args, **named):
        asked.append((named["method"], named["options"]["presolve"]))
        if len(asked) <= failing:
            return optimize.OptimizeResult(status=4, message="numbers out of hand (HiGHS 4)")
        return solve(*args, **named)

    monkeypatch.setattr(cone.optimize, "linprog", trips)
    if failing < 6:
        assert cone.positive(A, zero)[0].tolist() == [True, False]
        assert len(set(asked)) == len(asked) == failing + 1
    else:
        with pytest.raises(NotConverged, match=r"found numbers out of hand\. The"):  # said once, and no solver is named
            cone.positive(A, zero)


@pytest.fixture
def paired():
    """Two years of two pairs with effects of the pair: nothing is separated by effects alone."""
    pair = compact(np.array([0, 0, 1, 1]))
    return np.array([True, False, True, False]), [pair]


def test_a_projection_that_is_wrong_proves_nothing(monkeypatch, paired):
    """The regressor that is one on a zero separates it; a projection that says otherwise must not be believed."""
    zero, effects = paired
    X = np.array([[1.0], [0.0], [0.0], [0.0]])
    right = witness.remainder
    assert witness.falling(zero, X, effects)[0]  # control
    assert not witness.falling(zero, X[:, :0], effects).any()  # control

    def wrong(projector, X, w, values, tolerance=witness._TOLERANCE):
        exact = tolerance == witness._ROUGH  # the check is right
        return right(projector, X, w, values, tolerance) if exact else np.ones(len(values))

    monkeypatch.setattr(witness, "remainder", wrong)
    assert witness.falling(zero, X, effects).any()


@pytest.mark.parametrize("failing", range(4))
def test_a_projection_that_fails_is_tried_with_other_weights(monkeypatch, paired, failing):
    zero, effects = paired
    search, asked = witness._search, []

    def fails(*args):
        asked.append(args[-1][0])
        if len(asked) <= failing:
            raise NotConverged("projection", found="nothing", fix="none")
        return search(*args)

    monkeypatch.setattr(witness, "_search", fails)
    if failing < 3:
        assert not witness.falling(zero, np.empty((4, 0)), effects).any()
        assert asked == sorted(asked, reverse=True)
        assert len(set(asked)) == failing + 1
    else:
        with pytest.raises(NotConverged, match="projection"):
            witness.falling(zero, np.empty((4, 0)), effects)


def test_where_nothing_should_be_separated_a_search_that_found_something_is_made_again(monkeypatch, paired):
    zero, effects = paired
    answers = [zero, np.array([True, False, False, False]), np.zeros(4, dtype=bool)]
    left = iter(answers * 2)
    monkeypatch.setattr(witness, "_search", lambda *_: next(left))
    X = np.empty((4, 0))
    assert not witness.falling(zero, X, effects, deep=True).any()
    np.testing.assert_array_equal(witness.falling(zero, X, effects), zero)  # control: the first answer will do


def test_weights_to_start_from_are_orthogonal_to_the_slopes_that_positive_rows_leave_free():
    rng = np.random.default_rng(6)
    codes, variable = np.repeat(np.arange(5), 8), rng.integers(-4, 9, 40) * 1.0
    zero = np.arange(40) % 8 != 0  # one positive row in each level, that fixes the value at which it trades
    variable[::8] = 1.0
    zero[9], variable[9] = False, 5.0  # two values: the slope of the second level is determined
    variable[16:24] = 1.0 + np.arange(8)  # all zeros on one side: no weights can help
    start = witness._balanced(zero, [compact(codes), Slope(codes, 5, variable)])
    free, away = np.array([True, False, False, True, True]), variable - 1.0
    assert (start >= 1.0).all()
    sums = np.bincount(codes, start * away)
    np.testing.assert_allclose(sums[free], 0.0, atol=1e-12)  # sums of seven numbers below a hundred
    assert (np.abs(np.bincount(codes, away)[free]) > 1).all()  # control: weights of one are not orthogonal
    np.testing.assert_array_equal(start[8:24], 1.0)
