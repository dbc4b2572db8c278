"""Weights from pairwise comparisons: published examples, exact sums, and a refusal that names the right comparison."""

from __future__ import annotations

import csv
import io
import shutil
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from math import log
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from customer_tiering.cli.main import app
from customer_tiering.company.profile import load_profile
from customer_tiering.company.workspace import PROJECT_ROOT
from customer_tiering.errors import TieringError
from customer_tiering.rules.ahp import (
    MOST_CRITERIA,
    RANDOM_INDEX,
    Comparisons,
    implied_ratio,
    parse_matrix,
    read_matrix,
    require_consistent,
    round_weights,
    weigh,
    worst_comparison,
)
from customer_tiering.rules.load import load_rules

Upper = list[list[str]]

# T. L. Saaty, "Decision making with the analytic hierarchy process", Int. J. Services Sciences 1(1), 2008, 83-98:
# relative consumption of drinks in the United States.
DRINKS = ["coffee", "wine", "tea", "beer", "sodas", "milk", "water"]
DRINKS_UPPER = [
    ["9", "5", "2", "1", "1", "1/2"],
    ["1/3", "1/9", "1/9", "1/9", "1/9"],
    ["1/3", "1/4", "1/3", "1/9"],
    ["1/2", "1", "1/3"],
    ["2", "1/2"],
    ["1/3"],
]
# T. L. Saaty, "How to make a decision: the analytic hierarchy process", European Journal of Operational Research 48,
# 1990, 9-26, table 2 (the family's house, eight criteria) and table 3 (three houses by one criterion). The first is
# taken up again in "Decision-making with the AHP: why is the principal eigenvector necessary", EJOR 145, 2003, 85-91.
HOUSE = ["size", "transport", "neighbourhood", "age", "yard", "facilities", "condition", "financing"]
HOUSE_UPPER = [
    ["5", "3", "7", "6", "6", "1/3", "1/4"],
    ["1/3", "5", "3", "3", "1/5", "1/7"],
    ["6", "3", "4", "6", "1/5"],
    ["1/3", "1/4", "1/7", "1/8"],
    ["1/2", "1/5", "1/6"],
    ["1/5", "1/6"],
    ["1/2"],
]
# "Analytic hierarchy process - leader example", Wikipedia: choice of a leader by four criteria.
LEADER = ["experience", "education", "charisma", "age"]
LEADER_UPPER = [["4", "3", "7"], ["1/3", "3"], ["5"]]


def matrix_text(names: list[str], upper: Upper, filled: bool = False) -> str:
    """CSV of a matrix from its upper triangle; the lower one blank or filled with exact reciprocals."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["", *names])
    for i, name in enumerate(names):
        left = [str(1 / Fraction(upper[j][i - j - 1])) if filled else "" for j in range(i)]
        writer.writerow([name, *left, "1", *(upper[i] if i < len(upper) else [])])
    return stream.getvalue()


def matrix(names: list[str], upper: Upper, filled: bool = False) -> Comparisons:
    return parse_matrix(matrix_text(names, upper, filled), "m.csv")


def of_ratios(shares: list[int]) -> Upper:
    """The consistent upper triangle of integer weights."""
    return [[f"{a}/{b}" for b in shares[i + 1 :]] for i, a in enumerate(shares[:-1])]


def criteria(count: int) -> list[str]:
    return [f"c{number:02}" for number in range(count)]


def with_entry(comparisons: Comparisons, i: int, j: int, entry: float) -> Comparisons:
    values = comparisons.values.copy()
    values[i, j], values[j, i] = entry, 1 / entry
    return Comparisons(comparisons.names, values)


def refusal(text: str) -> str:
    with pytest.raises(TieringError) as caught:
        parse_matrix(text, "m.csv")
    assert caught.value.next_step
    return caught.value.problem


# --- published examples ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "upper", "weights", "lambda_max", "index", "ratio"),
    [
        (DRINKS, DRINKS_UPPER, [0.177, 0.019, 0.042, 0.116, 0.190, 0.129, 0.327], None, None, 0.022),
        (HOUSE, HOUSE_UPPER, [0.173, 0.054, 0.188, 0.018, 0.031, 0.036, 0.167, 0.333], 9.669, 0.238, 0.169),
        (["A", "B", "C"], [["1/7", "1/5"], ["3"]], [0.072, 0.650, 0.278], 3.065, 0.032, 0.056),
        (["A", "B", "C"], [["7", "1/5"], ["1/8"]], [0.233, 0.055, 0.713], 3.247, 0.124, 0.213),
        (LEADER, LEADER_UPPER, [0.547, 0.127, 0.270, 0.056], None, None, 0.044),
    ],
    ids=["drinks 2008", "house 1990", "financing 1990", "transportation 1990", "leader"],
)
def test_published_examples(
    names: list[str],
    upper: Upper,
    weights: list[float],
    lambda_max: float | None,
    index: float | None,
    ratio: float,
) -> None:
    found = weigh(matrix(names, upper))
    if names in (DRINKS, HOUSE):
        assert [round(weight, 3) for weight in found.exact] == weights
    else:  # printed cut instead of rounded (0.2790 as 0.278), or from a rounded eigenvalue: one unit of the last digit
        assert list(found.exact) == pytest.approx(weights, abs=1e-3)
    assert found.consistency_ratio == pytest.approx(ratio, abs=5e-4)
    if lambda_max is not None and index is not None:
        assert found.lambda_max == pytest.approx(lambda_max, abs=5e-4)
        assert found.consistency_index == pytest.approx(index, abs=6e-4)  # computed there from the rounded lambda


def test_three_criteria_agree_with_the_closed_form() -> None:
    """lambda_max = 1 + k^(1/3) + k^(-1/3) with k = a12*a23/a13, whatever solver is used."""
    for a, b, c in (("7", "1/5", "1/8"), ("1/7", "1/5", "3"), ("9", "1/9", "9"), ("2", "6", "3")):
        k = float(Fraction(a) * Fraction(c) / Fraction(b))
        assert weigh(matrix(["x", "y", "z"], [[a, b], [c]])).lambda_max == pytest.approx(
            1 + k ** (1 / 3) + k ** (-1 / 3)
        )


def test_the_house_is_refused_with_the_comparison_that_saaty_names() -> None:
    """Saaty (2003) finds a_37 = 6, neighbourhood with condition, by epsilon_37 = a_37*w_7/w_3 = 5.32156."""
    comparisons = matrix(HOUSE, HOUSE_UPPER)
    found = weigh(comparisons)
    assert 6 * found.exact[6] / found.exact[2] == pytest.approx(5.32156, abs=5e-4)
    with pytest.raises(TieringError) as caught:
        require_consistent(comparisons, found, "house.csv")
    assert "house.csv: the comparisons contradict each other: CR is 0.1691" in caught.value.problem
    assert "row neighbourhood, column condition is 6;" in caught.value.problem
    assert "nearest value of the scale, 1/2, would give CR 0.0822." in caught.value.problem
    assert "compare neighbourhood with condition again" in caught.value.next_step


def test_random_index_is_saatys_table() -> None:
    assert MOST_CRITERIA == 15
    assert RANDOM_INDEX[2:10] == (0.58, 0.90, 1.12, 1.24, 1.32, 1.41, 1.45, 1.49)


# --- properties ------------------------------------------------------------------------------------------------

# Weights between 10 and 90 keep every ratio on the scale.
shares_of_criteria = st.lists(st.integers(10, 90), min_size=1, max_size=MOST_CRITERIA)
SCALE_STEPS = [*(f"1/{k}" for k in range(2, 10)), *map(str, range(1, 10))]
scale_steps = st.sampled_from(SCALE_STEPS)


@st.composite
def matrices(draw: st.DrawFn, least: int = 2, most: int = 7) -> tuple[list[str], Upper]:
    count = draw(st.integers(least, most))
    return criteria(count), [draw(st.lists(scale_steps, min_size=k, max_size=k)) for k in range(count - 1, 0, -1)]


@settings(max_examples=60, deadline=None)
@given(shares_of_criteria)
def test_a_consistent_matrix_gives_its_weights_back(shares: list[int]) -> None:
    names = criteria(len(shares))
    found = weigh(matrix(names, of_ratios(shares)))
    assert list(found.exact) == pytest.approx([share / sum(shares) for share in shares], abs=1e-12)
    assert found.lambda_max == pytest.approx(len(shares))
    assert 0 <= found.consistency_ratio < 1e-12
    assert sum(found.weights.values()) == 1
    for name, share in zip(names, shares, strict=True):
        assert abs(found.weights[name] - Decimal(share) / sum(shares)) < Decimal("0.000001")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=MOST_CRITERIA))
def test_rounded_weights_sum_to_exactly_one(values: list[float]) -> None:
    weights = dict(zip(criteria(len(values)), values, strict=True))
    rounded = round_weights(weights)
    assert sum(rounded.values()) == Decimal(1)
    for name, weight in rounded.items():
        assert weight == weight.quantize(Decimal("0.000001"))
        assert abs(float(weight) - values[list(weights).index(name)] / sum(values)) < 1.001e-6


def test_the_missing_millionth_goes_by_remainder_then_by_name() -> None:
    third = Decimal("0.333333")
    assert round_weights({"b": 1, "c": 1, "a": 1}) == {"b": third, "c": third, "a": Decimal("0.333334")}
    assert round_weights({"a": 0.1000004, "b": 0.8999996}) == {"a": Decimal("0.1"), "b": Decimal("0.9")}


@settings(max_examples=60, deadline=None)
@given(matrices(), st.randoms(use_true_random=False))
def test_a_permutation_of_the_criteria_permutes_the_weights(case: tuple[list[str], Upper], random) -> None:
    comparisons = matrix(*case)
    order = list(range(len(comparisons.names)))
    random.shuffle(order)
    shuffled = Comparisons(tuple(comparisons.names[i] for i in order), comparisons.values[np.ix_(order, order)])
    found, again = weigh(comparisons), weigh(shuffled)
    assert again.weights == found.weights
    assert list(again.weights) == list(shuffled.names)
    assert again.consistency_ratio == pytest.approx(found.consistency_ratio, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(matrices())
def test_a_blank_lower_triangle_equals_a_filled_one(case: tuple[list[str], Upper]) -> None:
    assert np.array_equal(matrix(*case).values, matrix(*case, filled=True).values)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([1, 2, 4, 8]), min_size=4, max_size=8), st.data())
def test_a_planted_contradiction_is_named_and_mended(shares: list[int], data: st.DataObject) -> None:
    """One entry of a consistent matrix turned far away is the worst one, and its old value is advised."""
    names = criteria(len(shares))
    comparisons = matrix(names, of_ratios(shares))
    i, j = data.draw(st.sampled_from(list(combinations(range(len(names)), 2))))
    right = Fraction(shares[i], shares[j])
    wrong = Fraction(1, 9) if right >= 1 else Fraction(9)
    planted = with_entry(comparisons, i, j, float(wrong))
    assert implied_ratio(planted.values, i, j) == pytest.approx(float(right))
    doubt = worst_comparison(planted)
    assert (doubt.row, doubt.column, doubt.nearest) == (names[i], names[j], right)
    assert doubt.ratio_after == pytest.approx(0, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(matrices(least=3, most=6))
def test_the_worst_comparison_is_the_one_whose_correction_gains_most(case: tuple[list[str], Upper]) -> None:
    comparisons = matrix(*case)
    doubt = worst_comparison(comparisons)
    for i, j in combinations(range(len(comparisons.names)), 2):
        implied = implied_ratio(comparisons.values, i, j)
        # Left out means: with the implied ratio in its place, the weights stand in that very ratio.
        completed = weigh(with_entry(comparisons, i, j, implied)).exact
        assert completed[i] / completed[j] == pytest.approx(implied)
        corrected = min(map(Fraction, SCALE_STEPS), key=lambda step: abs(log(step / implied)))
        ratio = weigh(with_entry(comparisons, i, j, float(corrected))).consistency_ratio
        assert ratio >= doubt.ratio_after - 1e-9
        if (comparisons.names[i], comparisons.names[j]) == (doubt.row, doubt.column):
            assert (ratio, implied, corrected) == (
                pytest.approx(doubt.ratio_after),
                pytest.approx(doubt.implied),
                doubt.nearest,
            )


def test_one_and_two_criteria_never_contradict() -> None:
    alone = weigh(matrix(["a"], []))
    assert (alone.weights, alone.consistency_ratio) == ({"a": Decimal(1)}, 0)
    pair = weigh(matrix(["a", "b"], [["9"]]))
    assert (pair.weights, pair.consistency_ratio) == ({"a": Decimal("0.9"), "b": Decimal("0.1")}, 0)
    assert pair.consistent


def test_with_three_criteria_the_message_says_that_any_may_be_wrong() -> None:
    comparisons = matrix(["a", "b", "c"], [["9", "1/9"], ["9"]])
    with pytest.raises(TieringError, match="either of the other two comparisons may be the wrong one"):
        require_consistent(comparisons, weigh(comparisons), "m.csv")


# --- reading ---------------------------------------------------------------------------------------------------


def test_entries_as_people_and_spreadsheets_write_them() -> None:
    text = "\ufeff, a ,b,c,,\r\na,1,3.0,0.14,,\r\nb,0.333,1, 1 / 5 ,,\r\nc,7,5.0,1.00,,\r\n,,,,,\r\n"
    values = parse_matrix(text.removeprefix("\ufeff"), "m.csv").values
    assert values.tolist() == [[1, 3, 1 / 7], [1 / 3, 1, 1 / 5], [7, 5, 1]]
    assert parse_matrix(",a,b\na,1,2.5\nb,,1\n", "m.csv").values[1, 0] == 0.4
    # 0.335 is not a third rounded to three digits: it stays, and its reciprocal too.
    assert parse_matrix(",a,b\na,1,0.335\nb,,1\n", "m.csv").values[0, 1] == 0.335
    assert parse_matrix(",a,b\na,1,0.111\nb,,1\n", "m.csv").values[1, 0] == 9
    # Within 1 %: the entry of 1 or more counts, wherever it stands.
    assert parse_matrix(",a,b\na,1,0.335\nb,3,1\n", "m.csv").values[0, 1] == 1 / 3


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the file is empty"),
        ("\n,,\n", "the file is empty"),
        ("a;b\n", "row 1: holds no names"),
        ("x,a\na,1\n", "row 1, column 1: is 'x'; it stays empty"),
        (",a,\nb,1\n", "row 2: is named 'b', column 2 'a'"),
        (",a,b\nb,1,2\na,,1\n", "row 2: is named 'b', column 2 'a'"),
        (",a,b\na,1,2\n", "not square: 2 name(s) in the first row, 1 row(s) below it"),
        (",a\na,1\nb,1\n", "not square: 1 name(s) in the first row, 2 row(s) below it"),
        (",a,b\na,1,2\nb,1\n", "row b: has 1 entries; 2 are needed"),
        (",a,b\na,1,2,3\nb,,1\n", "row a: has 3 entries; 2 are needed"),
        (",a,a\na,1,2\na,,1\n", "row 1, column 3: a is already in column 2"),
        (",a,\nb,1,\n,,1\n", "not square"),
        (",=1+1\n=1+1,1\n", "row 1, column 2: '=1+1' is not a plain name"),
        (",[red]\n[red],1\n", "'[red]' is not a plain name"),
        (",a,b\na,2,2\nb,,1\n", "row a, column a: is 2; a criterion compared with itself is 1"),
        (",a,b\na,1,2\nb,,\n", "row b, column b: is blank; a criterion compared with itself is 1"),
        (",a,b\na,1,\nb,2,1\n", "row a, column b: is blank; write the comparison"),
        (",a,b\na,1,-3\nb,,1\n", "row a, column b: is -3; comparisons are above 0"),
        (",a,b\na,1,0\nb,,1\n", "row a, column b: is 0; comparisons are above 0"),
        (",a,b\na,1,10\nb,,1\n", "row a, column b: is 10; comparisons lie between 1/9 and 9"),
        (",a,b\na,1,0.1\nb,,1\n", "row a, column b: is 0.1; comparisons lie between 1/9 and 9"),
        (",a,b\na,1,1/10\nb,,1\n", "row a, column b: is 1/10; comparisons lie"),
        (",a,b\na,1,3-Jan\nb,,1\n", "row a, column b: is '3-Jan'; write a number such as 3, 1/3 or 0.333"),
        (",a,b\na,1,3/0\nb,,1\n", "row a, column b: is '3/0'; write a number"),
        (",a,b\na,1,nan\nb,,1\n", "row a, column b: is 'nan'; write a number"),
        (",a,b\na,1,３\nb,,1\n", "row a, column b: is '３'; write a number"),
        (f",a,b\na,1,{'9' * 6000}\nb,,1\n", "; write a number"),
        (",a,b\na,1,3\nb,0.5,1\n", "row b, column a: is 0.5, but row a, column b is 3; write 1/3 or leave it blank"),
        (",a,b\na,1,3\nb,3,1\n", "row b, column a: is 3, but row a, column b is 3"),
        (",a,b\na,1,2\nb,x,1\n", "row b, column a: is 'x'; write a number"),
    ],
)
def test_what_is_wrong_is_named_by_row_and_column(text: str, problem: str) -> None:
    assert problem in refusal(text)


def test_what_is_no_csv_is_refused() -> None:
    assert "this is not a CSV file" in refusal(f",{'a' * 140_000}\n")


def test_every_problem_is_listed() -> None:
    text = refusal(",a,b,c\na,1,12,x\nb,,3,2\nc,,1/3,1\n")
    assert text.startswith("m.csv: the comparison matrix has 4 problem(s):\n")
    for part in ("row a, column b: is 12", "row a, column c: is 'x'", "row b, column b: is 3", "row c, column b"):
        assert part in text


def test_fifteen_criteria_are_weighed_and_sixteen_refused() -> None:
    assert len(weigh(matrix(criteria(15), of_ratios([1] * 15))).weights) == 15
    assert "names 16 criteria; up to 15" in refusal(matrix_text(criteria(16), of_ratios([1] * 16)))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TieringError, match="cannot be read"):
        read_matrix(tmp_path / "none.csv")
    (tmp_path / "gb.csv").write_bytes(",价值\n价值,1\n".encode("gb18030"))
    with pytest.raises(TieringError, match="not UTF-8"):
        read_matrix(tmp_path / "gb.csv")
    (tmp_path / "utf.csv").write_text(",价值\n价值,1\n", encoding="utf-8-sig")
    assert read_matrix(tmp_path / "utf.csv").names == ("价值",)


# --- writing and the command line ------------------------------------------------------------------------------

INDICATORS = ["annual_spend", "profit_margin", "tenure_years", "cross_buy_rate"]
INDICATORS_UPPER = [["2", "2", "3"], ["1", "2"], ["1"]]


@pytest.fixture
def matrix_file(tmp_path: Path) -> Path:
    path = tmp_path / "matrix.csv"
    path.write_text(matrix_text(INDICATORS, INDICATORS_UPPER), encoding="utf-8")
    return path


def call(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["ahp", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_command_shows_weights_and_consistency(matrix_file: Path) -> None:
    result = call(str(matrix_file))
    assert result.exit_code == 0, result.stderr
    found = weigh(read_matrix(matrix_file))
    for name, weight in found.weights.items():
        assert f"{weight:f}" in next(line for line in result.stdout.splitlines() if name in line)
    for figure in (found.lambda_max, found.consistency_index, found.consistency_ratio):
        assert f"{figure:.4f}" in result.stdout
    assert all(word in result.stdout for word in ("lambda_max", "CI", "CR"))


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sample company's profile in a folder that may be written."""
    (tmp_path / "profiles").mkdir()
    shutil.copy(PROJECT_ROOT / "profiles" / "sample.yml", tmp_path / "profiles")
    monkeypatch.setenv("TIERING_PROFILES", str(tmp_path / "profiles"))
    monkeypatch.setenv("TIERING_VAR", str(tmp_path / "var"))
    return tmp_path / "profiles" / "sample" / "schemes"


def weights_of(scheme: str, dimension: str) -> dict[str, Decimal]:
    rows = load_rules(load_profile("sample")).rows["scheme_indicators"]
    return {r["indicator"]: Decimal(r["weight"]) for r in rows if (r["scheme"], r["dimension"]) == (scheme, dimension)}


def test_the_command_writes_a_companys_weights_and_nothing_else(matrix_file: Path, company: Path) -> None:
    result = call(str(matrix_file), "--scheme", "account_value", "--write")
    assert result.exit_code == 0, result.stderr
    assert [path.name for path in company.iterdir()] == ["account_value.yml"]
    assert weights_of("account_value", "value") == weigh(read_matrix(matrix_file)).weights
    written = (company / "account_value.yml").read_bytes()
    assert call(str(matrix_file), "--scheme", "account_value", "--write").exit_code == 0
    assert (company / "account_value.yml").read_bytes() == written


def test_without_write_nothing_is_written(matrix_file: Path, company: Path) -> None:
    result = call(str(matrix_file), "--scheme", "account_value")
    assert "they fit scheme account_value; write them with --write" in result.stdout
    assert not company.exists()


def test_comments_of_the_companys_file_stay(matrix_file: Path, company: Path) -> None:
    company.mkdir(parents=True)
    (company / "account_value.yml").write_text("# decided by the board\nlabel_en: Our value  # why not\n")
    assert call(str(matrix_file), "--scheme", "account_value", "--write").exit_code == 0
    assert (
        (company / "account_value.yml")
        .read_text()
        .startswith("# decided by the board\nlabel_en: Our value  # why not\ndimensions:\n")
    )


def test_dimensions_are_weighed_too(tmp_path: Path, company: Path) -> None:
    source = tmp_path / "m.csv"
    names = ["value", "potential", "risk", "strategic"]
    source.write_text(matrix_text(names, [["2", "2", "3"], ["1", "2"], ["1"]]), encoding="utf-8")
    assert call(str(source), "--scheme", "account_360", "--write").exit_code == 0
    rows = load_rules(load_profile("sample")).rows["scheme_dimensions"]
    found = {r["dimension"]: Decimal(r["weight"]) for r in rows if r["scheme"] == "account_360"}
    assert found == weigh(read_matrix(source)).weights


@pytest.mark.parametrize(
    ("names", "arguments", "problem"),
    [
        (["price", "taste"], ("account_value",), "the criteria are not the indicators of scheme account_value"),
        (["price", "taste"], ("account_360",), "the criteria are not the dimensions of scheme account_360: value,"),
        (["nps", "csat"], ("account_360", "--dimension", "risk"), "dimension risk: churn_rate, on_time_payment_rate"),
        (["nps", "csat"], ("account_360", "--dimension", "risc"), "has no dimension 'risc'; did you mean risk?"),
        (["nps", "csat"], ("account_36",), "there is no scheme 'account_36'; did you mean account_360?"),
    ],
)
def test_criteria_that_a_scheme_does_not_have_are_refused(
    names: list[str], arguments: tuple[str, ...], problem: str, tmp_path: Path, company: Path
) -> None:
    source = tmp_path / "m.csv"
    source.write_text(matrix_text(names, [["2"]]), encoding="utf-8")
    result = call(str(source), "--scheme", *arguments, "--write")
    assert result.exit_code == 1
    assert problem in " ".join(result.stderr.split())
    assert not company.exists()


def test_contradictions_write_nothing(tmp_path: Path, company: Path) -> None:
    source = tmp_path / "m.csv"
    upper = [["2", "2", "1/9"], ["1", "2"], ["1"]]
    source.write_text(matrix_text(INDICATORS, upper), encoding="utf-8")
    result = call(str(source), "--scheme", "account_value", "--write")
    assert result.exit_code == 1
    assert result.stdout == ""
    told = " ".join(result.stderr.split())
    assert "Error: " in told
    assert "row annual_spend, column cross_buy_rate is 1/9;" in told
    assert "Next step: compare annual_spend with cross_buy_rate again" in told
    assert not company.exists()


def test_writing_needs_a_scheme(matrix_file: Path) -> None:
    result = call(str(matrix_file), "--write")
    assert result.exit_code == 1
    assert "--write needs --scheme" in result.stderr
