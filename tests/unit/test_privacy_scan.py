"""The scan for private data finds what is planted, in every shape, and nothing in what only looks alike."""

from __future__ import annotations

import pytest

from customer_tiering.operate.privacy_scan import Scanner


@pytest.fixture
def scanner() -> Scanner:
    return Scanner(["0571-8888 6666", "13912345678", "Li.Na@company.cn", ""])


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("call (0571) 88886666 today", "telephone of a source"),
        ("tel:057188886666", "telephone of a source"),
        ("139 1234 5678", "telephone of a source"),
        ('{"to": "li.na@company.cn"}', "e-mail of a source"),
        ("somebody@else.cn", "e-mail address"),
        ("13800138000", "mobile number"),
        ("138-0013-8000", "mobile number"),
        ("id 11010519491231002X", "identity number"),
        (r'{"note": "\u7535\u8bdd13800138000"}', "mobile number"),
        (r"Traceback\n13800138000", "mobile number"),
        ("+8613800138000", "mobile number"),
        ("8613912345678", "telephone of a source"),
        ("+86 139 1234 5678", "telephone of a source"),
        ("0086-571-88886666", "telephone of a source"),
        ("call 13800138000.", "mobile number"),
        ("tel13800138000", "mobile number"),
        ("138.0013.8000", "mobile number"),
        ("（0571）88886666", "telephone of a source"),
        ("１３８００１３８０００", "mobile number"),
        ("057188886666 2026-03-30", "telephone of a source"),
        ("2026-03-30 057188886666", "telephone of a source"),
    ],
)
def test_private_data_is_found_and_not_shown(scanner: Scanner, text: str, kind: str) -> None:
    found = list(scanner.find(text))
    assert kind in {kind for kind, _ in found}
    assert not any(shown in text for _, shown in found)


@pytest.mark.parametrize(
    "text",
    [
        "138****5678",
        "0.13800138000",
        "run a13800138000b",
        "113800138000",
        "110105194912310021",  # the check digit is X
        "2026-03-30 02:00:00",
        "1764040000.123456",
        "admin@example.com",
        "2026-03-30 02:00:00 139 1234 567",
        "1764040000123456",
        "beef13800138000cafe",
    ],
)
def test_what_only_looks_alike_is_not(scanner: Scanner, text: str) -> None:
    assert list(scanner.find(text)) == []


def test_addresses_of_authors_in_bundled_libraries_are_nobodys_customers(scanner: Scanner) -> None:
    assert list(scanner.find("(c) author@library.dev", shapes_of_emails=False)) == []
    assert list(scanner.find("li.na@company.cn", shapes_of_emails=False))


def test_it_knows_how_much_it_knows(scanner: Scanner) -> None:
    assert len(scanner) == 3
