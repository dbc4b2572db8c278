"""The rules that an input table brings: every column can be read, is there, is plausible, refers to something.

They come from the declaration of the table and from what the source maps, so no column of any source is without
them. ``expectations/<input table>.yml`` adds rules of judgement (outliers, order of dates) for every source of the
table, ``expectations/<source>/<input table>.yml`` those of one source.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from customer_tiering.gate.expectations.values import TEXT_PREFIX
from customer_tiering.gate.suites import OnFailure, Rule, Suite, load_suite
from customer_tiering.inputs.mapping import MappedEntity, MappedSource
from customer_tiering.inputs.tables import Column, spoken_levels
from customer_tiering.sources.base import MALFORMED_COLUMN

# The night is held by it when a delivery is bad as a whole.
HELD_RULE = "delivery_usable"


def text_column(column: str) -> str:
    """The column of a batch that holds the text from which ``column`` was read."""
    return f"{TEXT_PREFIX}{column}"


def input_suite(source: MappedSource, entity: MappedEntity, folder: Path) -> Suite:
    """All rules of an input table of a source, those of ``folder`` included. Raises ``SuiteError``."""
    rules = [*_row_rules(source, entity), *_column_rules(source, entity), *_table_rules(source, entity)]
    for path in (folder / f"{entity.name}.yml", folder / source.name / f"{entity.name}.yml"):
        rules += _rules_of_judgement(source, entity, path)
    return Suite(source=source.name, entity=entity.name, expectations=tuple(rules))


class _Builder:
    """Rules of one entity."""

    def __init__(self, source: MappedSource, entity: MappedEntity) -> None:
        self.prefix = f"{source.name}.{entity.name}"

    def rule(
        self, name: str, kind: str, kwargs: dict[str, Any], on_failure: OnFailure, en: str, zh: str, **meta: Any
    ) -> Rule:
        severity = "critical" if on_failure in ("quarantine", "block") else "warning"
        return Rule.model_validate(
            {
                "rule": f"{self.prefix}.{name}",
                "type": kind,
                "kwargs": kwargs,
                "severity": severity,
                "meta": {"on_failure": on_failure, "reason_en": en, "reason_zh": zh} | meta,
            }
        )


def _row_rules(source: MappedSource, entity: MappedEntity) -> list[Rule]:
    build = _Builder(source, entity)
    if entity.files is None:
        return []
    return [
        build.rule(
            "row_well_formed",
            "expect_column_values_to_be_null",
            {"column": MALFORMED_COLUMN},
            "quarantine",
            "the line cannot be read, does not have the expected fields, or is a total",
            "该行无法读取、字段数不符,或是合计行",
        )
    ]


def _column_rules(source: MappedSource, entity: MappedEntity) -> list[Rule]:
    build, mapped = _Builder(source, entity), entity.mapped
    references = dict(mapped.references())
    rules: list[Rule] = []
    for name in entity.fields:
        column = mapped.declared.column(name)
        needed = column.required or name in entity.key
        en, zh = column.label_en.lower(), column.label_zh
        if needed:
            rules.append(
                build.rule(
                    f"{name}_present",
                    "expect_column_values_to_not_be_null",
                    {"column": text_column(name)},
                    "quarantine",
                    f"the {en} is missing",
                    f"缺少{zh}",
                )
            )
        if column.type != "text":
            rules.append(_readable(build, entity, column))
        if column.is_time:
            rules.append(_plausible(build, entity, column))
        if column.min is not None or column.max is not None:
            bounds = {
                key: value for key, value in (("min_value", column.min), ("max_value", column.max)) if value is not None
            }
            span = " to ".join(f"{value:g}" for value in bounds.values())
            rules.append(
                build.rule(
                    f"{name}_range",
                    "expect_column_values_to_be_number",
                    {"column": name, **bounds},
                    "quarantine",
                    f"the {en} lies {'outside' if len(bounds) == 2 else 'below'} {span}",
                    f"{zh}超出范围",
                )
            )
        if column.max_length is not None:
            rules.append(
                build.rule(
                    f"{name}_length",
                    "expect_no_rows_from_query",
                    {
                        "unexpected_rows_query": f'select _row_id from {{batch}} where length("{name}") > '
                        f'{column.max_length} or strlen("{name}") - strlen(replace("{name}", chr(10), \'\')) > 2'
                    },
                    "quarantine",
                    f"the {en} is longer than any real one: a stray quotation mark may have swallowed rows",
                    f"{zh}过长:可能有引号错位,吞掉了后面的行",
                )
            )
        if name in references:
            parent = references[name]
            key = "customer_id" if parent == "customers" else f"{parent.rstrip('s')}_id"
            rules.append(
                build.rule(
                    f"{name}_exists",
                    "expect_column_values_to_reference",
                    {"column": name, "referenced_table": f"raw.{source.name}__{parent}", "referenced_column": key},
                    "quarantine",
                    f"the {en} is unknown or was not accepted",
                    f"{zh}不存在或未被接受",
                )
            )
    return rules


def _readable(build: _Builder, entity: MappedEntity, column: Column) -> Rule:
    en, zh = column.label_en.lower(), column.label_zh
    on_failure: OnFailure = (
        "quarantine" if column.when_unreadable == "quarantine" or column.name in entity.key else "repair"
    )
    if column.levels:
        reasons = (
            f"the {en} is unknown; known are {', '.join(column.levels)}",
            f"{zh}无法识别;可用:{spoken_levels(column)}",
        )
    elif column.is_time and not entity.mapped.column_mapping(column.name).formats:
        reasons = (
            f"the {en} cannot be read as a date; declare its format in the mapping (formats) if it has one",
            f"{zh}不是可识别的日期;若有固定格式,请在映射中声明 formats",
        )
    else:
        reasons = (f"the {en} cannot be read as {column.kind.name}", f"{zh}无法识别")
    kept = "" if on_failure == "quarantine" else "; the row counts without it"
    return build.rule(
        f"{column.name}_readable",
        "expect_column_values_to_be_readable",
        {"column": text_column(column.name)},
        on_failure,
        reasons[0] + kept,
        reasons[1],
    )


def _plausible(build: _Builder, entity: MappedEntity, column: Column) -> Rule:
    en, zh = column.label_en.lower(), column.label_zh
    kept_out = column.required or column.name in (*entity.key, entity.version)
    earliest = entity.mapped.earliest_day(column.name)
    return build.rule(
        f"{column.name}_plausible",
        "expect_column_values_to_be_plausible",
        {"column": text_column(column.name)},
        "quarantine" if kept_out else "repair",
        f"the {en} lies before {earliest} or in the future: a placeholder or a mistake"
        + ("" if kept_out else "; the row counts without it"),
        f"{zh}早于 {earliest} 或在未来:占位或录入错误",
    )


def _table_rules(source: MappedSource, entity: MappedEntity) -> list[Rule]:
    build, declared, mapping = _Builder(source, entity), entity.mapped.declared, entity.mapped.mapping
    unique = [*entity.key, *([entity.version] if entity.version and entity.version not in entity.key else [])]
    thing_en, thing_zh = declared.label_en.lower(), declared.label_zh
    rules = [
        build.rule(
            "key_unique",
            "expect_column_values_to_be_unique" if len(unique) == 1 else "expect_compound_columns_to_be_unique",
            {"column": unique[0]} if len(unique) == 1 else {"column_list": unique},
            "repair",
            "the same version of a record came twice; the later one counts",
            "同一版本的记录重复,以后到者为准",
        ),
        build.rule(
            "volume_usual",
            "expect_volume_like_recent_nights",
            {"as_of_date": {"$PARAMETER": "as_of_date"}},
            "warn",
            f"the number of rows of {thing_en} is unlike that of recent nights",
            f"{thing_zh}数据量与近期差异过大",
        ),
    ]
    column = entity.version or next((item.name for item in declared.columns if item.is_time and item.past), None)
    if mapping.fresh_days and column in entity.fields:
        rules.append(
            build.rule(
                "fresh",
                "expect_newest_value_to_be_recent",
                {"column": column, "as_of_date": {"$PARAMETER": "as_of_date"}, "max_age_days": mapping.fresh_days},
                "warn",
                f"no {thing_en} have come for long",
                f"{thing_zh}长时间没有更新",
            )
        )
    return rules


def _rules_of_judgement(source: MappedSource, entity: MappedEntity, path: Path) -> list[Rule]:
    """The rules of a file, as far as the source maps what they name or need."""
    if not path.is_file():
        return []
    mapped = {*entity.fields, *(f"table.{name}" for name in entity.mapped.sources_of_table), MALFORMED_COLUMN}
    rules = load_suite(path, source.name, entity.name).expectations
    return [
        rule for rule in rules if {part.removeprefix(TEXT_PREFIX) for part in (*rule.columns, *rule.needs)} <= mapped
    ]
