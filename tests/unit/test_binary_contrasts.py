import numpy as np
import pytest
from pytest import approx
from reference_answers import answers, table

from correlatives.binary.contrasts import (
    _restricted_rates,
    agreement,
    boschloo_p,
    cohen_kappa,
    fisher_p,
    mantel_haenszel,
    mcnemar,
    odds_ratio,
    rate_difference,
)
from correlatives.binary.rates import binomial_p, clopper_pearson, wilson

REFERENCE = answers("binary.json")


@pytest.mark.parametrize("answer", REFERENCE["binom_ci"], ids=lambda a: f"{a['x']} of {a['n']}")
def test_rates_agree_with_r(answer):
    x, n = answer["x"], answer["n"]
    for name, interval in (
        ("cp", clopper_pearson(x, n)),
        ("wilson", wilson(x, n)),
        ("wilson_cc", wilson(x, n, continuity=True)),
    ):
        limits = (answer[f"{name}_lower"], answer[f"{name}_upper"])
        assert interval == approx((x / n, *limits), rel=1e-9, abs=1e-12)


def test_published_rates():
    """Haley 2021, 6/18 (Clopper–Pearson); PATRICIA cohort C, 7/37 (Wilson with continuity correction)."""
    assert np.round(100 * np.array(clopper_pearson(6, 18))).tolist() == [33, 13, 59]
    patricia = np.round(100 * np.array(wilson(7, 37, continuity=True)), 1)
    assert patricia.tolist() == [18.9, 8.6, 35.7]
    assert np.round(100 * np.array(clopper_pearson(7, 37)), 1).tolist() == [18.9, 8.0, 35.2]


def test_rates_of_nobody_and_of_impossible_counts():
    assert np.isnan(clopper_pearson(0, 0)).all()
    assert np.isnan(wilson(0, 0)).all()
    assert np.isnan(binomial_p(0, 0, 0.3))
    for x, n in ((3, 2), (-1, 2), (1.5, 2)):
        with pytest.raises(ValueError, match="expected whole numbers"):
            clopper_pearson(x, n)


def test_exact_binomial_test():
    """R: binom.test(6, 18, 0.3)$p.value."""
    assert binomial_p(6, 18, 0.3) == approx(0.7981, abs=2e-4)
    assert binomial_p(0, 10, 0.5) == approx(2 / 1024)


def test_rate_difference_agrees_with_published_table():
    """Newcombe 1998, Table II: 56/70 v 48/80 and 5/56 v 0/29; statsmodels 0.15 gives 0.0526 to 0.3440 for the first."""
    first = rate_difference([48, 56], [80, 70])
    assert first == approx((0.2, 0.05283, 0.33817), abs=5e-6)
    second = rate_difference([0, 5], [29, 56])
    assert np.round(second[1:], 4).tolist() == [-0.0326, 0.1933]


@pytest.mark.parametrize(
    "answer",
    REFERENCE["risk_difference"],
    ids=lambda a: f"{a['x1']}/{a['n1']} v {a['x2']}/{a['n2']}",
)
def test_rate_difference_agrees_with_reference(answer):
    interval = rate_difference([answer["x2"], answer["x1"]], [answer["n2"], answer["n1"]])
    assert interval == approx((answer["diff"], answer["mn_lower"], answer["mn_upper"]), rel=1e-8)
    # The other way round it is the mirror image.
    mirrored = rate_difference([answer["x1"], answer["x2"]], [answer["n1"], answer["n2"]])
    assert mirrored == approx((-interval.estimate, -interval.high, -interval.low), rel=1e-9)


def test_restricted_rates_maximise_the_likelihood():
    from scipy.optimize import minimize_scalar

    x, n = np.array([4.0, 9.0]), np.array([17.0, 21.0])
    for difference in (-0.4, -0.05, 0.0, 0.1, 0.35, 0.7):

        def minus(control, difference=difference):
            rates = np.array([control, control + difference])
            return -(x * np.log(rates) + (n - x) * np.log(1 - rates)).sum()

        edges = (max(0, -difference) + 1e-9, min(1, 1 - difference) - 1e-9)
        best = minimize_scalar(minus, bounds=edges, method="bounded", options={"xatol": 1e-12})
        rates = _restricted_rates(x, n, difference)
        assert rates[1] - rates[0] == approx(difference)
        assert rates[0] == approx(best.x, abs=1e-6)


def test_rate_difference_at_the_edges():
    none = rate_difference([0, 0], [10, 10])
    assert none.estimate == 0
    assert none.low == approx(-none.high)
    assert 0.2 < none.high < 0.4
    complete = rate_difference([0, 10], [10, 10])
    assert (complete.estimate, complete.high) == (1, 1)
    assert rate_difference([10, 0], [10, 10]).low == -1
    assert np.isnan(rate_difference([0, 1], [0, 10])).all()
    with pytest.raises(ValueError, match="not counts"):
        rate_difference([3, 1], [2, 5])


def test_odds_ratio_agrees_with_exact_solution():
    """R's fisher.test itself stops at 1e-4; these were solved to 1e-14."""
    precise = answers("fisher_precise.json")
    first = REFERENCE["fisher_arthritis"]["table"]
    cells = {"arthritis": first}
    cells |= {name: case["table_col_major"] for name, case in REFERENCE["fisher_edge"].items()}
    for name, (a, b, c, d) in cells.items():
        arms = [c, a], [c + d, a + b]
        expected = [float(precise[name][part]) for part in ("or", "lower", "upper")]
        assert odds_ratio(*arms) == approx(expected, rel=1e-8)
    p = REFERENCE["fisher_arthritis"]["p"]
    assert fisher_p([first[1], first[3]], [first[0] + first[1], first[2] + first[3]]) == approx(
        p, rel=1e-9
    )
    assert np.isnan(odds_ratio([0, 0], [4, 5])).all()


def test_published_comparisons_between_arms():
    """O'Leary 2018: RB1 6/127 v 0/68, Fisher .093. PALOMA-3 at ASCO 2017: ESR1 8/31 v PIK3CA 1/38, Fisher .0085."""
    assert fisher_p([0, 6], [68, 127]) == approx(0.093, abs=5e-4)
    assert fisher_p([1, 8], [38, 31]) == approx(0.0085, abs=5e-5)
    assert np.isnan(fisher_p([0, 1], [0, 4]))


def test_boschloo():
    """More powerful than Fisher's test, of which it is the unconditional version."""
    assert boschloo_p([7, 8], [15, 15]) >= 0.8
    assert boschloo_p([1, 8], [38, 31]) < fisher_p([1, 8], [38, 31])
    assert boschloo_p([0, 0], [5, 5]) == 1
    assert np.isnan(boschloo_p([0, 1], [0, 5]))


def test_mcnemar_three_ways_agrees_with_r_and_with_print():
    for answer in (a for a in REFERENCE["mcnemar"].values() if isinstance(a, dict)):
        tests = mcnemar(answer["n01"], answer["n10"])
        assert tests == approx((answer["exact_p"], answer["midp"], answer["p_cc"]), rel=1e-9)
    # O'Leary 2018: 6 gained, none lost; the published .041 is the corrected chi-square.
    assert np.round(mcnemar(6, 0), 4).tolist() == [0.0312, 0.0156, 0.0412]
    assert mcnemar(0, 0) == (1, 1, 1)
    assert mcnemar(3, 3).exact == mcnemar(3, 3).corrected == 1
    # 20 / 64: as many gained as lost counts the observed table once.
    assert mcnemar(3, 3).midp == approx(1 - 20 / 64)
    with pytest.raises(ValueError, match="counts"):
        mcnemar(-1, 2)


@pytest.mark.parametrize(
    ("case", "file", "response", "strata"),
    [
        ("arthritis_arm_resp_by_sex", "arthritis_arm", "resp", "Sex"),
        ("colon_y5_by_extent", "colon_y5_binary", "y5", "extent"),
    ],
)
def test_mantel_haenszel_agrees_with_r(case, file, response, strata):
    data, answer = table(f"data/{file}.csv"), REFERENCE["mantel_haenszel"][case]
    result = mantel_haenszel(data[response], data["arm"], data[strata])
    assert result.odds_ratio == approx((answer["or"], answer["lower"], answer["upper"]), rel=1e-9)
    assert result.test == approx((answer["chisq"], 1, answer["p"]), rel=1e-9)
    if "chisq_cc" in answer:
        assert result.corrected == approx((answer["chisq_cc"], 1, answer["p_cc"]), rel=1e-9)


def test_mantel_haenszel_leaves_out_strata_that_say_nothing():
    y, arm = np.array([0, 1, 1, 0, 1, 0.0]), np.array([0, 1, 0, 1, 1, 0.0])
    alone = mantel_haenszel(y, arm)
    more = mantel_haenszel(np.append(y, [1, 1]), np.append(arm, [0, 1]), [0] * 6 + [1] * 2)
    assert more.test == approx(alone.test)
    nothing = mantel_haenszel([1, 1], [0, 1])
    assert np.isnan(nothing.test.p)
    assert np.isnan(nothing.odds_ratio).all()
    empty_cell = mantel_haenszel([1, 1, 0, 1], [1, 1, 0, 0])
    assert np.isnan(empty_cell.odds_ratio).all()
    assert np.isfinite(empty_cell.test.p)


def test_agreement_and_kappa_agree_with_print():
    """Guan (PMC7375665), HER2 in ctDNA v tissue: 86.5 %, sensitivity 77.1 %, specificity 95.8 %, kappa 0.729."""
    result = agreement(both=37, reference_only=11, test_only=2, neither=46)
    shares = [100 * part.estimate for part in (result.overall, result.positive, result.negative)]
    assert np.round(shares, 1).tolist() == [86.5, 77.1, 95.8]
    assert result.kappa.estimate == approx(0.729, abs=5e-4)
    assert result.kappa.low < 0.729 < result.kappa.high
    assert np.isnan(agreement(0, 0, 0, 5).positive).all()
    assert np.isnan(agreement(0, 0, 0, 5).kappa).all()


def test_kappa_limits_are_those_of_the_delta_method():
    """The variance from numerical derivatives of kappa with respect to the cells."""
    table = np.array([[106.0, 10, 4], [22, 28, 10], [2, 12, 6]])
    total, share = table.sum(), table / table.sum()

    def kappa(p):
        chance = p.sum(axis=1) @ p.sum(axis=0)
        return (np.trace(p) - chance) / (1 - chance)

    slope = np.empty(9)
    for i in range(9):
        step = np.zeros(9)
        step[i] = 1e-6
        step = step.reshape(3, 3)
        slope[i] = (kappa(share + step) - kappa(share - step)) / 2e-6
    p = share.ravel()
    variance = slope @ (np.diag(p) - np.outer(p, p)) @ slope / total
    interval = cohen_kappa(table)
    half = 1.959963984540054 * np.sqrt(variance)
    assert interval == approx((kappa(share), kappa(share) - half, kappa(share) + half), rel=1e-6)
