"""Files of sources: every row comes as text, broken lines come as ``_malformed``, and nothing is lost."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from customer_tiering.errors import SourceError
from customer_tiering.extract import files
from customer_tiering.extract.landing import completed_loads, load_files
from customer_tiering.extract.pipeline import ExtractionResult, extract_source
from customer_tiering.sources.base import FILE_COLUMN, MALFORMED_COLUMN, ROW_COLUMN, Entity, Source


def entity(columns: Sequence[str] = ("order_no", "note"), **options: Any) -> Entity:
    return Entity(**({"name": "orders", "files": "orders-*.csv"} | options), columns=tuple(columns))


def source(*entities: Entity) -> Source:
    return Source("shop", "Shop", "商店", entities or (entity(),))


def write(path: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    raw = content.encode(encoding) if isinstance(content, str) else content
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def rows_of(path: Path, of: Entity) -> list[dict[str, Any]]:
    """Header check and rows, as extraction does them."""
    files.check_header(source(of), of, path)
    return [row for table in files.read_rows(source(of), of, path) for row in table.to_pylist()]


def values(rows: list[dict[str, Any]], of: Entity) -> list[tuple[Any, ...]]:
    return [tuple(row[column] for column in of.columns) for row in rows if row[MALFORMED_COLUMN] is None]


def malformed(rows: list[dict[str, Any]]) -> list[str]:
    return [row[MALFORMED_COLUMN] for row in rows if row[MALFORMED_COLUMN] is not None]


def refusal(path: Path, of: Entity) -> str:
    with pytest.raises(SourceError) as caught:
        rows_of(path, of)
    assert caught.value.next_step
    assert path.name in caught.value.problem
    assert "source shop, entity orders" in caught.value.problem
    return caught.value.problem


# --- CSV ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["orders-20240101.csv", "orders-20240101.csv.gz"])
def test_csv_and_gzip_come_as_text_with_file_and_row(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, "note,order_no,extra\nfirst,0012,x\n,1.50,y\n")
    assert rows_of(path, entity()) == [
        {"order_no": "0012", "note": "first", FILE_COLUMN: name, ROW_COLUMN: 1, MALFORMED_COLUMN: None},
        {"order_no": "1.50", "note": "", FILE_COLUMN: name, ROW_COLUMN: 2, MALFORMED_COLUMN: None},
    ]


def test_gb18030_with_chinese_headers(tmp_path: Path) -> None:
    of = entity(encoding="gb18030", headers={"order_no": "订单编号", "note": "备注"})
    path = write(tmp_path / "orders-1.csv", "订单编号,备注\nA1,汽车零部件㐀\nA2,坏,行\n", "gb18030")
    rows = rows_of(path, of)
    assert values(rows, of) == [("A1", "汽车零部件㐀")]
    assert malformed(rows) == ["A2,坏,行"]


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    path = write(tmp_path / "orders-1.csv", "order_no,note\n1,中\n", "utf-8-sig")
    assert values(rows_of(path, entity()), entity()) == [("1", "中")]


def test_quoted_newlines_quotes_and_delimiters_stay_in_their_value(tmp_path: Path) -> None:
    path = write(tmp_path / "orders-1.csv", 'order_no;note\r\n1;"two\nlines; ""quoted"""\r\n2;plain\r\n')
    of = entity(delimiter=";")
    assert values(rows_of(path, of), of) == [("1", 'two\nlines; "quoted"'), ("2", "plain")]


def test_malformed_lines_are_kept_as_text_and_row_numbers_run_on(tmp_path: Path) -> None:
    path = write(tmp_path / "orders-1.csv", "order_no,note\n1\n2,x\n3,x,y\n4,x\n")
    rows = rows_of(path, entity())
    assert values(rows, entity()) == [("2", "x"), ("4", "x")]
    assert malformed(rows) == ["1", "3,x,y"]
    assert all(row["order_no"] is row["note"] is None for row in rows if row[MALFORMED_COLUMN])
    assert [row[ROW_COLUMN] for row in rows] == [1, 2, 3, 4]


def test_a_file_of_malformed_lines_only(tmp_path: Path) -> None:
    path = write(tmp_path / "orders-1.csv", "order_no,note\n1\n2\n")
    assert malformed(rows_of(path, entity())) == ["1", "2"]


cells = st.text(alphabet='ab中,"\n x', max_size=6)


@given(lines=st.lists(st.one_of(st.tuples(cells, cells), st.integers(1, 5)), max_size=30), block=st.integers(64, 400))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_and_malformed_lines_are_all_lines(
    lines: list[tuple[str, str] | int], block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the lines and wherever a block ends; a number stands for a line of so many fields."""

    def line(content: tuple[str, str] | int) -> str:
        if isinstance(content, int):
            return ",".join(["x"] * (content if content != 2 else 3))
        return ",".join('"' + cell.replace('"', '""') + '"' for cell in content)

    monkeypatch.setattr(files, "_CSV_BLOCK_BYTES", block)
    path = write(tmp_path / "orders-1.csv", "\n".join(["order_no,note", *map(line, lines)]) + "\n")
    rows = rows_of(path, entity())
    good = [content for content in lines if isinstance(content, tuple)]
    assert values(rows, entity()) == good
    assert sorted(malformed(rows)) == sorted(line(content) for content in lines if isinstance(content, int))
    assert [row[ROW_COLUMN] for row in rows] == list(range(1, len(lines) + 1))


def test_a_line_longer_than_a_megabyte(tmp_path: Path) -> None:
    long = "x" * (2 << 20)
    path = write(tmp_path / "orders-1.csv", f"order_no,note\n1,{long}\n2,short\n")
    assert values(rows_of(path, entity()), entity()) == [("1", long), ("2", "short")]


def test_a_header_without_rows_is_an_empty_batch(tmp_path: Path) -> None:
    assert rows_of(write(tmp_path / "orders-1.csv", "order_no,note\n"), entity()) == []


@pytest.mark.parametrize("name", ["orders-1.csv", "orders-1.csv.gz"])
def test_an_empty_file_is_refused(name: str, tmp_path: Path) -> None:
    assert "is empty, without even a header" in refusal(write(tmp_path / name, ""), entity())


def test_a_missing_column_is_named_as_it_stands_in_the_file(tmp_path: Path) -> None:
    of = entity(headers={"note": "备注"})
    problem = refusal(write(tmp_path / "orders-1.csv", "order_no,remark\n1,x\n"), of)
    assert "has no column 备注 (it has: order_no, remark)" in problem


def test_an_older_file_without_a_column_is_named_while_reading(tmp_path: Path) -> None:
    path = write(tmp_path / "orders-1.csv", "order_no\n1\n")
    with pytest.raises(SourceError, match=r"orders-1\.csv has no column note"):
        list(files.read_rows(source(), entity(), path))


@pytest.mark.parametrize("name", ["orders-1.csv", "orders-1.csv.gz"])
def test_an_optional_column_may_be_absent(name: str, tmp_path: Path) -> None:
    """An export from before the column was introduced: its values are missing; a declared one is still needed."""
    of = entity(("order_no", "note", "remark"), optional=("remark",))
    old, new = "note,order_no\nx,1\n", "order_no,note,remark\n2,y,z\n"
    files.check_header(source(of), of, write(tmp_path / name, old))
    assert values(rows_of(tmp_path / name, of), of) == [("1", "x", None)]
    assert values(rows_of(write(tmp_path / name, new), of), of) == [("2", "y", "z")]
    broken = write(tmp_path / name, "order_no,remark\n1,z\n")
    assert "has no column note" in refusal(broken, of)
    with pytest.raises(SourceError, match="note"):
        list(files.read_rows(source(of), of, broken))


def test_only_columns_of_files_are_optional() -> None:
    with pytest.raises(ValueError, match=r"\['remark'\] are not among its columns"):
        entity(optional=("remark",))
    with pytest.raises(ValueError, match="only files may lack columns"):
        entity(table="orders", files=None, cursor="order_no", optional=("note",))


def test_a_truncated_gzip_is_refused(tmp_path: Path) -> None:
    content = "order_no,note\n" + "".join(f"{n},{n * 7919 % 9973}\n" for n in range(20_000))
    path = write(tmp_path / "orders-1.csv.gz", content)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "cannot be read as csv" in refusal(path, entity())


def test_a_gzip_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "orders-1.csv.gz"
    path.write_text("order_no,note\n")
    assert "cannot be read as csv" in refusal(path, entity())


@pytest.mark.parametrize(
    ("content", "written", "declared"),
    [
        ("order_no,note\n1,中文\n", "gb18030", "utf-8"),
        ("order_no,note,备注\n1,x,y\n", "gb18030", "utf-8"),
        ("order_no,note\n1,\udcff\udcff\n2,\udcff\n", "utf-8:surrogateescape", "gb18030"),
    ],
    ids=["value", "header", "not gb18030"],
)
def test_a_wrong_encoding_is_refused(content: str, written: str, declared: str, tmp_path: Path) -> None:
    codec, _, errors = written.partition(":")
    path = write(tmp_path / "orders-1.csv", content.encode(codec, errors or "strict"))
    assert f"cannot be read as csv in {declared}" in refusal(path, entity(encoding=declared))


def test_another_encoding_is_named_with_how_to_declare_it(tmp_path: Path) -> None:
    text = "order_no,note\n1,中文\n2,北京\n"
    problem = refusal(write(tmp_path / "orders-1.csv", text, "gb18030"), entity())
    assert "line 2 is not utf-8, nor are 1 others; it is valid gb18030, so declare encoding='gb18030'" in problem
    assert "it is valid utf-16" in refusal(write(tmp_path / "orders-1.csv", text, "utf-16"), entity())
    problem = refusal(write(tmp_path / "orders-1.csv", text), entity(encoding="gb18030"))
    assert "utf-8 with Chinese characters, so declare encoding='utf-8'" in problem
    nothing = write(tmp_path / "orders-1.csv", b"order_no,note\n1,\xff\xff\n2,\xff\n")
    assert "no known encoding fits" in refusal(nothing, entity())


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "jsonl"])
def test_a_broken_byte_costs_its_row_only(suffix: str, tmp_path: Path) -> None:
    kind = "jsonl" if suffix == "jsonl" else "csv"
    of = entity(format=kind, files=f"orders-*.{suffix}")
    lines = [(str(number), "上海") for number in range(1, 6)]
    if kind == "csv":
        text = "order_no,note\n" + "".join(f"{number},{note}\n" for number, note in lines)
    else:
        text = "".join(f'{{"order_no": "{number}", "note": "{note}"}}\n' for number, note in lines)
    good = text.encode()
    at = good.index("上".encode(), good.index(b"3"))
    rows = rows_of(write(tmp_path / f"orders-1.{suffix}", good[: at + 1] + b"\xff" + good[at + 2 :]), of)
    assert values(rows, of) == [line for line in lines if line[0] != "3"]
    (lost,) = malformed(rows)
    assert "3" in lost


@pytest.mark.parametrize("kind", ["csv", "excel"])
def test_a_column_that_comes_twice_is_refused(kind: str, tmp_path: Path) -> None:
    header, row = ("order_no", "note", "remark", "note"), ("1", "a", "b", "c")
    if kind == "csv":
        path = write(tmp_path / "orders-1.csv", f"{','.join(header)}\n{','.join(row)}\n")
        assert "orders-1.csv has the column note twice" in refusal(path, entity())
    else:
        assert "has the column note twice" in refusal(workbook(tmp_path / "orders-1.xlsx", header, row), excel())
    doubled = write(tmp_path / "orders-1.csv", "order_no,note,other,other\n1,a,b,c\n")
    assert values(rows_of(doubled, entity()), entity()) == [("1", "a")], "not a declared column: it does not matter"


# --- JSON lines ---------------------------------------------------------------------------------------------


def jsonl(**options: Any) -> Entity:
    return entity(**({"format": "jsonl", "files": "orders-*.jsonl"} | options))


def test_json_lines_come_as_text(tmp_path: Path) -> None:
    lines = [
        '{"order_no": 7, "note": "中\\n\\u6587", "extra": 1}',
        '{"note": null, "order_no": true}',
        '{"order_no": 12345678901234567890}',
        '{"order_no": {"a": [1, "x"]}, "note": []}',
        "",
        '{"order_no": "last", "note": ""}',
    ]
    rows = rows_of(write(tmp_path / "orders-1.jsonl", "\r\n".join(lines)), jsonl())
    assert values(rows, jsonl()) == [
        ("7", "中\n文"),
        ("true", None),
        ("12345678901234567890", None),
        ('{"a":[1,"x"]}', "[]"),
        ("last", ""),
    ]
    assert [row[ROW_COLUMN] for row in rows] == [1, 2, 3, 4, 5]


def test_lines_that_are_no_json_object_are_malformed(tmp_path: Path) -> None:
    broken = ['{"order_no": 1', "[1, 2]", '"text"', "17", "null", '{"order_no": 1} {"order_no": 2}', "plain"]
    lines = [broken[0], '{"order_no": 1, "note": "x"}', *broken[1:]]
    rows = rows_of(write(tmp_path / "orders-1.jsonl", "\n".join(lines) + "\n"), jsonl())
    assert values(rows, jsonl()) == [("1", "x")]
    assert malformed(rows) == broken
    assert [row[ROW_COLUMN] for row in rows] == list(range(1, len(lines) + 1))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(
    documents=st.lists(st.fixed_dictionaries({}, optional={"order_no": json_values, "note": json_values}), max_size=20),
    cut=st.lists(st.integers(0, 19), max_size=5),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_json_line_is_lost(documents: list[dict[str, Any]], cut: list[int], tmp_path: Path) -> None:
    lines = [json.dumps(document, ensure_ascii=bool(number % 2)) for number, document in enumerate(documents)]
    lines = [line[:-1] if number in cut else line for number, line in enumerate(lines)]
    path = write(tmp_path / "orders-1.jsonl", "\n".join(['{"order_no": 0, "note": 0}', *lines]))
    rows = rows_of(path, jsonl())[1:]
    assert len(rows) == len(documents)
    for number, (row, document) in enumerate(zip(rows, documents, strict=True)):
        if number in cut:
            assert row[MALFORMED_COLUMN] == lines[number].strip()
            continue
        assert row[MALFORMED_COLUMN] is None
        for column in ("order_no", "note"):
            value = document.get(column)
            read = row[column]
            assert read == value if isinstance(value, str) else json.loads(read or "null") == value


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_row_numbers_run_on_over_batches(batch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_JSON_LINES_PER_BATCH", batch)
    lines = "".join(f'{{"order_no": {n}, "note": "x"}}\n' for n in range(10))
    rows = rows_of(write(tmp_path / "orders-1.jsonl", lines), jsonl())
    assert [(row["order_no"], row[ROW_COLUMN]) for row in rows] == [(str(n), n + 1) for n in range(10)]


def test_a_byte_order_mark_does_not_break_the_first_json_line(tmp_path: Path) -> None:
    path = write(tmp_path / "orders-1.jsonl", '{"order_no": 1, "note": "x"}\n', "utf-8-sig")
    assert values(rows_of(path, jsonl()), jsonl()) == [("1", "x")]


def test_json_lines_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "orders-1.jsonl"
    assert "is empty" in refusal(write(path, "\n \n"), jsonl())
    assert "has no column note (it has: order_no)" in refusal(write(path, '{"order_no": 1}\n'), jsonl())
    assert "cannot be read as jsonl in utf-8" in refusal(write(path, '{"order_no": "中文"}', "gb18030"), jsonl())


# --- Excel --------------------------------------------------------------------------------------------------


def excel(**options: Any) -> Entity:
    return entity(**({"format": "excel", "files": "orders-*.xlsx", "sheet": "data"} | options))


def workbook(path: Path, *rows: Sequence[Any], sheet: str = "data") -> Path:
    with xlsxwriter.Workbook(str(path)) as book:
        formats = {
            kind: book.add_format({"num_format": text})
            for kind, text in ((datetime, "yyyy-mm-dd hh:mm:ss"), (date, "yyyy-mm-dd"), (time, "hh:mm:ss"))
        }
        page = book.add_worksheet(sheet)
        for number, row in enumerate(rows):
            for column, value in enumerate(row):
                if type(value) in formats:
                    page.write_datetime(number, column, value, formats[type(value)])
                elif value is not None:
                    page.write(number, column, value)
    return path


def test_cells_of_a_sheet_come_as_text(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "orders-1.xlsx",
        ("note", "order_no", "extra"),
        ("whole", 12, "x"),
        ("float", 1.5),
        ("text of digits", "0012"),
        ("date", date(2024, 2, 29)),
        ("moment", datetime(2024, 1, 2, 3, 4, 5)),
        ("time of day", time(8, 30)),
        ("large", 1e15),
        ("flag", True),
        (None, "note is empty"),
        ("number is empty", None),
    )
    rows = rows_of(path, excel())
    assert values(rows, excel()) == [
        ("12", "whole"),
        ("1.5", "float"),
        ("0012", "text of digits"),
        ("2024-02-29", "date"),
        ("2024-01-02 03:04:05", "moment"),
        ("08:30:00", "time of day"),
        ("1000000000000000", "large"),
        ("1", "flag"),
        ("note is empty", ""),
        ("", "number is empty"),
    ]
    assert [row[ROW_COLUMN] for row in rows] == list(range(1, 11))


def test_an_error_in_a_cell_is_no_empty_cell(tmp_path: Path) -> None:
    path = tmp_path / "orders-1.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        page = book.add_worksheet("data")
        page.write_row(1, 1, ("order_no", "note", "unused"))
        for line, (number, note, unused) in enumerate(
            (("1", "a", "x"), ("2", "#DIV/0!", "x"), ("3", "c", "#REF!"), ("4", "#N/A", "x")), start=2
        ):
            page.write_string(line, 1, number)
            for column, value in ((2, note), (3, unused)):
                if value.startswith("#"):
                    page.write_formula(line, column, "=1/0", None, value)
                else:
                    page.write_string(line, column, value)
    rows = rows_of(path, excel())
    assert values(rows, excel()) == [("1", "a"), ("3", "c")]
    assert malformed(rows) == ["2,#DIV/0!,x", "4,#N/A,x"]
    assert [row[ROW_COLUMN] for row in rows] == [1, 2, 3, 4]


def test_a_cell_merged_over_rows_counts_for_each(tmp_path: Path) -> None:
    path = tmp_path / "orders-1.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        page = book.add_worksheet("data")
        page.write_row(2, 1, ("order_no", "note"))
        page.write_column(3, 1, ("1", "2", "3", "4"))
        page.merge_range(3, 2, 5, 2, "north")
        page.write_string(6, 2, "south")
    assert values(rows_of(path, excel()), excel()) == [("1", "north"), ("2", "north"), ("3", "north"), ("4", "south")]


def test_a_sheet_with_chinese_headers_and_blanks(tmp_path: Path) -> None:
    of = excel(headers={"order_no": "订单编号"})
    path = workbook(tmp_path / "orders-1.xlsx", (" 订单编号 ", "note"), ("A1", "x"))
    assert values(rows_of(path, of), of) == [("A1", "x")]


def test_an_optional_column_of_a_sheet_may_be_absent(tmp_path: Path) -> None:
    of = excel(columns=("order_no", "note", "remark"), optional=("remark",))
    path = workbook(tmp_path / "orders-1.xlsx", ("note", "order_no"), ("x", "A1"), ("y", "A2"))
    files.check_header(source(of), of, path)
    assert values(rows_of(path, of), of) == [("A1", "x", None), ("A2", "y", None)]


def test_a_sheet_with_a_header_only(tmp_path: Path) -> None:
    assert rows_of(workbook(tmp_path / "orders-1.xlsx", ("order_no", "note")), excel()) == []


def test_sheets_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "orders-1.xlsx"
    assert "is empty" in refusal(workbook(path), excel())
    assert "has no column note" in refusal(workbook(path, ("order_no",), (1,)), excel())
    assert "cannot be read as excel" in refusal(workbook(path, ("order_no", "note"), sheet="other"), excel())
    assert "cannot be read as excel" in refusal(write(path, "no workbook"), excel())
    with pytest.raises(SourceError, match="note"):
        list(files.read_rows(source(excel()), excel(), workbook(path, ("order_no",), (1,))))


# --- which files are read -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("orders-20240229.csv", date(2024, 2, 29)),
        ("orders-2024-02-29.csv", date(2024, 2, 29)),
        ("2024-02-29.csv.gz", date(2024, 2, 29)),
        ("orders-20240229123000.csv", date(2024, 2, 29)),
        ("orders-20240229T1230.csv", date(2024, 2, 29)),
        ("orders-202402291.csv", None),
        ("orders-20230229.csv", None),
        ("orders-120240229.csv", None),
        ("orders.csv", None),
    ],
)
def test_the_day_of_a_file_is_in_its_name(name: str, day: date | None) -> None:
    assert files.file_day(Path(name)) == day


def test_files_come_by_day_and_none_after_the_as_of_day(tmp_path: Path) -> None:
    for name in ("orders-20240103.csv", "orders-2024-01-02.csv", "orders-all.csv", "orders-20240104.csv", "x.csv"):
        write(tmp_path / name, "")
    found = files.entity_files(source(), entity(), tmp_path, date(2024, 1, 3))
    assert [path.name for path in found] == ["orders-all.csv", "orders-2024-01-02.csv", "orders-20240103.csv"]
    assert len(files.entity_files(source(), entity(), tmp_path)) == 4


def test_companions_of_files_are_no_deliveries(tmp_path: Path) -> None:
    for name in ("a.csv", "._a.csv", "~$a.csv", ".a.csv"):
        write(tmp_path / name, "")
    found = files.entity_files(source(), entity(files="*.csv"), tmp_path)
    assert [path.name for path in found] == ["a.csv"]


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"the folder .*/nowhere does not exist"):
        files.entity_files(source(), entity(), tmp_path / "nowhere")


def test_a_file_counts_as_changed_by_its_content(tmp_path: Path) -> None:
    path = write(tmp_path / "orders-1.csv", "order_no,note\n1,x\n")
    known = files.changed_state(path, None)
    assert known is not None
    assert files.changed_state(path, known) is None
    os.utime(path, ns=(1, 1))
    assert files.changed_state(path, known) is None, "touched, but equal"
    write(path, "order_no,note\n1,y\n")
    changed = files.changed_state(path, known)
    assert changed is not None
    assert changed.sha256 != known.sha256


# --- extraction by dlt --------------------------------------------------------------------------------------


def extract(folder: Path, root: Path, as_of: date, *entities: Entity) -> ExtractionResult:
    return extract_source(source(*entities), str(folder), root / "landing", root / "landing/.dlt", as_of)


def landed(root: Path, of: Entity) -> list[dict[str, Any]]:
    """Every landed row, in the order of loads and rows."""
    rows: list[dict[str, Any]] = []
    for load in completed_loads(root / "landing", "shop"):
        of_load = [row for path in load_files(root / "landing", of, load) for row in pq.read_table(path).to_pylist()]
        rows += sorted(of_load, key=lambda row: row[ROW_COLUMN])
    return rows


def test_nights_read_what_is_new_or_changed_and_nothing_twice(tmp_path: Path) -> None:
    exports = tmp_path / "exports"
    exports.mkdir()
    first = write(exports / "orders-20240101.csv", "order_no,note\n1,a\n2,a\nbroken\n")
    write(exports / "orders-20240102.csv", "order_no,note\n3,a\n")
    write(exports / "orders-20240109.csv", "order_no,note\n9,a\n")

    result = extract(exports, tmp_path, date(2024, 1, 2))
    assert result.rows == {"orders": 4}
    rows = landed(tmp_path, entity())
    assert [row["order_no"] for row in rows] == ["1", "2", None, "3"]
    assert [row[ROW_COLUMN] for row in rows] == [1, 2, 3, 4], "numbers run on over the files of a load"
    assert [row[FILE_COLUMN] for row in rows] == [first.name] * 3 + ["orders-20240102.csv"]
    assert [row[MALFORMED_COLUMN] for row in rows] == [None, None, "broken", None]
    assert {row["_dlt_load_id"] for row in rows} == set(result.load_ids)

    os.utime(first, ns=(1, 1))
    assert extract(exports, tmp_path, date(2024, 1, 2)).rows == {"orders": 0}, "touched, but equal"

    write(first, "order_no,note\n1,b\n")
    assert extract(exports, tmp_path, date(2024, 1, 3)).rows == {"orders": 1}
    assert extract(exports, tmp_path, date(2024, 1, 9)).rows == {"orders": 1}
    assert [(row["order_no"], row["note"]) for row in landed(tmp_path, entity())] == [
        ("1", "a"), ("2", "a"), (None, None), ("3", "a"), ("1", "b"), ("9", "a"),
    ]  # fmt: skip


def test_a_json_key_that_is_left_out_is_a_missing_value(tmp_path: Path) -> None:
    """Only a key that no file ever had is an error."""
    exports = tmp_path / "exports"
    exports.mkdir()
    of = jsonl()
    write(exports / "orders-20240101.jsonl", '{"order_no": "1"}\n')
    with pytest.raises(SourceError, match="has no column note"):
        extract(exports, tmp_path, date(2024, 1, 3), of)
    write(exports / "orders-20240101.jsonl", '{"order_no": "1", "note": "a"}\n')
    write(exports / "orders-20240102.jsonl", '{"order_no": "2"}\n')
    extract(exports, tmp_path, date(2024, 1, 3), of)
    assert [(row["order_no"], row["note"]) for row in landed(tmp_path, of)] == [("1", "a"), ("2", None)]


def test_one_bad_file_lands_nothing_and_the_corrected_file_lands_all(tmp_path: Path) -> None:
    exports = tmp_path / "exports"
    exports.mkdir()
    write(exports / "orders-20240101.csv", "order_no,note\n1,a\n")
    bad = write(exports / "orders-20240102.csv", "order_no\n2\n")
    write(exports / "orders-20240103.csv", "order_no,note\n3,a\n")
    with pytest.raises(SourceError, match=r"entity orders: orders-20240102\.csv has no column note"):
        extract(exports, tmp_path, date(2024, 1, 3))
    assert landed(tmp_path, entity()) == []
    write(bad, "order_no,note\n2,a\n")
    assert extract(exports, tmp_path, date(2024, 1, 3)).rows == {"orders": 3}
    assert [row["order_no"] for row in landed(tmp_path, entity())] == ["1", "2", "3"]


def test_a_required_entity_without_files_says_when_the_first_is_due(tmp_path: Path) -> None:
    write(tmp_path / "orders-20240105.csv", "order_no,note\n1,a\n")
    with pytest.raises(SourceError) as caught:
        extract(tmp_path, tmp_path, date(2024, 1, 4))
    assert "no file orders-*.csv up to 2024-01-04" in caught.value.problem
    assert "the first is of 2024-01-05" in caught.value.problem
    assert caught.value.next_step == "choose a later AS_OF"


def test_a_required_entity_with_headers_only_is_refused_and_an_optional_one_is_not(tmp_path: Path) -> None:
    exports = tmp_path / "exports"
    exports.mkdir()
    write(exports / "orders-20240101.csv", "order_no,note\n")
    with pytest.raises(SourceError, match="entity orders: it is empty; not one row was ever landed"):
        extract(exports, tmp_path / "a", date(2024, 1, 1))
    assert extract(exports, tmp_path / "b", date(2024, 1, 1), entity(required=False)).rows == {"orders": 0}
