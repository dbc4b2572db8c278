"""Scheme files: mistakes are named with file and line, a company's file says what differs, nothing is lost."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customer_tiering.company.profile import load_profile
from customer_tiering.company.workspace import PROJECT_ROOT
from customer_tiering.errors import RulesError
from customer_tiering.explain.separation import unreachable
from customer_tiering.rules import edges, scheme_text
from customer_tiering.rules.load import load_rules
from customer_tiering.rules.migrate import migrate_seeds
from customer_tiering.rules.schemes import SCHEME_SEEDS, merged, read_schemes, scheme_of, scheme_rows
from customer_tiering.rules.seeds import SEEDS, Row
from customer_tiering.rules.standard_table import read_standard_table, write_standard_table
from small_rules import change, load_small, write_small_rules

SHIPPED = sorted(path.stem for path in (PROJECT_ROOT / "schemes").glob("*.yml"))


@pytest.fixture
def rules_folder(tmp_path: Path) -> Path:
    return write_small_rules(tmp_path / "rules")


def problem_of(*folders: Path) -> str:
    with pytest.raises(RulesError) as caught:
        load_small(*folders)
    return caught.value.problem


# --- mistakes -----------------------------------------------------------------------------------------------

MISTAKES: dict[str, tuple[str, str, str, str]] = {
    "weights of a dimension do not sum to 100 %": (
        "value",
        "weight: 40 %",
        "weight: 30 %",
        "value.yml:12: the weights of scheme value, dimension worth sum to 90 %, not to 100 %",
    ),
    "weights of dimensions do not sum to 100 %": (
        "value",
        "weight: 30 %",
        "weight: 40 %",
        "value.yml:10: the weights of scheme value, its dimensions sum to 110 %, not to 100 %",
    ),
    "weight is zero": (
        "value",
        "weight: 40 %",
        "weight: 0",
        "value.yml:16: dimensions.worth.indicators.profit_margin.weight: Input",
    ),
    "weight above 100 %": ("value", "weight: 40 %", "weight: 140 %", "should be less than or equal to 1"),
    "weight no number": (
        "value",
        "weight: 40 %",
        "weight: much",
        "value.yml:16: dimensions.worth.indicators.profit_margin.weight: 'much' is no number; write one",
    ),
    "weight missing": (
        "value",
        "        weight: 40 %\n",
        "",
        "value.yml:15: dimensions.worth.indicators.profit_margin: weight is missing",
    ),
    "weight of a dimension missing": (
        "grid",
        "    weight: 60 %\n",
        "",
        "grid.yml:7: dimensions.spend: weight is missing",
    ),
    "edges in the wrong order": (
        "abc",
        ">= 100",
        ">= 600",
        "abc.yml:8: tiers: >= 600 comes after > 500, so it takes nobody: bands are read from the first on",
    ),
    "edges of both sides": (
        "abc",
        ">= 100",
        "<= 100",
        "the edges of one axis are all from below (>=, >) or all from above",
    ),
    "others missing": ("abc", "C: {when: others", 'C: {when: ">= 1"', "the last of the bands is others"),
    "no edge": ("abc", '">= 100"', "about 100", "'about 100' is no edge; write >=, >, <= or < and a number, or others"),
    "when missing": (
        "abc",
        'B: {when: ">= 100", ',
        "B: {",
        "abc.yml:10: tiers.B: when is missing or of another kind; write an edge",
    ),
    "when where none belongs": (
        "alike",
        "near: {",
        'near: {when: ">= 5", ',
        "alike.yml:15: tiers.near.when: a scheme of kind cluster needs no when",
    ),
    "unknown indicator": (
        "value",
        "profit_margin:",
        "profit_margn:",
        "value.yml:15: unknown indicator 'profit_margn'; did you mean profit_margin?",
    ),
    "unknown indicator of a need": (
        "value",
        "on_time_payment_rate",
        "on_time",
        "value.yml:31: unknown indicator 'on_time'; did you mean",
    ),
    "unknown indicator of a condition": (
        "care",
        "recency_days <= 90",
        "recency <= 90",
        "care.yml:10: unknown indicator 'recency'; did you mean",
    ),
    "name in a need": (
        "value",
        "on_time_payment_rate",
        "company_size",
        "value.yml:31: company_size is a name, not a number",
    ),
    "name scored by edges": (
        "value",
        "scores: {national_key: 100, ordinary: 60}",
        'scores: {">= 1": 100, others: 60}',
        "value.yml:27: strategic_level is a name, not a number; give a score to each of its levels",
    ),
    "number scored by levels": (
        "value",
        'scores: {">= 1000": 100, others: 60}',
        "scores: {big: 100, small: 60}",
        "value.yml:14: annual_spend is a number, not a name; score it by edges such as >= 10",
    ),
    "name as a value": (
        "top",
        "value: annual_spend",
        "value: company_size",
        "company_size is a name; give a score to each of its levels",
    ),
    "name compared like a number": (
        "care",
        "orders_12m >= 2",
        "company_size >= 2",
        "care.yml:10: company_size is a name; compare it by =, <>, in or missing",
    ),
    "number compared like names": (
        "care",
        "company_size in 大型, 中型",
        "orders_12m in 2, 3",
        "care.yml:11: orders_12m is a number; in compares names",
    ),
    "number compared with a word": (
        "care",
        "orders_12m >= 2",
        "orders_12m >= two",
        "care.yml:10: orders_12m is a number, 'two' is none",
    ),
    "no condition": (
        "care",
        "recency_days missing",
        "recency_days",
        "care.yml:9: conditions.0.if.0: 'recency_days' is no condition",
    ),
    "empty name in a list": (
        "care",
        "大型, 中型",
        "大型,, 中型",
        "a name is empty; write in and names with a comma between them",
    ),
    "condition with more decimals than the column holds": (
        "care",
        "orders_12m >= 2",
        "orders_12m >= 2.0000001",
        "value is 2.0000001; up to 18 digits and 6 decimals",
    ),
    "condition after one that takes everybody": (
        "care",
        "  - {tier: never, if: [recency_days missing]}",
        "  - {tier: never}",
        "care.yml:9: conditions.0: takes everybody, so the conditions after it are never asked; put it last",
    ),
    "unknown tier of a condition": (
        "care",
        "{tier: never,",
        "{tier: ever,",
        "care.yml:9: unknown tier 'ever' of scheme care; did you mean never?",
    ),
    "need of the lowest tier": (
        "value",
        "low: {when: others,",
        'low: {when: others, needs: {csat: ">= 0.5"},',
        "there is no tier below",
    ),
    "need from above": ("value", '">= 0.8"', '"<= 0.8"', "<= 0.8: a tier needs at least a value"),
    "reserved tier": ("abc", "  C: {", "  pending: {", "'pending' is reserved for customers that cannot be scored yet"),
    "key twice": ("abc", "  C: {", "  B: {", "abc.yml:11: B is already in line 10"),
    "no such key": (
        "abc",
        "population: buyers",
        "populaton: buyers",
        "abc.yml:5: populaton: there is no such key; did you mean population?",
    ),
    "label missing": ("abc", "label_zh: B, ", "", "abc.yml:10: tiers.B.label_zh: Field required"),
    "score no number": ("value", "others: 60}\n      profit", "others: sixty}\n      profit", "'sixty' is no number"),
    "full-width digits": ("abc", ">= 100", ">= １００", "'>= １００' is no edge"),
    "more decimals than the column holds": (
        "value",
        '>= 0.1"',
        '>= 0.1000001"',
        "value.yml:19: lower_bound is 0.1000001; up to 18 digits and 6 decimals",
    ),
    "more digits than the column holds": (
        "value",
        "ordinary: 60",
        "ordinary: 100000",
        "value.yml:27: score is 100000; up to 5 digits and 2 decimals",
    ),
    "unknown kind": (
        "abc",
        "kind: bands",
        "kind: band",
        "abc.yml:4: kind: Input should be 'weighted', 'bands', 'quadrant'",
    ),
    "unknown population": ("abc", "population: buyers", "population: payers", "abc.yml:5: population: Input should be"),
    "unknown policy for missing values": (
        "value",
        "missing: renormalise",
        "missing: renormalize",
        "value.yml:26: dimensions.fit.indicators.strategic_level",
    ),
    "impute without a score": (
        "value",
        "        missing_score: 50\n",
        "",
        "missing is impute, so missing_score needs a value",
    ),
    "unknown review": (
        "abc",
        "review: nightly",
        "review: weekly",
        "abc.yml:12: stability.review: Input should be 'none'",
    ),
    "negative margin": (
        "abc",
        "enter_margin: 10",
        "enter_margin: -1",
        "stability.enter_margin: Input should be greater",
    ),
    "margins where there are no bands": (
        "top",
        "stability: {",
        "stability: {enter_margin: 1, ",
        "top.yml:11: margins need a scheme whose score has bands (weighted, bands); top is of kind rank",
    ),
    "margins wider than a tier": (
        "abc",
        "enter_margin: 10, exit_margin: 10",
        "enter_margin: 200, exit_margin: 200",
        "abc.yml:12: enter_margin and exit_margin together (400) leave no room in the tier B, 400 wide (",
    ),
    "tiers that never move": (
        "top",
        ", idle_months: 6",
        "",
        "top.yml:11: tiers of top would never move: give a trigger or a review",
    ),
    "value and indicators": (
        "abc",
        "value: annual_spend",
        "value: annual_spend, indicators: {csat: {}}",
        "give either value (one indicator",
    ),
    "neither value nor indicators": (
        "abc",
        ", value: annual_spend",
        "",
        "abc.yml:7: dimensions.spend: give either value",
    ),
    "two values without scores": (
        "abc",
        "value: annual_spend",
        "indicators: {annual_spend: {weight: 50 %}, csat: {weight: 50 %}}",
        "abc.yml:7: 2 indicators of abc spend without scores; score them, or name one as value",
    ),
    "scheme without dimension": (
        "abc",
        "  spend: {label_en: Spend, label_zh: 消费, value: annual_spend}\n",
        "  {}\n",
        "dimensions",
    ),
    "scheme without tiers": (
        "alike",
        "  near: {label_en: Near, label_zh: 近, strategy_en: thank, strategy_zh: 感谢}\n"
        "  far: {label_en: Far, label_zh: 远, strategy_en: call, strategy_zh: 致电}\n",
        "  {}\n",
        "the scheme has no tiers",
    ),
    "indicator without scores": (
        "value",
        '        scores: {">= 0.1": 90, others: 30}\n',
        "",
        "value.yml:15: indicator profit_margin of scheme value has no scores",
    ),
    "edges in a scheme of ranks": ("abc", "kind: bands", "kind: rank", "the tiers of a scheme of kind rank have ranks"),
    "ranks in a scheme of edges": (
        "top",
        "kind: rank",
        "kind: bands",
        "the tiers of a scheme of kind bands have edges",
    ),
    "rank scheme with two dimensions": (
        "top",
        "  spend: {label_en: Spend, label_zh: 消费, value: annual_spend}",
        "  spend: {label_en: Spend, label_zh: 消费, weight: 50 %, value: annual_spend}\n"
        "  more: {label_en: More, label_zh: 更多, weight: 50 %, value: csat}",
        "top.yml:1: a scheme of kind rank has one dimension, top has 2",
    ),
    "rule scheme without conditions": (
        "care",
        "conditions:\n",
        "condition:\n",
        "there is no such key; did you mean conditions?",
    ),
    "axis without levels": (
        "map",
        "    levels: {rich: top 50 %, poor: others}\n",
        "",
        "a dimension of a scheme of kind axes needs levels or conditions",
    ),
    "levels in a weighted scheme": (
        "value",
        "    weight: 30 %\n",
        '    weight: 30 %\n    levels: {good: ">= 60", bad: others}\n',
        "a weighted scheme adds up scores; its dimensions have no levels of their own",
    ),
    "quadrant pair missing": (
        "grid",
        "    when: {spend: little, profit: bad}",
        "    when: {spend: little, profit: good}",
        "grid.yml:39: grid, little, good is already in line",
    ),
    "quadrant level mistyped": (
        "grid",
        "when: {spend: much, profit: bad}",
        "when: {spend: much, profit: badd}",
        "grid.yml:27: fix is at much/badd, which are no levels; there are little, much and bad, good",
    ),
    "quadrant dimension mistyped": (
        "grid",
        "when: {spend: much, profit: bad}",
        "when: {spent: much, profit: bad}",
        "grid.yml:27: tiers.fix.when: name a level of spend and one of profit",
    ),
    "quadrant of three dimensions": (
        "grid",
        "dimensions:\n",
        "dimensions:\n  more: {label_en: More, label_zh: 更多, weight: 1 %, value: csat}\n",
        "a quadrant scheme has two dimensions, grid has 3",
    ),
    "ranks in the wrong order": (
        "top",
        "first: {when: top 10 %",
        "first: {when: top 110 %",
        "the shares count from the best customer on",
    ),
    "no rank": ("map", "top 50 %", "top half", "'top half' is no rank; write top and a share of the customers"),
    "clusters ranked by no one indicator": (
        "alike",
        "recency_days: {weight: 40 %}\n      annual_spend: {weight: 60 %}",
        "recency_days: {weight: 50 %}\n      annual_spend: {weight: 50 %}",
        "clusters are ranked by the indicator that weighs most; in alike 2 indicators weigh 50 %",
    ),
    "clusters of a name": ("alike", "recency_days:", "company_size:", "company_size is a name; give a score"),
    "cluster scheme with one tier": (
        "alike",
        "  far: {label_en: Far, label_zh: 远, strategy_en: call, strategy_zh: 致电}\n",
        "",
        "alike.yml:1: a scheme of kind cluster has two or more tiers, ranked 1, 2, 3 …; alike has 1",
    ),
    "cluster tiers of one rank": ("alike", "far: {", "far: {rank: 1, ", "alike has 1, 1"),
    "log where values are not compared": (
        "top",
        "value: annual_spend",
        "value: annual_spend, compare: log",
        "compare log is for a scheme of kind cluster",
    ),
    "clusters by score without scores": (
        "alike",
        "compare: log",
        "compare: score",
        "indicator recency_days of scheme alike has no scores",
    ),
    "no YAML": ("abc", "tiers:", "tiers: [", "abc.yml:10: this is not YAML"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_file_and_line(mistake: str, rules_folder: Path) -> None:
    scheme, before, after, expected = MISTAKES[mistake]
    change(rules_folder, f"schemes/{scheme}.yml", before, after)
    assert expected in problem_of(rules_folder)


def test_mistakes_of_several_files_come_in_one_report(rules_folder: Path) -> None:
    mistakes = ("no such key", "score no number", "no condition", "no rank")
    for mistake in mistakes:
        scheme, before, after, _ = MISTAKES[mistake]
        change(rules_folder, f"schemes/{scheme}.yml", before, after)
    problem = problem_of(rules_folder)
    for mistake in mistakes:
        assert MISTAKES[mistake][3] in problem


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty or holds no keys"),
        (b"- a\n", "the file is empty or holds no keys"),
        ("label_zh: 价值".encode("gb18030"), "the file is not UTF-8"),
    ],
)
def test_a_file_that_is_no_scheme_is_named(content: bytes, problem: str, rules_folder: Path) -> None:
    path = rules_folder / "schemes" / "abc.yml"
    path.write_bytes(content)
    assert f"{path}: {problem}" in problem_of(rules_folder)


def test_a_name_that_no_mart_could_hold_is_refused(rules_folder: Path) -> None:
    path = rules_folder / "schemes" / "abc.yml"
    path.rename(path.with_name("A B.yml"))
    assert "a scheme is named by letters a-z, digits and _, not 'A B'" in problem_of(rules_folder)


# --- a company's file ----------------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "own" / "schemes").mkdir(parents=True)
    return tmp_path / "own"


def test_a_companys_file_says_only_what_differs(rules_folder: Path, own: Path) -> None:
    (own / "schemes" / "abc.yml").write_text('tiers:\n  A: {when: "> 7,000"}\n', encoding="utf-8")
    rules = load_small(rules_folder, own)
    bands = [
        (row["tier"], row["lower_bound"], row["upper_bound"])
        for row in rules.rows["tier_bands"]
        if row["scheme"] == "abc"
    ]
    assert bands == [("A", "7000", ""), ("B", "100", "7000"), ("C", "", "100")]
    first = next(row for row in rules.rows["tier_bands"] if row["scheme"] == "abc")
    assert first.where() == f"{own / 'schemes' / 'abc.yml'}:2"
    assert "A" in {row["label_en"] for row in rules.rows["tiers"]}


def test_an_empty_value_takes_a_key_away(rules_folder: Path, own: Path) -> None:
    (own / "schemes" / "abc.yml").write_text("tiers:\n  B:\nstability:\n", encoding="utf-8")
    rules = load_small(rules_folder, own)
    assert [row["tier"] for row in rules.rows["tiers"] if row["scheme"] == "abc"] == ["A", "C"]
    assert "abc" not in {row["scheme"] for row in rules.rows["stability"]}


def test_scores_are_replaced_as_a_whole(rules_folder: Path, own: Path) -> None:
    (own / "schemes" / "value.yml").write_text(
        'dimensions:\n  worth:\n    indicators:\n      annual_spend:\n        scores: {">= 5": 90, others: 10}\n',
        encoding="utf-8",
    )
    rules = load_small(rules_folder, own)
    scores = [row["score"] for row in rules.rows["score_bands"] if row["indicator"] == "annual_spend"]
    assert scores == ["90", "10"]


def test_a_mistake_in_a_companys_file_names_it(rules_folder: Path, own: Path) -> None:
    (own / "schemes" / "abc.yml").write_text('tiers:\n  A: {when: "> 50"}\n', encoding="utf-8")
    problem = problem_of(rules_folder, own)
    assert f"{own / 'schemes' / 'abc.yml'}:1: tiers: >= 100 comes after > 50" in problem


def test_a_scheme_that_only_a_company_has(rules_folder: Path, own: Path) -> None:
    text = (rules_folder / "schemes" / "abc.yml").read_text(encoding="utf-8")
    (own / "schemes" / "mine.yml").write_text(text, encoding="utf-8")
    assert load_small(rules_folder, own).schemes() == ["abc", "alike", "care", "grid", "map", "top", "value", "mine"]


# --- there and back ------------------------------------------------------------------------------------------


def rows_of(folder: Path) -> dict[str, list[tuple[str, ...]]]:
    problems: list[str] = []
    rows = scheme_rows(read_schemes([folder], problems), problems)
    assert problems == []
    return values(rows)


def values(rows: dict[str, list[Row]]) -> dict[str, list[tuple[str, ...]]]:
    return {seed: sorted(tuple(row.values.values()) for row in rows[seed]) for seed in SCHEME_SEEDS}


def test_shipped_schemes_written_anew_say_the_same(tmp_path: Path) -> None:
    rules = load_rules(load_profile("sample"))
    for name in SHIPPED:
        text = scheme_text.dumped(scheme_text.content_of(rules.rows, name))
        (tmp_path / f"{name}.yml").write_text(text, encoding="utf-8")
    assert rows_of(tmp_path) == rows_of(PROJECT_ROOT / "schemes")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_standard_table_is_read_back_as_it_was_written(name: str, tmp_path: Path) -> None:
    rules = load_rules(load_profile("sample"))
    content = scheme_text.content_of(rules.rows, name)
    write_standard_table(tmp_path / "table.xlsx", name, content, {})
    problems: list[str] = []
    read_name, text = read_standard_table(tmp_path / "table.xlsx", problems)
    scheme = scheme_of(read_name, [text], problems)
    assert (read_name, problems) == (name, [])
    back = scheme_text.content_of(load_rules(load_profile("sample"), None, scheme).rows, name)
    assert back == content


def test_the_least_that_differs_gives_the_whole_back() -> None:
    rules = load_rules(load_profile("sample"))
    base = scheme_text.content_of(rules.rows, "account_360")
    own = scheme_text.content_of(load_rules(load_profile("sample")).rows, "account_360")
    own["tiers"]["strategic"]["when"] = ">= 95"
    own["dimensions"]["value"]["indicators"]["annual_spend"]["scores"] = {">= 7": 100, "others": 1}
    del own["stability"]["idle_months"]
    changes = scheme_text.difference(base, own)
    assert set(changes) == {"tiers", "dimensions", "stability"}
    assert changes["stability"] == {"idle_months": None}
    assert merged(base, changes) == own


def test_comments_of_a_file_stay_when_it_is_changed() -> None:
    text = '# why\ntiers:\n  A: {when: "> 5"}  # cut of the board\n'
    changed = scheme_text.edited(text, {"tiers": {"A": {"when": "> 7"}}, "stability": {"review": "monthly"}})
    assert changed == '# why\ntiers:\n  A: {when: "> 7"}  # cut of the board\nstability: {review: monthly}\n'


# --- carried over from CSV ------------------------------------------------------------------------------------


def test_scheme_seeds_of_the_first_version_are_carried_over(tmp_path: Path) -> None:
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    (seeds / "tier_bands.csv").write_text(
        ",".join(SEEDS["tier_bands"].columns) + "\nspend_abc,spend,A,5000,,false,false\n"
        "spend_abc,spend,B,1000,5000,true,true\nspend_abc,spend,C,,1000,false,false\n",
        encoding="utf-8",
    )
    (seeds / "gates.csv").write_text(
        "scheme,tier,indicator,lower_bound,cap_tier\naccount_360,strategic,on_time_payment_rate,0.97,key\n",
        encoding="utf-8",
    )
    (seeds / "settings.csv").write_text("setting,value,meaning\nrfm_frequency,3,few\n", encoding="utf-8")
    dictionary = PROJECT_ROOT / "dbt_project" / "seeds" / "indicators.csv"
    written = migrate_seeds(PROJECT_ROOT / "schemes", dictionary, tmp_path)
    assert {path.name for path in written} == {"spend_abc.yml", "account_360.yml"}
    assert [path.name for path in seeds.iterdir()] == ["settings.csv"]
    assert (tmp_path / "schemes" / "spend_abc.yml").read_text(encoding="utf-8") == (
        'tiers:\n  A: {when: "> 5000"}\n  B: {when: ">= 1000"}\n'
    )
    assert (tmp_path / "schemes" / "account_360.yml").read_text(encoding="utf-8") == (
        'tiers:\n  strategic:\n    needs: {on_time_payment_rate: ">= 97 %"}\n'
        "  key:\n    needs: {on_time_payment_rate: null}\n"
    )
    assert migrate_seeds(PROJECT_ROOT / "schemes", dictionary, tmp_path) == []


def test_a_seed_that_cannot_be_read_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "seeds").mkdir()
    path = tmp_path / "seeds" / "tier_bands.csv"
    path.write_text("scheme,tier\nx,y\n", encoding="utf-8")
    with pytest.raises(RulesError, match="the header is scheme,tier"):
        migrate_seeds(PROJECT_ROOT / "schemes", PROJECT_ROOT / "dbt_project/seeds/indicators.csv", tmp_path)
    assert path.exists()


# --- the Excel table ------------------------------------------------------------------------------------------


def test_mistakes_in_a_standard_table_are_named_by_sheet_and_cell(tmp_path: Path) -> None:
    rules = load_rules(load_profile("sample"))
    content = scheme_text.content_of(rules.rows, "account_360")
    content["dimensions"]["value"]["indicators"]["annual_spend"]["scores"] = {"lots": 100, "others": 40}
    content["dimensions"]["value"]["indicators"]["profit_margin"]["weight"] = "much"
    content["tiers"]["key"]["when"] = ">= 95"
    content["stability"]["dwell"] = 3
    write_standard_table(tmp_path / "table.xlsx", "account_360", content, {})
    problems: list[str] = []
    name, text = read_standard_table(tmp_path / "table.xlsx", problems)
    scheme = scheme_of(name, [text], problems)
    assert any("table.xlsx:criteria!C8" in problem and "'much' is no number" in problem for problem in problems)
    assert any("table.xlsx:scheme!B14: stability.dwell: there is no such key" in problem for problem in problems)
    problems.clear()
    del text.content["stability"]["dwell"]
    text.content["dimensions"]["value"]["indicators"]["profit_margin"]["weight"] = "40 %"
    scheme = scheme_of(name, [text], problems)
    scheme_rows([scheme], problems)
    assert any("table.xlsx:criteria!B" in problem and "'lots' is no edge" in problem for problem in problems)
    assert any("table.xlsx:tiers!" in problem and ">= 95 comes after >= 90" in problem for problem in problems)


# --- edges ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.4", "0.4"), ("40 %", "0.4"), ("1,000", "1000"), ("500万", "5000000"), ("1.5 亿", "150000000"), ("-3", "-3")],
)
def test_numbers_as_people_write_them(text: str, value: str) -> None:
    assert edges.number(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "1,00", "1 000", "1e3", "0x1", "１", "--1", "%", "nan"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no number"):
        edges.number(text)


cuts = st.lists(
    st.tuples(st.decimals(-1000, 1000, places=3, allow_nan=False), st.booleans()),
    max_size=6,
    unique_by=lambda cut: cut[0],
)


@given(cuts, st.booleans(), st.lists(st.decimals(-1001, 1001, places=3, allow_nan=False), max_size=5))
@settings(max_examples=200, deadline=None)
def test_bands_hold_every_value_once_and_come_back_as_they_were(
    found: list[tuple[Decimal, bool]], from_below: bool, others: list[Decimal]
) -> None:
    ordered = sorted(found, reverse=from_below)
    texts = [
        f"{'>' if from_below else '<'}{'=' if included else ''} {edges.plain(bound)}" for bound, included in ordered
    ]
    texts.append(edges.OTHERS)
    bands = edges.bands(texts)
    for value in [
        *others,
        *(bound + step for bound, _ in found for step in (Decimal("-0.001"), Decimal(0), Decimal("0.001"))),
    ]:
        holding = [place for place, band in enumerate(bands) if band.holds(value)]
        assert len(holding) == 1
        first = next((place for place, text in enumerate(texts) if holds(text, value)), None)
        assert holding == [first]
    assert edges.texts_of(bands) == texts


def holds(text: str, value: Decimal) -> bool:
    """What a person reads: the first edge that a value meets."""
    if text == edges.OTHERS:
        return True
    operator, bound = text.split()
    return {
        ">": value > Decimal(bound),
        ">=": value >= Decimal(bound),
        "<": value < Decimal(bound),
        "<=": value <= Decimal(bound),
    }[operator]


# --- tiers that nobody can reach ------------------------------------------------------------------------------


def test_a_tier_above_the_best_score_is_named(rules_folder: Path) -> None:
    change(rules_folder, "schemes/value.yml", 'when: ">= 80"', 'when: "> 97.2"')
    problems: list[str] = []
    found = {scheme.name: scheme for scheme in read_schemes([rules_folder / "schemes"], problems)}
    assert unreachable(found["value"]) == [
        "value: nobody can reach the tier high (> 97.2); scores lie between 51.6 and 97.2"
    ]
    assert unreachable(found["abc"]) == []
