"""Looking for private data in whatever leaves the warehouse: snapshots, reports, Data Docs, logs, XCom.

Two kinds of finds: a telephone number or e-mail address that a source has given (columns that its declaration calls
private, compared exactly), and text in the shape of a Chinese mobile number, identity number or e-mail address,
wherever it came from.
"""

from __future__ import annotations

import os
import re
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from customer_tiering.company.profile import Profile
from customer_tiering.publish.snapshot import DATABASE, MANIFEST, SCHEMA, mart_names
from customer_tiering.sql import quote
from customer_tiering.warehouse.connection import open_warehouse

# A digit, or a letter of a hexadecimal id, beside a number makes it a part of something else; so do decimals.
_BEFORE, _AFTER = r"(?<![0-9A-Fa-f])(?<!\d\.)", r"(?![0-9A-Za-z])(?!\.\d)"
_MOBILE = re.compile(rf"{_BEFORE}(?:(?:\+|00)?86[ -]?)?1[3-9]\d[ .-]?\d{{4}}[ .-]?\d{{4}}{_AFTER}")
_IDENTITY = re.compile(
    rf"{_BEFORE}[1-9]\d{{5}}(?:19|20)\d{{2}}(?:0\d|1[0-2])(?:[0-2]\d|3[01])\d{{3}}[0-9Xx](?![0-9A-Za-z])"
)
_EMAIL = re.compile(r"[A-Za-z0-9_.+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_NUMBERS = re.compile(rf"{_BEFORE}[+(]?\d[\d ().+-]{{5,}}\d{_AFTER}")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_GROUPS = 6  # digits of a number are written in at most so many groups
_SHORTEST_NUMBER = 7
# Pages carry libraries, whose licences name their authors.
_BUNDLED = {".html", ".js", ".css", ".svg"}
# The marts are read as tables; fonts and pictures hold no data.
_SKIPPED = {".parquet", ".duckdb", ".wal", ".png", ".ico", ".otf", ".ttf", ".eot", ".woff", ".woff2"}
_ROWS = 20_000


@dataclass(frozen=True)
class Finding:
    """Private data at a place: a file, a column of a mart, an XCom. ``shown`` tells it apart without giving it away."""

    place: str
    kind: str
    shown: str


@dataclass(frozen=True)
class Scan:
    """What was looked at (places, values known to be private) and what was found."""

    places: int
    known_values: int
    findings: list[Finding]


class Scanner:
    """Finds private data in text."""

    def __init__(self, known: Iterable[str]) -> None:
        values = {value.strip() for value in known}
        self._emails = {value.lower() for value in values if "@" in value}
        numbers = {_national(_digits(value)) for value in values if "@" not in value}
        self._numbers = {number for number in numbers if len(number) >= _SHORTEST_NUMBER}
        self._longest = max(map(len, self._numbers), default=0) + len("0086")

    def __len__(self) -> int:
        return len(self._emails) + len(self._numbers)

    def find(self, text: str, *, shapes_of_emails: bool = True) -> Iterator[tuple[str, str]]:
        """Kinds and masked values of what is private in ``text``."""
        text = _plain(text)
        for match in _NUMBERS.finditer(text):
            yield from (("telephone of a source", _masked(number)) for number in self._known_in(match[0]))
        for match in _EMAIL.finditer(text):
            if match[0].lower() in self._emails:
                yield "e-mail of a source", _masked(match[0])
            elif shapes_of_emails and not match[0].lower().endswith(("example.com", "example.org", "localhost")):
                yield "e-mail address", _masked(match[0])
        for match in _MOBILE.finditer(text):
            yield "mobile number", _masked(match[0])
        for match in _IDENTITY.finditer(text):
            if _is_identity_number(match[0]):
                yield "identity number", _masked(match[0])

    def _known_in(self, run: str) -> Iterator[str]:
        """Known numbers among digits that stand close together, each made of whole groups of them."""
        groups = re.findall(r"\d+", run)
        for first in range(len(groups)):
            number = ""
            for group in groups[first : first + _GROUPS]:
                number += group
                if len(number) > self._longest:
                    break
                if len(number) >= _SHORTEST_NUMBER and _national(number) in self._numbers:
                    yield number


def scan(profile: Profile, extra: Iterable[Path] = ()) -> Scan:
    """Look through everything that the company's nights have published, logged and passed on.

    ``extra`` are more files or folders. Raises ``TieringError`` when the warehouse cannot be read.
    """
    workspace = profile.workspace
    scanner = Scanner(known_values(profile))
    findings: list[Finding] = []
    places = 0
    for manifest in sorted([*workspace.published.glob(f"[0-9]*/{MANIFEST}"), *workspace.held.glob(f"*/{MANIFEST}")]):
        for place, text in _marts(manifest.parent):
            places += 1
            findings += [Finding(place, *found) for found in scanner.find(text)]
    for root in (workspace.published, workspace.held, workspace.reports, workspace.airflow_home / "logs", *extra):
        for path in [root] if root.is_file() else sorted(root.rglob("*")):
            if not path.is_file() or path.is_symlink() or path.suffix in _SKIPPED:
                continue
            places += 1
            bundled = path.suffix in _BUNDLED
            for text in _texts(path):
                findings += [Finding(str(path), *found) for found in scanner.find(text, shapes_of_emails=not bundled)]
    for place, text in _xcoms(profile):
        places += 1
        findings += [Finding(place, *found) for found in scanner.find(text)]
    return Scan(places, len(scanner), sorted(set(findings), key=lambda finding: (finding.place, finding.kind)))


def known_values(profile: Profile) -> set[str]:
    """Telephone numbers and e-mail addresses that the sources have given, whatever row version they stood in."""
    found: set[str] = set()
    with open_warehouse(profile.workspace) as connection:
        tables = {
            name
            for (name,) in connection.execute(
                "select table_name from information_schema.tables where table_schema = 'raw'"
            ).fetchall()
        }
        for source in profile.all_sources():
            for entity in source.entities:
                table = f"{source.name}__{entity.name}"
                columns = [column for column, kind in entity.pii.items() if kind in ("phone", "email")]
                for column in columns if table in tables else ():
                    values = connection.execute(
                        f"select distinct {quote(column)} from {quote('raw', table)}"
                    ).fetchall()
                    found.update(str(value) for (value,) in values if value is not None)
    return found


def _marts(folder: Path) -> Iterator[tuple[str, str]]:
    """Text columns of the marts of a snapshot, a bounded number of rows at a time."""
    with duckdb.connect(str(folder / DATABASE), read_only=True) as connection:
        for mart in mart_names(connection):
            cursor = connection.execute(f"select columns(c -> true)::varchar from {quote(SCHEMA, mart)}")
            names = [column[0] for column in cursor.description or []]
            while rows := cursor.fetchmany(_ROWS):
                for name, values in zip(names, zip(*rows, strict=True), strict=True):
                    text = "\n".join(value for value in values if value)
                    if text:
                        yield f"{folder.name}: {mart}.{name}", text


def _texts(path: Path) -> Iterator[str]:
    """The text of a file; of a workbook that of its parts."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith((".xml", ".rels")):
                    yield re.sub(r"<[^>]*>", "\n", archive.read(name).decode("utf-8", errors="replace"))
        return
    yield path.read_text(encoding="utf-8", errors="replace")


def _xcoms(profile: Profile) -> Iterator[tuple[str, str]]:
    """What tasks passed on, from Airflow's metadata database."""
    from sqlalchemy import create_engine, inspect, text

    local = profile.workspace.airflow_home / "airflow.db"
    url = os.environ.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN") or (f"sqlite:///{local}" if local.exists() else None)
    if url is None:
        return
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            if inspect(connection).has_table("xcom"):
                for task, key, value in connection.execute(text("select task_id, key, value from xcom")):
                    yield f"XCom {task}.{key}", str(value)
    finally:
        engine.dispose()


def _plain(text: str) -> str:
    """The text as a person reads it: escapes of JSON resolved, full-width forms as plain ones."""
    if "\\" in text:
        text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
        text = re.sub(r"\\[nrt]", " ", text)
    return unicodedata.normalize("NFKC", text)


def _national(number: str) -> str:
    """Digits of a number as dialled in China: without the country code, a landline with its 0."""
    match = re.fullmatch(r"(?:00)?86(?:(1[3-9]\d{9})|0?([1-9]\d{8,10}))", number)
    if match is None:
        return number
    return match[1] or f"0{match[2]}"


def _digits(value: str) -> str:
    return re.sub(r"\D", "", value)


def _masked(value: str) -> str:
    return f"{value[:2]}…{value[-2:]} ({len(value)} characters)"


def _is_identity_number(value: str) -> bool:
    """Whether the last character is the check digit of GB 11643."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(weight * int(digit) for weight, digit in zip(weights, value[:17], strict=True))
    return "10X98765432"[total % 11] == value[17].upper()
