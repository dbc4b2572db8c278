"""The match model: frozen parameters, what they say about records, and their estimation from labels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from customer_tiering.errors import TieringError
from customer_tiering.identity.matching import MODEL_FILE, estimate, likenesses, load_model

COLUMNS = (
    "record_id", "source", "source_customer_id", "is_registry", "name_key", "tax_key", "phone_key", "email_key",
    "email_domain", "region", "industry", "linked_record_id",
)  # fmt: skip


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("create schema intermediate")
        columns = ", ".join(f"{name} {'boolean' if name == 'is_registry' else 'varchar'}" for name in COLUMNS)
        opened.execute(f"create table intermediate.int_identity_keys ({columns})")
        yield opened


def add(connection: duckdb.DuckDBPyConnection, record_id: str, name: str, **values: str | None) -> None:
    source, key = record_id.split("-", 1)
    mail = values.get("email_key")
    row = {
        "record_id": record_id,
        "source": source,
        "source_customer_id": key,
        "is_registry": source == "erp",
        "name_key": name,
        "region": "江苏",
        "industry": "机床",
        "email_domain": mail.split("@")[1] if mail else None,
    } | values
    marks = ", ".join("?" for _ in COLUMNS)
    connection.execute(
        f"insert into intermediate.int_identity_keys values ({marks})", [row.get(name) for name in COLUMNS]
    )


def weights(connection: duckdb.DuckDBPyConnection, least: str = "-99") -> dict[tuple[str, str], Decimal]:
    ids = {name for (name,) in connection.execute("select record_id from intermediate.int_identity_keys").fetchall()}
    return {(like.left, like.right): like.weight for like in likenesses(connection, load_model(), ids, Decimal(least))}


def test_the_frozen_parameters_are_probabilities() -> None:
    model = load_model()
    assert model.version and model.estimated_from
    for comparison in model.settings["comparisons"]:
        levels = [level for level in comparison["comparison_levels"] if not level.get("is_null_level")]
        for probability in ("m_probability", "u_probability"):
            assert sum(level[probability] for level in levels) == pytest.approx(1, abs=1e-6)
        assert levels[0]["m_probability"] > levels[0]["u_probability"], "agreement speaks for a match"
        assert levels[-1]["m_probability"] < levels[-1]["u_probability"], "disagreement speaks against it"


@pytest.mark.parametrize(
    "content", ["", "[]", '{"version": "1"}', '{"version": "1", "estimated_from": "", "settings": {}}']
)
def test_a_broken_model_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(TieringError, match="cannot be used"):
        load_model(path)


def test_a_typing_error_beside_the_same_phone_is_a_match_and_a_lookalike_is_none(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    add(connection, "erp-A", "苏州晨达机械", phone_key="13800000001", email_key="buy@chenda.example")
    add(connection, "crm-typo", "苏州晨大机械", phone_key="13800000001")
    add(connection, "crm-mail", "苏州晨机达械", email_key="info@chenda.example")
    add(connection, "crm-lookalike", "苏州晨翔机械", phone_key="15912345678", email_key="info@chenxiang.example")
    add(connection, "crm-agent", "无锡恒瑞贸易", phone_key="13800000001", email_key="info@hengrui.example")
    add(connection, "crm-bare", "苏州晨达机戒")
    found = weights(connection)
    assert found["crm-typo", "erp-A"] >= 12
    assert found["crm-mail", "erp-A"] >= 12
    assert 2 <= found["crm-bare", "erp-A"] < 12, "a name alone asks a person"
    assert found["crm-lookalike", "erp-A"] < 2
    assert found["crm-agent", "erp-A"] < 2
    assert set(weights(connection, "12")) == {pair for pair, weight in found.items() if weight >= 12}


def test_what_agrees_is_told_in_words(connection: duckdb.DuckDBPyConnection) -> None:
    add(connection, "erp-A", "苏州晨达机械", phone_key="13800000001", email_key="buy@chenda.example")
    add(connection, "crm-X", "苏州晨大机械", phone_key="13800000001", email_key="info@chenda.example", region="浙江")
    (like,) = likenesses(connection, load_model(), {"crm-X"}, Decimal(-99))
    assert like.agreed == "nearly equal name, phone, similar email, industry"
    assert not like.is_same_source


def test_only_what_may_be_one_customer_is_compared(connection: duckdb.DuckDBPyConnection) -> None:
    add(connection, "erp-A", "苏州晨达机械", phone_key="13800000001")
    add(connection, "erp-B", "苏州晨达机械", phone_key="13800000001")
    assert weights(connection) == {}, "one registry only"
    add(connection, "crm-X", "苏州晨达机械", phone_key="13800000001", tax_key="TAX00001")
    add(connection, "crm-Y", "苏州晨达机械", phone_key="13800000001", tax_key="TAX00002")
    assert set(weights(connection)) == {(crm, erp) for crm in ("crm-X", "crm-Y") for erp in ("erp-A", "erp-B")}
    assert likenesses(connection, load_model(), set(), Decimal(-99)) == [], "nothing is open"
    only_x = likenesses(connection, load_model(), {"crm-X"}, Decimal(-99))
    assert {like.left for like in only_x} == {"crm-X"}


def test_parameters_are_estimated_from_labels(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """60 companies, each typed in a second time: 45 with the name as it is, 15 with an error; phones always agree."""
    letters = "晨锐恒博卓盛鼎宏嘉凯瑞拓远信诚泰华德明正"
    company_of = {}
    for number in range(60):
        name = f"{letters[number % 20]}{letters[number // 3]}{letters[-1 - number // 20]}机械厂"
        phone = f"138{number:08d}"
        add(connection, f"erp-{number}", name, phone_key=phone)
        add(connection, f"crm-{number}", name if number < 45 else f"{name[:2]}佳{name[3:]}", phone_key=phone)
        company_of |= {f"erp-{number}": f"C{number}", f"crm-{number}": f"C{number}"}
    content = estimate(connection, company_of, "test", "this test")
    comparisons = {comparison["output_column_name"]: comparison for comparison in content["settings"]["comparisons"]}
    levels = {
        (name, level["label_for_charts"]): level
        for name, comparison in comparisons.items()
        for level in comparison["comparison_levels"]
    }
    assert levels["name", "equal"]["m_probability"] == pytest.approx((45 + 0.5) / (60 + 4 * 0.5))
    assert levels["name", "nearly equal"]["m_probability"] == pytest.approx((15 + 0.5) / (60 + 4 * 0.5))
    assert levels["phone", "equal"]["m_probability"] > 0.97
    assert levels["phone", "equal"]["u_probability"] < 0.001
    compared = 60 * 60 + 60 * 59 // 2  # every pair but those of two ERP records
    assert content["settings"]["probability_two_random_records_match"] == pytest.approx(60 / compared, abs=1e-8)
    assert content["version"] == "test"
    path = tmp_path / "model.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    assert load_model(path).version == "test"
    assert load_model(MODEL_FILE).version != "test", "nothing took the place of the frozen file"


def test_too_few_labels_are_refused(connection: duckdb.DuckDBPyConnection) -> None:
    add(connection, "erp-A", "苏州晨达机械")
    add(connection, "crm-X", "苏州晨达机械")
    with pytest.raises(TieringError, match="only 1 labelled pairs"):
        estimate(connection, {"erp-A": "1", "crm-X": "1"}, "v", "here")
