"""The command line: mistakes are told as problem and next step, never as a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from click.testing import Result
from typer.core import TyperGroup
from typer.testing import CliRunner

from customer_tiering import __version__
from customer_tiering.cli.main import app
from customer_tiering.rules.load import load_rules

PROFILE = """\
label_en: Small
label_zh: 小
timezone: Asia/Shanghai
currency: CNY
headline_scheme: account_value
sources:
  erp:
    url: "sqlite:///{workspace}/erp.sqlite"
    tables: {customers: {table: customers, columns: {customer_id: customer_code}}}
"""


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Profiles and var/ of its own, with a profile "small" that has no overrides."""
    folder = tmp_path / "profiles"
    (folder / "small" / "seeds").mkdir(parents=True)
    (folder / "small.yml").write_text(PROFILE, encoding="utf-8")
    monkeypatch.setenv("TIERING_PROFILES", str(folder))
    monkeypatch.setenv("TIERING_VAR", str(tmp_path / "var"))
    monkeypatch.delenv("TIERING_PROFILE", raising=False)
    return folder


def call(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception  # would be a traceback on the terminal
    return result


def words(text: str) -> str:
    """Text as it was meant, before the terminal's width broke its lines."""
    return " ".join(text.split())


def refusal(*arguments: str) -> str:
    result = call(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    text = words(result.stderr)
    assert text.startswith("Error: ")
    assert " Next step: " in text
    return text


def commands_of(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every command that can be run, by its words."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands_of(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


ROOT: Any = typer.main.get_command(app)
COMMANDS = dict(commands_of(ROOT))
COMPANY_COMMANDS = {
    name: command for name, command in COMMANDS.items() if any(p.name == "profile" for p in command.params)
}


def parsed_profile(arguments: list[str]) -> str:
    """The profile that a command would be called with."""
    command: Any = ROOT
    name: Any = "tiering"
    rest, context = arguments, None
    while isinstance(command, TyperGroup):
        context = command.make_context(name, rest, parent=context)
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
    return str(command.make_context(name, rest, parent=context).params["profile"])


def test_help_lists_the_commands() -> None:
    result = call("--help")
    assert result.exit_code == 0
    for command in ("run", "checksum", "quarantine", "sample", "scheme", "up", "version"):
        assert f" {command} " in result.stdout


def test_the_installed_command_shows_problem_and_next_step_without_a_traceback(profiles: Path) -> None:
    command = Path(sys.executable).with_name("tiering")
    done = subprocess.run(
        [command, "scheme", "check", "--profile", "gamma"],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert words(done.stderr) == (
        "Error: unknown profile 'gamma'; there are: small "
        "Next step: use one of them, or set the company up: tiering init gamma --from <file, folder or database URL>"
    )


def test_version() -> None:
    assert call("version").stdout == f"{__version__}\n"
    assert call("--version").stdout == f"{__version__}\n"


@pytest.mark.parametrize("command", ["run", "checksum", "quarantine", "docs"])
def test_an_unknown_profile_is_refused_by_every_command(command: str, profiles: Path) -> None:
    assert "unknown profile 'gamma'; there are: small" in refusal(command, "--profile", "gamma")


@pytest.mark.parametrize("text", ["2024-02-30", "yesterday", "01/02/2024", "2024-1-2"])
def test_an_as_of_that_is_no_date_is_refused(text: str, profiles: Path, tmp_path: Path) -> None:
    problem = refusal("run", "--profile", "small", "--as-of", text)
    assert f"AS_OF={text} is no date" in problem
    assert "write it as YYYY-MM-DD" in problem
    assert not (tmp_path / "var").exists(), "nothing was begun"


def test_an_until_that_is_no_date_is_refused(tmp_path: Path) -> None:
    assert "is no date" in refusal("sample", "--out", str(tmp_path / "company"), "--until", "soon")


def test_a_data_folder_that_does_not_exist_is_refused(profiles: Path, tmp_path: Path) -> None:
    assert "there is no such folder" in refusal("run", "-p", "small", "--data", str(tmp_path / "none"))


def test_a_checksum_before_any_night_is_refused(profiles: Path) -> None:
    problem = refusal("checksum", "--profile", "small")
    assert "small has published nothing yet" in problem
    assert "make run PROFILE=small" in problem


def test_a_quarantine_before_any_night_is_refused(profiles: Path, tmp_path: Path) -> None:
    assert "small has no warehouse yet" in refusal("quarantine", "--profile", "small")
    assert not (tmp_path / "var").exists()


def test_sound_rules_print_their_version(profiles: Path) -> None:
    from customer_tiering.company.profile import load_profile

    result = call("scheme", "check", "--profile", "small")
    assert result.exit_code == 0
    rules = load_rules(load_profile("small"))
    assert words(result.stdout) == (
        f"the rules of small are sound; version {rules.version}, schemes {', '.join(rules.schemes())} "
        "how customers are spread over the tiers is judged after the first night: make run PROFILE=small"
    )


def test_a_broken_override_is_refused_with_file_and_line(profiles: Path) -> None:
    path = profiles / "small" / "schemes" / "spend_abc.yml"
    path.parent.mkdir()
    path.write_text('tiers:\n  B: {when: ">= 200,000"}\n', encoding="utf-8")
    problem = refusal("scheme", "check", "--profile", "small").replace(" ", "")
    assert f"{path.name}:1:tiers:>=200,000comesafter>100,000" in problem
    assert "nothing was run" in refusal("scheme", "check", "--profile", "small")


def test_a_broken_override_stops_a_night_before_it_begins(profiles: Path, tmp_path: Path) -> None:
    path = profiles / "small" / "seeds" / "settings.csv"
    path.write_text("setting,value,meaning\nspend_basis,nett,x\n", encoding="utf-8")
    assert "choose one of net, gross" in refusal("run", "--profile", "small", "--as-of", "2024-01-01")
    assert not (tmp_path / "var" / "small" / "published" / "current").exists()


def test_the_profile_may_come_from_the_environment(profiles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERING_PROFILE", "small")
    assert "the rules of small are sound" in words(call("scheme", "check").stdout)


def test_the_project_is_found_from_any_folder(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TIERING_")}
    command = Path(sys.executable).with_name("tiering")
    done = subprocess.run(
        [command, "scheme", "check"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "the rules of sample are sound" in words(done.stdout)


def test_a_copy_to_postgres_needs_a_target_and_a_publication(profiles: Path) -> None:
    assert "profile small names no postgres_target" in refusal("publish-postgres", "--profile", "small")
    with (profiles / "small.yml").open("a", encoding="utf-8") as stream:
        stream.write("postgres_target: {url_from: NOWHERE}\n")
    assert "small has published nothing yet" in refusal("publish-postgres", "--profile", "small")


def test_contract_options_that_would_do_nothing_are_refused(profiles: Path) -> None:
    assert "nothing is written without --write" in refusal("contract", "--note", "x", "--profile", "small")
    assert "nothing is written without --write" in refusal("contract", "--breaking", "--profile", "small")


# --- the commands, their groups and their options ------------------------------------------------------------------


def test_every_command_stands_in_a_panel_of_the_help() -> None:
    panels = {name: command.rich_help_panel for name, command in ROOT.commands.items()}
    assert {name for name, panel in panels.items() if not panel} == set()
    assert set(panels.values()) == {"Night", "Look", "Rules and models", "Data", "People", "Operate", "Start"}
    shown = call("--help").stdout
    for title in set(panels.values()):
        assert f"─ {title} ─" in shown
    assert "─ Commands ─" not in shown


def test_every_command_and_option_says_what_it_does() -> None:
    assert len(COMMANDS) > 35
    silent = [name for name, command in COMMANDS.items() if not command.help]
    silent += [
        f"{name} {param.name}" for name, command in COMMANDS.items() for param in command.params if not param.help
    ]
    assert silent == []


def test_the_help_needs_no_heavy_module() -> None:
    """Seconds before a help is shown are seconds for every command."""
    code = "import sys, customer_tiering.cli.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "customer_tiering.cli.main" in loaded
    heavy = {"airflow", "dbt", "dlt", "duckdb", "great_expectations", "pandas", "pydantic", "sklearn"}
    assert heavy & set(loaded) == set()


def test_only_commands_that_concern_no_company_take_no_profile() -> None:
    assert {name for name in COMMANDS if name not in COMPANY_COMMANDS} == {
        "indicators", "init", "input-tables", "marts", "sample", "version",
    }  # fmt: skip


@pytest.mark.parametrize("command", COMPANY_COMMANDS)
def test_a_profile_may_stand_before_or_after_any_command(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In front of each of its words and behind them; what would be called is looked at, nothing is run."""
    path, needed = command.split(), []
    for param in COMPANY_COMMANDS[command].params:
        if param.required:
            needed += ["x"] if param.param_type_name == "argument" else [param.opts[0], "x"]
    monkeypatch.setenv("TIERING_PROFILE", "elsewhere")
    for option in (["--profile", "acme"], ["--profile=acme"], ["-p", "acme"], ["-pacme"]):
        for position in range(len(path) + 1):
            assert parsed_profile([*path[:position], *option, *path[position:], *needed]) == "acme"
        assert parsed_profile([*path, *needed, *option]) == "acme"
        assert parsed_profile([*option, *path, *needed, *option]) == "acme"
    assert parsed_profile([*path, *needed]) == "elsewhere"
    monkeypatch.delenv("TIERING_PROFILE")
    assert parsed_profile([*path, *needed]) == "sample"


@pytest.mark.parametrize(
    "command",
    [
        ("scheme", "check"),
        ("checksum",),
        ("quarantine", "list"),
        ("alerts", "list"),
        ("identity", "C1"),
        ("identity", "show", "C1"),
    ],
)
def test_a_profile_before_the_command_is_the_one_it_works_on(command: tuple[str, ...], profiles: Path) -> None:
    for position in range(len(command) + 1):
        arguments = [*command[:position], "--profile", "gamma", *command[position:]]
        assert "unknown profile 'gamma'; there are: small" in refusal(*arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ("-p", "small", "scheme", "check", "--profile", "other"),
        ("-p", "small", "quarantine", "list", "-p", "other"),
        ("quarantine", "--profile=small", "list", "-pother"),
        ("-p", "small", "alerts", "-p", "other", "list"),
        ("scheme", "check", "-p", "small", "-p", "other"),
        ("identity", "C1", "-p", "small", "--profile", "other"),
    ],
)
def test_two_different_profiles_are_refused(arguments: tuple[str, ...], profiles: Path) -> None:
    problem = refusal(*arguments)
    assert "--profile is given more than once, with different values: small, other" in problem
    assert "give it once" in problem


def test_the_same_profile_twice_is_fine(profiles: Path) -> None:
    assert "the rules of small are sound" in words(call("-p", "small", "scheme", "check", "--profile", "small").stdout)


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("quarantien",), "quarantine"),
        (("whatif",), "what-if"),
        (("-p", "small", "shceme"), "scheme"),
        (("quarantine", "-p", "small", "lits"), "list"),
        (("alerts", "resent", "abc"), "resend"),
        (("identity", "reveiw"), "review"),
        (("identity", "merg", "C1", "C2"), "merge"),
    ],
)
def test_a_mistyped_command_suggests_the_nearest(arguments: tuple[str, ...], meant: str, profiles: Path) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert f"Did you mean '{meant}'" in result.stderr


def test_a_word_far_from_every_command_suggests_nothing() -> None:
    result = call("xylophone")
    assert result.exit_code == 2
    assert "No such command 'xylophone'" in result.stderr
    assert "Did you mean" not in result.stderr
