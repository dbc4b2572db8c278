"""Find secrets that were written into the project's files; what is found is named by place and kind, never shown."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import yaml

_NAME = r"[\w.-]*(?:password|passwd|secret|token|api_?key|fernet_?key|private_?key|access_?key)[\w-]*"
_PATTERNS = {
    "private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "access token": r"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_\w{36}|github_pat_\w{30,}|glpat-[\w-]{20}|xox[abprs]-[\w-]{10,}"
    r"|sk-[\w-]{20,}|SG\.[\w-]{16,}\.[\w-]{16,}|AIza[\w-]{35}|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.)",
    "password in a URL": r"\b[a-z][a-z0-9+.-]*://[^\s:/?@'\"`{}$<>]*:(?P<value>[^\s:/?@'\"`{}$<>]+)@",
    # A quoted text is one anywhere, a bare word only where settings are written.
    "quoted secret": rf"(?i)\b{_NAME}['\"]?\]?\s*(?::\s*str\s*)?[:=]\s*['\"](?P<value>[^\s'\"{{}}$<>]{{6,}})['\"]",
}
_SETTING = rf"(?i)(?:^|[\s#-]){_NAME}\s*[:=]\s*(?P<value>[^\s'\"{{}}$<>(\[|]{{6,}})\s*(?:#.*)?$"
_SETTINGS = {".yml", ".yaml", ".env", ".ini", ".cfg", ".toml", ".sh", ".md", ".conf", ""}
_COMPOSE_NAME = re.compile(r"(?i)(password|secret|key|token)$")
_COMPOSE_VALUE = re.compile(r"\$\{\w+:\?[^}]*\}")
_PASSED = "no-secret:"  # after it stands the reason why a line is none
# How made-up values of tests and messages begin; none of them opens anything.
_EXAMPLES = ("hunter2", "pa:ss/w@rd", "pa%3Ass%2Fw%40rd", "s%2Fecret-", "a-secret-of-the-webhook", "not.a.token")
_FORMATS = {
    "password",
    "pass",
    "secret",
}  # in code and docs they say how a URL is built; elsewhere they are bad defaults
_PLACE = re.compile(r"^/|\.json$")  # of a file that holds a secret


def scan_text(text: str, suffix: str) -> Iterator[tuple[int, str]]:
    """Line number and kind of everything that looks like a secret."""
    patterns = _PATTERNS | ({"secret in a setting": _SETTING} if suffix in _SETTINGS else {})
    for number, line in enumerate(text.splitlines(), start=1):
        if _PASSED not in line:
            for kind, pattern in patterns.items():
                formats = _FORMATS if kind == "password in a URL" and suffix in {".py", ".md"} else set()
                if any(_is_secret(match, formats) for match in re.finditer(pattern, line)):
                    yield number, kind


def _is_secret(match: re.Match[str], formats: set[str]) -> bool:
    value = match.groupdict().get("value")
    return value is None or not (value.startswith(_EXAMPLES) or value in formats or _PLACE.search(value))


def scan_compose(text: str) -> Iterator[str]:
    """Services and variables of a Compose file that have a secret which need not be given from outside."""
    for name, service in yaml.safe_load(text)["services"].items():
        for variable, value in (service.get("environment") or {}).items():
            if _COMPOSE_NAME.search(variable) and not _COMPOSE_VALUE.fullmatch(str(value)):
                yield f"{name}: {variable}"
            in_url = re.search(r"://[^:/@]*:(.*)@", str(value))
            if in_url and not _COMPOSE_VALUE.fullmatch(in_url[1]):
                yield f"{name}: {variable}"


def project_files(root: Path) -> list[Path]:
    """Files that are, or would be, committed."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [root / name for name in sorted(filter(None, listed.split("\0"))) if (root / name).is_file()]


def scan_project(root: Path) -> list[str]:
    """``file:line: kind`` for all of them."""
    found = []
    for path in project_files(root):
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{path.relative_to(root)}:{line}: {kind}" for line, kind in scan_text(text, path.suffix)]
    return found
