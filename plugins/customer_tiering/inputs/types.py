"""Types of input columns: how a text of each is read in SQL, and which texts it refuses.

A type is one thing: the same reader fills the accepted value and decides whether the text could be read, so a text
that turns to null without a rule having failed is impossible. Forms that can mean one thing only are read; where a
text could mean two things (``05/06/2024``, ``1.234,56``, an Excel serial), the mapping has to declare the form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from customer_tiering.sql import literal

_BLANKS = "\u00a0\u3000\ufeff\u2007\u202f\t\r\n"
_WIDE = "".join(chr(code + 0xFEE0) for code in range(33, 127))
_PLAIN = "".join(chr(code) for code in range(33, 127))

# A number as Excel shortens it: digits are lost, so it names nothing and nobody.
_SCIENTIFIC = r"[0-9]+([.,][0-9]+[eE][+-]?|[eE][+])[0-9]+"

_DIGITS = r"[0-9]{1,3}(?:,[0-9]{3})+(?:[.][0-9]+)?|[0-9]+(?:[.][0-9]+)?|[.][0-9]+"
_CURRENCY_SIGN = r"(?:[¥￥$€£]|CNY|RMB|USD|EUR|GBP|HKD|元)"
_AMOUNT = rf"^(-?)[+]? *{_CURRENCY_SIGN}? *(-?)({_DIGITS}) *{_CURRENCY_SIGN}?$"
_ACCOUNTING = rf"^[(] *{_CURRENCY_SIGN}? *({_DIGITS}) *{_CURRENCY_SIGN}?[)]$"
_TEN_THOUSANDS = rf"^(-?) *{_CURRENCY_SIGN}? *({_DIGITS}) *万 *{_CURRENCY_SIGN}?$"
_PERCENT = r"^(-?[0-9]+(?:[.][0-9]+)?) *%$"

_MINUTE = r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}"
_ZONED = rf"{_MINUTE}(:[0-9]{{2}}([.][0-9]{{1,9}})?)? ?([Zz]|[+-][0-9]{{2}}(:?[0-9]{{2}})?)"
_FRACTION = rf"{_MINUTE}:[0-9]{{2}}[.,][0-9]{{1,9}}"
# Dates that say where the year is, so that day and month cannot be taken for each other.
_YEAR_FIRST = r"[1-9][0-9]{3}([-/.年])[0-9]{1,2}([-/.月])[0-9]{1,2}日?([ T]+[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?)?"
_COMPACT = r"[12][0-9]{7}|[12][0-9]{13}"
EXCEL_SERIAL = "excel"
"""A declared date form: days since 1899-12-30, as Excel stores dates."""

TRUE = ("1", "true", "t", "yes", "y", "on", "是", "有", "对", "真", "√", "✓", "1.0")
FALSE = ("0", "false", "f", "no", "n", "off", "否", "无", "没有", "错", "假", "×", "✗", "0.0")

CURRENCY_NAMES = {
    "RMB": "CNY",
    "人民币": "CNY",
    "¥": "CNY",
    "元": "CNY",
    "美元": "USD",
    "$": "USD",
    "US$": "USD",
    "欧元": "EUR",
    "€": "EUR",
    "英镑": "GBP",
    "£": "GBP",
    "港币": "HKD",
    "港元": "HKD",
    "日元": "JPY",
}


@dataclass(frozen=True)
class Form:
    """What a mapping declares about the texts of a column: date formats (strptime, or ``excel``), the decimal sign,
    the time zone that times without an offset are in, and the zone that days are counted in."""

    formats: tuple[str, ...] = ()
    decimal: str = "."
    zone: str | None = None
    business_zone: str | None = None


PLAIN_FORM = Form()


@dataclass(frozen=True)
class ColumnType:
    """A type. ``read`` gives SQL of the typed value of a text (SQL, trimmed, never ''); null when it cannot be read."""

    name: str
    sql_type: str
    read: Callable[[str, Form], str]
    meaning: str
    refused: tuple[str, ...]
    """Texts that the type must refuse, for tests and documentation."""
    accepted: Mapping[str, str] = field(default_factory=dict)
    """Texts that it must read, and what they are then (as text)."""
    on_unreadable: str = "quarantine"


def pick(column: str) -> str:
    """A source's text without blanks around it, null when nothing is left."""
    blanks = " " * len(_BLANKS)
    plain = f"translate({column}, {literal(_BLANKS)}, {literal(blanks)})"
    return (
        f"nullif(trim(case when strlen({column}) = length({column}) then {column} else {plain} end, E' \\t\\r\\n'), '')"
    )


def half_width(text: str) -> str:
    """Full-width letters, digits and signs of Chinese input methods as plain ones."""
    return (
        f"case when strlen({text}) = length({text}) then {text} "
        f"else translate({text}, {literal(_WIDE)}, {literal(_PLAIN)}) end"
    )


def _text(text: str, _form: Form) -> str:
    return text


def _id(text: str, _form: Form) -> str:
    plain = f"({half_width(text)})"
    return (
        f"case when not regexp_full_match({plain}, {literal(_SCIENTIFIC)}) "
        f"then regexp_replace({plain}, '^([0-9]+)[.]0$', '\\1') end"
    )


def _number(sql_type: str) -> Callable[[str, Form], str]:
    def read(text: str, form: Form) -> str:
        plain = f"trim({half_width(text)})"
        if form.decimal == ",":
            plain = f"translate({plain}, ',.', '.,')"

        def cast(expression: str) -> str:
            return f"try_cast({expression} as {sql_type})"

        def digits(pattern: str, group: int) -> str:
            return f"nullif(replace(regexp_extract({plain}, {literal(pattern)}, {group}), ',', ''), '')"

        sign = f"regexp_extract({plain}, {literal(_AMOUNT)}, 1) || regexp_extract({plain}, {literal(_AMOUNT)}, 2)"
        ten_thousands = (
            f"try_cast(try_cast(regexp_extract({plain}, {literal(_TEN_THOUSANDS)}, 1) "
            f"|| {digits(_TEN_THOUSANDS, 2)} as decimal(18, 6)) * 10000 as {sql_type})"
        )
        forms = [
            cast(f"({sign}) || {digits(_AMOUNT, 3)}"),
            cast(f"'-' || {digits(_ACCOUNTING, 1)}"),
            ten_thousands,
        ]
        if sql_type == SHARE_TYPE:
            percent = f"nullif(regexp_extract({plain}, {literal(_PERCENT)}, 1), '')"
            forms.append(f"try_cast(try_cast({percent} as decimal(18, 6)) / 100 as {sql_type})")
        if form.decimal == ".":
            # Most texts are plain numbers, which DuckDB reads at once; it would also read 1_000.
            forms.insert(0, cast(f"replace({text}, '_', '?')"))
        return f"coalesce({', '.join(forms)})"

    return read


def _whole(text: str, form: Form) -> str:
    number = _number(NUMBER_TYPE)(text, form)
    return f"case when {number} = trunc({number}) then cast({number} as bigint) end"


UNRANKED = 999_999
"""The rank of those who have none yet: emerging companies stand behind every rank."""
_UNRANKED_WORDS = ("emerging", "unranked", "not ranked", "新兴", "新兴行业", "新兴企业", "未上榜", "未排名")
_TOP = "(top|前) *[0-9]{1,6} *(名|强|位)?"


def _rank(text: str, form: Form) -> str:
    """``top 20`` is read as 20, the worst that it can mean."""
    plain = f"lower(trim({half_width(text)}))"
    words = ", ".join(map(literal, _UNRANKED_WORDS))
    return (
        f"case when {plain} in ({words}) then {UNRANKED} when regexp_full_match({plain}, {literal(_TOP)}) "
        f"then cast(regexp_extract({plain}, '[0-9]+') as bigint) else {_whole(text, form)} end"
    )


def _instant(text: str, form: Form) -> str:
    plain = f"({half_width(text)})"
    iso = (
        f"case when length({text}) = 10 or (length({text}) in (16, 19) and substr({text}, 14, 1) = ':') "
        f"then case when substr({text}, 5, 1) = '-' and substr({text}, 8, 1) = '-' "
        f"then try_cast({text} as timestamp) end end"
    )
    fraction = (
        f"case when regexp_full_match({plain}, {literal(_FRACTION)}) "
        f"then try_cast(replace({plain}, ',', '.') as timestamp) end"
    )
    # 2026年3月5日 9:00 and 2026/3/5 as 2026-3-5.
    dashes = f"regexp_replace(translate({plain}, '/.年月', '----'), '日', '')"
    year_first = f"case when regexp_full_match({plain}, {literal(_YEAR_FIRST)}) then {_strptime(dashes, _DASHED)} end"
    compact = (
        f"case when regexp_full_match({plain}, {literal(_COMPACT)}) "
        f"then {_strptime(plain, ('%Y%m%d', '%Y%m%d%H%M%S'))} end"
    )
    naive = [iso, fraction, year_first, compact]
    declared = tuple(name for name in form.formats if name != EXCEL_SERIAL)
    if declared:
        naive.append(_declared(plain, declared))
    if EXCEL_SERIAL in form.formats:
        naive.append(
            f"case when try_cast({plain} as double) between 1 and 2958465 then "
            f"timestamp '1899-12-30' + to_seconds(round(try_cast({plain} as double) * 86400)) end"
        )
    value = f"coalesce({', '.join(naive)})"
    if form.zone and form.business_zone and form.zone != form.business_zone:
        here = f"timezone({literal(form.business_zone)}, timezone({literal(form.zone)}, {value}))"
        value = f"case when length({text}) > 10 then {here} else {value} end"
    zone = literal(form.business_zone or form.zone or "UTC")
    zoned = (
        f"case when regexp_full_match({plain}, {literal(_ZONED)}) "
        f"then timezone({zone}, try_cast(regexp_replace({plain}, '([0-9]) ([Zz]|[+-])', '\\1\\2') as timestamptz)) end"
    )
    # The year 0001 and the like come from defaults of programs; infinity is no day.
    return f"coalesce({value}, {zoned})"


_DASHED = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")


def _strptime(text: str, formats: Sequence[str]) -> str:
    return f"try_strptime({text}, [{', '.join(map(literal, formats))}])"


def _declared(text: str, formats: Sequence[str]) -> str:
    """A declared format, also followed by a time of day; a year of fewer than four digits is none with %Y."""
    wanted = [*formats]
    for name in formats:
        if "%H" not in name and "%I" not in name:
            wanted += [f"{name} %H:%M", f"{name} %H:%M:%S"]
    parsed = _strptime(text, wanted)
    is_day = f"year({parsed}) >= 1000 and lower({text}) not in ('infinity', '-infinity', 'epoch')"
    return f"case when {is_day} then {parsed} end"


def _date(text: str, form: Form) -> str:
    return f"cast({_instant(text, form)} as date)"


def _flag(text: str, _form: Form) -> str:
    plain = f"lower({half_width(text)})"
    return (
        f"case when {plain} in ({', '.join(map(literal, TRUE))}) then true "
        f"when {plain} in ({', '.join(map(literal, FALSE))}) then false end"
    )


def _currency(text: str, _form: Form) -> str:
    plain = f"upper({half_width(text)})"
    names = " ".join(f"when {literal(name)} then {literal(code)}" for name, code in CURRENCY_NAMES.items())
    return f"case {plain} {names} else case when regexp_full_match({plain}, '[A-Z]{{3}}') then {plain} end end"


def _phone(text: str, _form: Form) -> str:
    """Digits of the first number in the cell, without the country code of mainland China."""
    plain = f"regexp_replace({half_width(text)}, '^([0-9]+)[.]0$', '\\1')"
    # Two numbers are split by a sign, or by a blank where each side is a number of its own.
    first = f"regexp_extract({plain}, '^[+]?(?:[0-9]{{7,}}(?:[ ]|$)|[^/,;、|]+)')"
    number = f"regexp_replace({first}, '(转|分机|ext|EXT|x)[.: ]*[0-9]+ *$', '')"
    digits = f"regexp_replace(regexp_replace({number}, '[^0-9]', '', 'g'), '^(0086|86)(1[0-9]{{10}})$', '\\2')"
    return (
        f"case when not regexp_full_match({plain}, {literal(_SCIENTIFIC)}) "
        f"and not regexp_matches({number}, '[A-Za-z]') and length({digits}) between 5 and 15 then {digits} end"
    )


def _email(text: str, _form: Form) -> str:
    plain = f"lower({half_width(text)})"
    return f"case when regexp_full_match({plain}, '[^@ ,;]+@[^@ ,;]+[.][^@ ,;]+') then {plain} end"


MONEY_TYPE, QUANTITY_TYPE, SHARE_TYPE, NUMBER_TYPE = (
    "decimal(18, 2)",
    "decimal(18, 3)",
    "decimal(18, 6)",
    "decimal(18, 4)",
)

_NO_NUMBER = ("abc", "1.234,56", "1,23", "12-5", "#N/A", "1_000", "--", "１，２３")
_NO_DATE = ("05/06/2024", "2024115", "2024-02-30", "45000", "tomorrow", "infinity", "2024-13-01", "0000-00-00", "9:00")

TYPES = {
    kind.name: kind
    for kind in (
        ColumnType("text", "varchar", _text, "any text", ()),
        ColumnType(
            "id",
            "varchar",
            _id,
            "what names a thing: a number, a code; never a number that Excel has shortened",
            ("1.38E+10", "1.2345E+15", "1,38E+10", "2E+05"),
            {"C1": "C1", "Ｃ１": "C1", "17850.0": "17850", "007": "007", "12E4": "12E4"},
        ),
        ColumnType(
            "money",
            MONEY_TYPE,
            _number(MONEY_TYPE),
            "an amount of money, 2 decimals",
            _NO_NUMBER,
            {
                "1234.56": "1234.56",
                "1,234.56": "1234.56",
                "¥1,234.56": "1234.56",
                "￥1234": "1234.00",
                "1,234.5元": "1234.50",
                "-12": "-12.00",
                "-¥12.5": "-12.50",
                "(1,000.00)": "-1000.00",
                "１２３４．５": "1234.50",
                "12万": "120000.00",
                "1.25万元": "12500.00",
                "1.5E+3": "1500.00",
            },
        ),
        ColumnType(
            "quantity",
            QUANTITY_TYPE,
            _number(QUANTITY_TYPE),
            "a number of pieces, 3 decimals",
            _NO_NUMBER,
            {"2": "2.000", "1,000": "1000.000"},
        ),
        ColumnType(
            "share",
            SHARE_TYPE,
            _number(SHARE_TYPE),
            "a share or rate: 0.105 or 10.5%",
            (*_NO_NUMBER, "%", "10%%"),
            {"0.105": "0.105000", "10.5%": "0.105000", "-3 %": "-0.030000", "１０％": "0.100000"},
        ),
        ColumnType("number", NUMBER_TYPE, _number(NUMBER_TYPE), "a number, 4 decimals", _NO_NUMBER, {"2.5": "2.5000"}),
        ColumnType(
            "whole", "bigint", _whole, "a whole number", (*_NO_NUMBER, "1.5"), {"7": "7", "7.0": "7", "1,000": "1000"}
        ),
        ColumnType(
            "rank",
            "bigint",
            _rank,
            "a rank: 12, top 20, 前20名, or emerging (新兴)",
            (*_NO_NUMBER, "1.5", "top", "前"),
            {"7": "7", "Top 10": "10", "前50名": "50", "emerging": str(UNRANKED), "新兴": str(UNRANKED)},
        ),
        ColumnType(
            "date",
            "date",
            _date,
            "a day: 2026-03-15, 2026/3/15, 2026年3月15日, 20260315, each with or without a time",
            _NO_DATE,
            {
                "2026-03-15": "2026-03-15",
                "2026/3/15": "2026-03-15",
                "2026-3-5": "2026-03-05",
                "2026/3/15 9:00": "2026-03-15",
                "2026.3.15": "2026-03-15",
                "2026年3月15日": "2026-03-15",
                "２０２６－０３－１５": "2026-03-15",
                "20260315": "2026-03-15",
                "2026-03-15 00:00:00": "2026-03-15",
            },
        ),
        ColumnType(
            "instant",
            "timestamp",
            _instant,
            "a moment; one with an offset or Z is brought to the company's zone",
            (*_NO_DATE, "2026-03-15 25:00"),
            {
                "2026-03-15 09:30:00": "2026-03-15 09:30:00",
                "2026-03-15T09:30": "2026-03-15 09:30:00",
                "2026-03-15 09:30:00.25": "2026-03-15 09:30:00.25",
                "2026/3/15 9:30": "2026-03-15 09:30:00",
                "2026-03-15T09:30:00Z": "2026-03-15 09:30:00",
                "2026-03-15T09:30:00+08:00": "2026-03-15 01:30:00",
                "20260315093000": "2026-03-15 09:30:00",
            },
        ),
        ColumnType(
            "flag",
            "boolean",
            _flag,
            f"yes or no: {', '.join(TRUE)} or {', '.join(FALSE)}",
            ("maybe", "2", "deleted", "-"),
            {"1": "true", "是": "true", "TRUE": "true", "Ｙ": "true", "否": "false", "0.0": "false"},
        ),
        ColumnType(
            "currency",
            "varchar",
            _currency,
            "a currency: CNY, 人民币, ¥",
            ("Yuan", "??", "CN"),
            {"CNY": "CNY", "rmb": "CNY", "美元": "USD"},
        ),
        ColumnType(
            "phone",
            "varchar",
            _phone,
            "a phone number, as digits; of two in a cell the first",
            ("1.38E+10", "n/a", "12", "call me"),
            {
                "13800138000.0": "13800138000",
                "138 0013 8000": "13800138000",
                "+86 138-0013-8000": "13800138000",
                "010-88886666": "01088886666",
                "13800138000/13900139000": "13800138000",
                "13800138000 13900139000": "13800138000",
                "010-88886666转801": "01088886666",
            },
            on_unreadable="repair",
        ),
        ColumnType(
            "email",
            "varchar",
            _email,
            "an e-mail address",
            ("none", "a@b", "a b@c.de"),
            {"A.B@Example.com": "a.b@example.com"},
            on_unreadable="repair",
        ),
    )
}


def read_level(text: str, codes: Mapping[str, str]) -> str:
    """SQL of the code that a spelling stands for (``codes``: lower-case spelling to code), null for an unknown one."""
    plain = f"lower({half_width(text)})"
    cases = " ".join(f"when {literal(spelling)} then {literal(code)}" for spelling, code in codes.items())
    return f"case {plain} {cases} end"
