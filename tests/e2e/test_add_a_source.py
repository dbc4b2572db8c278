"""The walk of docs/add-a-source.md, taken from the page itself, in a copy of the project.

Every block of the page that follows a path in backquotes is written to that path; the edits of dbt_project.yml are made
as its block says. A night then runs in the copy, on exports written here.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from customer_tiering.company.workspace import Workspace, project_root
from customer_tiering.warehouse.connection import open_warehouse
from nights import mart_rows

pytestmark = pytest.mark.slow
FILE_BLOCK = re.compile(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROJECT_BLOCK = re.compile(r"^```yaml\n(vars:\n.*?)^```$", re.MULTILINE | re.DOTALL)
PROJECT_FILE = "dbt_project/dbt_project.yml"
LEFT_BEHIND = (".git", ".venv", "var", "__pycache__", "*.egg-info", ".*_cache", ".hypothesis", "target", "logs")
CUSTOMERS = """客户编号,客户名称,手机号,更新时间
K001,江南茶行,138 1234 5678,2026-03-30 08:00:00
K002,北方书店,无,2026-03-30 08:00:00
K003,城西花店,微信13900001111,2026-03-30 08:00:00
"""
ORDERS = """订单编号,客户编号,下单日期,状态,金额,更新时间
D1,K001,2026/3/5,已完成,1200.50,2026-03-30 08:00:00
D2,K001,2026-03-20,已完成,300,2026-03-30 08:00:00
D3,K001,2026-03-21,已取消,9999,2026-03-30 08:00:00
D4,K002,20260301,已完成,88.80,2026-03-30 08:00:00
D5,K003,2026-03-22,已完成,70,2026-03-30 08:00:00
D6,K002,2026-02-30,已完成,60,2026-03-30 08:00:00
D7,K002
"""
NIGHT = "from datetime import date; from nights import run_night; run_night('corner_shop', date(2026, 3, 30))"


def tree(root: Path) -> dict[str, str]:
    """Each file of the project and the hash of its content; what Python and tools leave behind does not count."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and not {"__pycache__", ".pytest_cache", ".hypothesis"} & set(path.parts)
    }


def name_to_dbt(text: str, block: str) -> str:
    """The project file with the source named wherever the page's block says so."""
    for entity, source in re.findall(r"^ *(\w+): \[\.\.\., (\w+)\]$", block, re.MULTILINE):
        text, count = re.subn(rf"^( *{entity}: \[[^\]\n]+)\]", rf"\1, {source}]", text, flags=re.MULTILINE)
        assert count == 1, entity
    switch = block.split("    staging:\n")[1]
    before, after = text.split("      +materialized: view\n", 1)
    return f"{before}      +materialized: view\n{switch}{after}"


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str], dict[str, str], set[str]]:
    """The copy after the walk, its files before and after, and the files that the page names."""
    copy = tmp_path_factory.mktemp("walk") / "project"
    shutil.copytree(project_root(), copy, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
    before = tree(copy)
    page = (project_root() / "docs" / "add-a-source.md").read_text(encoding="utf-8")
    blocks = dict(FILE_BLOCK.findall(page))
    for name, content in blocks.items():
        path = copy / name
        assert not path.exists(), f"{name} is new"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    (edits,) = PROJECT_BLOCK.findall(page)
    project_file = copy / PROJECT_FILE
    project_file.write_text(name_to_dbt(project_file.read_text(encoding="utf-8"), edits), encoding="utf-8")
    return copy, before, tree(copy), {*blocks, PROJECT_FILE}


def run_in(copy: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Python in the copy, which sees the copy's code only."""
    return subprocess.run(
        [sys.executable, *arguments],
        check=False,
        cwd=copy,
        env=os.environ
        | {"TIERING_HOME": str(copy), "PYTHONPATH": os.pathsep.join([str(copy / "plugins"), str(copy / "tests")])}
        | environment,
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_a_source_is_added_without_touching_dags_marts_or_tests(
    walk: tuple[Path, dict[str, str], dict[str, str], set[str]],
) -> None:
    copy, before, after, named = walk
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == named
    assert set(before) <= set(after)
    assert {name for name in changed if name in before} == {PROJECT_FILE}
    kept = ("dags/", "tests/", "dbt_project/models/marts/", "dbt_project/models/intermediate/", "dbt_project/macros/")
    assert all(any(name.startswith(folder) for name in before) for folder in kept)
    assert not [name for name in changed if name.startswith(kept)]
    checked = run_in(
        copy,
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow"),
        *("tests/unit/test_expectation_suites.py", "tests/dbt/test_models.py"),
    )
    assert checked.returncode == 0, checked.stdout[-3000:]


def test_its_rows_reach_the_marts_masked_and_its_bad_rows_quarantine(
    walk: tuple[Path, dict[str, str], dict[str, str], set[str]], tmp_path: Path
) -> None:
    copy, _, after, _ = walk
    data, var = tmp_path / "data", tmp_path / "var"
    data.mkdir()
    for name, text in (("客户-20260330.csv", CUSTOMERS), ("订单-20260330.csv", ORDERS)):
        (data / name).write_bytes(text.encode("gb18030"))
    night = run_in(copy, "-c", NIGHT, TIERING_VAR=str(var), TIERING_DATA=str(data))
    assert night.returncode == 0, night.stderr[-3000:]
    workspace = Workspace(var / "corner_shop")

    published = mart_rows(
        workspace,
        "select d.customer_name, d.phone_masked, i.order_frequency, i.cumulative_spend, t.effective_tier "
        "from dim_customers d join fct_customer_indicators i using (customer_id) "
        "join fct_customer_tiers t on t.customer_id = d.customer_id and t.scheme = 'spend_abc' order by 1 desc",
    )
    assert [tuple(row.values())[:4] for row in published] == [
        ("江南茶行", "138****5678", 2, Decimal("1500.50")),
        ("北方书店", None, 1, Decimal("88.80")),
    ]
    assert all(row["effective_tier"] for row in published)

    with open_warehouse(workspace) as connection:
        failures = connection.execute(
            "select f.rule, f.offending_value, f.reason_zh, coalesce(c.customer_no, o.order_no, o._malformed) "
            "from quarantine.failures f left join quarantine.corner_shop__customers c on f.row_id = c._row_id "
            "and f.entity = 'customers' left join quarantine.corner_shop__orders o on f.row_id = o._row_id "
            "and f.entity = 'orders'"
        ).fetchall()
    assert {
        ("corner_shop.customers.phone_is_a_number", "微***", "手机号不是电话号码", "K003"),
        ("corner_shop.orders.customer_exists", "K003", "客户不存在", "D5"),
        ("corner_shop.orders.ordered_on_valid", "2026-02-30", "下单日期无效", "D6"),
        ("corner_shop.orders.row_well_formed", None, "该行字段数不符", "D7,K002"),
    } <= set(failures)
    assert {row for *_, row in failures} == {"K003", "D5", "D6", "D7,K002"}

    for number in ("13812345678", "138 1234 5678", "13900001111"):
        assert not tables_with(workspace, number)
    assert tables_with(workspace, "138****5678") == ["dim_customers"]
    assert tree(copy) == after, "a night writes nothing into the project"


def tables_with(workspace: Workspace, text: str) -> list[str]:
    """Published tables that show a text in any column."""
    (database,) = (workspace.published / "current").glob("*.duckdb")
    with duckdb.connect(str(database), read_only=True) as connection:
        tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
        assert len(tables) > 10
        return [
            name
            for schema, name in tables
            if connection.execute(
                f'select count(*) from "{schema}"."{name}" t where contains(cast(t as varchar), ?)', [text]
            ).fetchone()
            != (0,)
        ]
