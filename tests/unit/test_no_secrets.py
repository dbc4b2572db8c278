"""No default secret anywhere in the project, and the scan that says so finds one that is planted."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from compose import BASE, OVERLAYS
from customer_tiering.company.workspace import project_root
from secret_scan import project_files, scan_compose, scan_project, scan_text

WORD = secrets.token_hex(10)
PLANTED = {
    "settings.yml": f"db_password: {WORD}",
    "Dockerfile": f"ENV AIRFLOW__CORE__FERNET_KEY={WORD}",
    "run.sh": f"export API_TOKEN={WORD}",
    "client.py": f'API_KEY = "{WORD}"',
    "profile.yml": f'erp: {{url: "postgresql://reader:{WORD}@db/erp"}}',
    "default.yml": "erp: {url: 'postgresql://reader:password@db/erp'}",
    "notes.md": f"the UI's password = {WORD}",
    "id_rsa": "-----BEGIN OPENSSH PRIVATE" + " KEY-----",
    "channel.py": f"CHANNEL = 'ghp_{secrets.token_hex(18)}'",
}
HARMLESS = {
    "settings.yml": "db_password: ${DB_PASSWORD:?say it}\npassword_file: /run/secrets/db",
    "client.py": 'token = self.call("/auth/token")\nurl = f"postgresql://reader:{password}@db/erp"',
    "notes.md": "`POSTGRES_PASSWORD`   openssl rand -hex 24\nurl: postgresql://<user>:<password>@<host>/<database>",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    return tmp_path


def test_the_project_holds_no_secret() -> None:
    if not (project_root() / ".git").exists():
        pytest.skip("this is no checkout, so nobody knows which files are the project's")
    assert len(project_files(project_root())) > 100
    assert scan_project(project_root()) == []


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_secret_is_found_and_not_shown(name: str, checkout: Path) -> None:
    (checkout / name).write_text(f"# a first line\n{PLANTED[name]}\n", encoding="utf-8")
    (found,) = scan_project(checkout)
    assert found.startswith(f"{name}:2: ")
    assert WORD not in found


@pytest.mark.parametrize("name", HARMLESS)
def test_what_only_looks_like_a_secret_is_left_alone(name: str) -> None:
    assert list(scan_text(HARMLESS[name], Path(name).suffix)) == []


def test_ignored_files_are_not_the_projects(checkout: Path) -> None:
    (checkout / ".gitignore").write_text(".env\n", encoding="utf-8")
    (checkout / ".env").write_text(f"POSTGRES_PASSWORD={WORD}\n", encoding="utf-8")
    assert scan_project(checkout) == []


@pytest.mark.parametrize("path", [BASE, *OVERLAYS], ids=lambda path: path.name)
def test_compose_asks_for_every_secret(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert list(scan_compose(text)) == []
    variable = f"{'REDIS' if 'celery' in path.name else 'POSTGRES'}_PASSWORD"
    assert f"${{{variable}:?" in text
    for default in (f"${{{variable}:-airflow}}", "airflow"):  # with a default, and plain
        document = yaml.safe_load(text)
        for service in document["services"].values():
            for name, value in (service.get("environment") or {}).items():
                if f"${{{variable}:?" in str(value):
                    head, tail = str(value).split(f"${{{variable}:?", 1)
                    service["environment"][name] = head + default + tail.split("}", 1)[1]
        assert list(scan_compose(yaml.safe_dump(document)))
