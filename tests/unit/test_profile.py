"""Profiles: what is wrong is said with profile, key and what is expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from customer_tiering.company.profile import load_profile, profile_names
from customer_tiering.errors import ProfileError
from nights import shipped_sources

SOUND: dict[str, Any] = {
    "label_en": "Small",
    "label_zh": "小",
    "timezone": "Asia/Shanghai",
    "currency": "CNY",
    "headline_scheme": "account_value",
    "sources": {"erp": {"url": "sqlite:///{workspace}/erp.sqlite"}, "crm": {"path": "{data}/crm"}},
}
SHIPPED = shipped_sources()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that profiles are read from."""
    folder = tmp_path / "profiles"
    folder.mkdir()
    monkeypatch.setenv("TIERING_PROFILES", str(folder))
    monkeypatch.setenv("TIERING_VAR", str(tmp_path / "var"))
    monkeypatch.delenv("TIERING_DATA", raising=False)
    return folder


def write(folder: Path, name: str = "small", **changes: Any) -> None:
    """A profile; a source of the sample company's is mapped as there."""
    content = {key: value for key, value in (SOUND | changes).items() if value is not None}
    content["sources"] = {
        source: {"tables": SHIPPED[source]["tables"]} | said if source in SHIPPED else said
        for source, said in content["sources"].items()
    }
    (folder / f"{name}.yml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")


def refusal(name: str = "small") -> ProfileError:
    with pytest.raises(ProfileError) as caught:
        load_profile(name)
    assert caught.value.next_step
    return caught.value


@pytest.mark.parametrize("name", profile_names())
def test_shipped_profiles_load(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert all(source.entities for source in profile.all_sources())


def test_a_sound_profile_has_defaults_and_its_own_folders(folder: Path, tmp_path: Path) -> None:
    write(folder)
    profile = load_profile("small")
    assert (profile.keep_snapshots, profile.language, profile.channels) == (7, "en", {})
    assert profile.workspace.root == tmp_path / "var" / "small"
    assert profile.folder == folder / "small"
    assert str(profile.zone) == "Asia/Shanghai"


def test_an_unknown_profile_lists_the_known_ones(folder: Path) -> None:
    write(folder, "beta")
    write(folder, "alpha")
    error = refusal("gamma")
    assert error.problem == "unknown profile 'gamma'; there are: alpha, beta"
    assert "tiering init gamma --from" in error.next_step


def test_a_name_with_a_path_is_unknown(folder: Path) -> None:
    write(folder.parent, "outside")
    assert "unknown profile '../outside'" in refusal("../outside").problem


@pytest.mark.parametrize(
    "content", ["label_en: [1\nlabel_zh: x", b"label_zh: \xff\xfe", "\tlabel_en: x"], ids=["brackets", "bytes", "tab"]
)
def test_bad_yaml_is_named(content: str | bytes, folder: Path) -> None:
    (folder / "small.yml").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert refusal().problem.startswith("profile small: small.yml is not valid YAML: ")


@pytest.mark.parametrize("content", ["- erp\n- crm\n", "just text\n", "7\n"])
def test_yaml_that_is_no_mapping_is_named(content: str, folder: Path) -> None:
    (folder / "small.yml").write_text(content)
    assert refusal().problem == "profile small: small.yml is not a mapping of keys to values"


def test_an_empty_file_lists_every_missing_key(folder: Path) -> None:
    (folder / "small.yml").write_text("")
    problem = refusal().problem
    for key in SOUND:
        assert f"{key}: Field required" in problem


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"sources": {"shop": {"path": "x"}}}, "sources.shop.tables: Field required"),
        ({"sources": {}}, "sources: Dictionary should have at least 1 item"),
        ({"sources": {"erp": {"path": "x"}}}, "sources.erp.tables.customers: say files"),
        (
            {"sources": {"shop": {"path": "x", "tables": {"order": {"files": "x", "columns": {}}}}}},
            "sources.shop.tables.order: there is no such input table; did you mean orders?",
        ),
        (
            {"sources": {"shop": {"path": "x", "tables": {"customers": {"files": "x", "columns": {"regoin": "N"}}}}}},
            "tables.customers.columns.regoin: customers has no such column; did you mean region?",
        ),
        ({"timezone": "Asia/Peking"}, "timezone: unknown time zone 'Asia/Peking'"),
        (
            {"sources": {"erp": {"connection": "erp", "path": "x"}}},
            "sources.erp: give exactly one of connection, url, url_from, path",
        ),
        ({"sources": {"erp": {}}}, "sources.erp: give exactly one of connection, url, url_from, path"),
        ({"channels": {"mail": {}}}, "channels.mail: give exactly one of connection, url"),
        (
            {"channels": {"mail": {"url": "x://", "connection": "y"}}},
            "channels.mail: give exactly one of connection, url",
        ),
        (
            {"sources": {"erp": {"folder": "x"}}},
            "sources.erp.folder: there is no such key; there are connection, label_en, ",
        ),
        (
            {"postgres_target": {}},
            "postgres_target: give exactly one of connection, url_from",
        ),
        (
            {"postgres_target": {"url": "postgresql://u:hunter2@h/d"}},
            "postgres_target.url: there is no such key; did you mean url_from?",
        ),
        (
            {"postgres_target": {"url_from": "postgresql://u:hunter2@h/d"}},
            "postgres_target.url_from: String should match pattern",
        ),
        (
            {"postgres_target": {"connection": "bi", "schema": "marts; drop"}},
            "postgres_target.schema: String should match pattern",
        ),
        ({"colour": "red"}, "colour: there is no such key; there are alerts, "),
        ({"currency": "yuan"}, "currency: String should match pattern"),
        ({"keep_snapshots": 1}, "keep_snapshots: Input should be greater than or equal to 2"),
        ({"language": "fr"}, "language: Input should be 'en' or 'zh'"),
        ({"headline_scheme": None}, "headline_scheme: Field required"),
        ({"sample_company": {"customer": 3}}, "sample_company.customer: there is no such key; did you mean customers?"),
    ],
)
def test_a_mistake_names_its_key(changes: dict[str, Any], expected: str, folder: Path) -> None:
    write(folder, **changes)
    error = refusal()
    assert error.problem.startswith("profile small, small.yml: line ")
    assert expected in error.problem
    assert error.next_step == "correct the file"


def test_every_mistake_has_its_line(folder: Path) -> None:
    (folder / "small.yml").write_text(
        "label_en: Small\nlabel_zh: 小\ntimezone: Asia/Shanghai\ncurrency: CNY\nheadline_scheme: rfm\nsources:\n"
        "  shop:\n    path: x\n    tables:\n      orders:\n        files: o.csv\n        encodign: gbk\n"
        "        columns:\n          order_id: {colum: No}\nkeep_snapshot: 3\n",
        encoding="utf-8",
    )
    first, second, last = refusal().problem.removeprefix("profile small, small.yml: ").splitlines()
    assert first == "line 12, sources.shop.tables.orders.encodign: there is no such key; did you mean encoding?"
    assert second.startswith(
        "line 14, sources.shop.tables.orders.columns.order_id.colum: there is no such key; did you"
    )
    assert last == "line 15, keep_snapshot: there is no such key; did you mean keep_snapshots?"


def test_a_secret_in_a_rejected_key_is_not_repeated(folder: Path) -> None:
    write(folder, sources={"erp": {"url": "postgresql://u:hunter2@h/d", "path": "x"}})
    assert "hunter2" not in str(refusal())
    write(folder, postgres_target={"url_from": "postgresql://u:hunter2@h/d"})
    assert "hunter2" not in str(refusal())


def test_a_postgres_target_is_resolved_from_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BI_URL", raising=False)
    write(folder, postgres_target={"url_from": "BI_URL"})
    profile = load_profile("small")
    assert profile.postgres_target is not None
    assert profile.postgres_target.schema_of("small") == "small_marts"
    with pytest.raises(ProfileError, match="postgres_target reads BI_URL, and that variable is not set"):
        profile.resolve_postgres()
    monkeypatch.setenv("BI_URL", "postgresql://u:hunter2@h/d")
    assert profile.resolve_postgres() == "postgresql://u:hunter2@h/d"
    assert "hunter2" not in repr(profile) + profile.model_dump_json()
    write(folder, postgres_target={"connection": "bi", "schema": "sales"})
    assert load_profile("small").postgres_target.schema_of("small") == "sales"  # type: ignore[union-attr]


def test_placeholders_are_filled_in(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, channels={"file": {"url": "jsonl://localhost{workspace}/a.jsonl"}})
    monkeypatch.setenv("TIERING_DATA", "/exports")
    profile = load_profile("small")
    assert profile.resolve_location("erp") == f"sqlite:///{tmp_path}/var/small/erp.sqlite"
    assert profile.resolve_location("crm") == "/exports/crm"
    assert profile.resolve_channel("file") == f"jsonl://localhost{tmp_path}/var/small/a.jsonl"


def test_a_missing_data_folder_is_asked_for(folder: Path) -> None:
    write(folder)
    with pytest.raises(ProfileError) as caught:
        load_profile("small").resolve_location("crm")
    assert caught.value.problem == "profile small: source crm lies under {data}, and no data folder was given"
    assert caught.value.next_step == "say where the files are: make run PROFILE=small DATA=<folder>"
    assert load_profile("small").resolve_location("erp")
