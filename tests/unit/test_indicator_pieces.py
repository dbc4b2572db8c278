"""A new indicator: one model and one dictionary row, and one answer that says everything still missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from customer_tiering.company.workspace import project_root
from customer_tiering.rules.indicators import missing_pieces

MODEL = """-- Quotes that became orders.
with quotes as (

    select * from {{ ref('int_quotes') }}

)

select
    quotes.customer_id,
    quotes.as_of_date,
    cast(sum(quotes.won, 0) / count(*) as decimal(18, 6)) as quote_rate
from quotes
group by quotes.customer_id, quotes.as_of_date
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("models", "seeds", "contract"):
        shutil.copytree(project_root() / "dbt_project" / name, tmp_path / "dbt_project" / name)
    return tmp_path


def add(path: Path, before: str, text: str) -> None:
    content = path.read_text(encoding="utf-8")
    assert before in content
    path.write_text(content.replace(before, text + before, 1), encoding="utf-8")


def test_the_indicators_of_the_project_are_complete() -> None:
    assert missing_pieces() == []


def test_a_new_model_is_told_everything_at_once(project: Path) -> None:
    dbt = project / "dbt_project"
    topics = dbt / "models/intermediate/indicators"
    (topics / "int_indicators_quotes.sql").write_text(MODEL, encoding="utf-8")
    with (dbt / "seeds/indicators.csv").open("a", encoding="utf-8") as stream:
        stream.write("quote_rate,Quote rate,报价成交率,share,won quotes of all,won / quotes,CRM,12 months\n")
    found = {str(piece.path.relative_to("dbt_project")): piece.what for piece in missing_pieces(project)}
    assert {piece.indicator for piece in missing_pieces(project)} == {"quote_rate"}
    assert found == {
        str(
            (topics / "int_customer_indicators.sql").relative_to(dbt)
        ): "join int_indicators_quotes and select quote_rate",
        "models/marts/indicators/fct_customer_indicators.yml": "add the column with description and data_type "
        "(a name that is scored: config: {meta: {level: true}})",
        "contract/marts.yml": 'raise the version, last of all: tiering contract --write --note "<why>"',
    }

    add(topics / "int_customer_indicators.sql", "    churn.churn_rate,\n", "    quotes.quote_rate,\n")
    add(
        dbt / "models/marts/indicators/fct_customer_indicators.yml",
        "      - {name: churn_rate,",
        '      - {name: quote_rate, description: Won quotes, data_type: "decimal(18,6)"}\n',
    )
    (last,) = missing_pieces(project)
    assert last.path.name == "marts.yml"


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("seeds/indicators.csv", "csat,"),
        ("models/intermediate/indicators/int_customer_indicators.sql", "    service.csat,"),
        ("models/marts/indicators/fct_customer_indicators.yml", "      - {name: csat,"),
    ],
)
def test_a_piece_that_was_lost_is_named(file: str, line: str, project: Path) -> None:
    path = project / "dbt_project" / file
    text = path.read_text(encoding="utf-8")
    kept = [row for row in text.splitlines(keepends=True) if not row.startswith(line.rstrip("\n"))]
    assert len(kept) == len(text.splitlines()) - 1
    path.write_text("".join(kept), encoding="utf-8")
    (piece,) = missing_pieces(project)
    assert (piece.indicator, piece.path.name) == ("csat", path.name)
