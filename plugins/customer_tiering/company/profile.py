"""A profile is one company's configuration; adding one changes no DAG and no model."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from customer_tiering.company.alert_settings import AlertSettings
from customer_tiering.company.mistakes import Mistake, of_validation, told
from customer_tiering.company.release_limits import ReleaseLimits
from customer_tiering.company.workspace import Workspace, project_root
from customer_tiering.errors import ProfileError
from customer_tiering.inputs.mapping import MappedSource, TableMapping, check_columns, mapped_source
from customer_tiering.yaml_text import load_yaml

NAME = r"^[a-z][a-z0-9_]*$"
"""What a profile may be called; its folders have that name."""
SOURCE_NAME = r"^[a-z][a-z0-9_]{0,62}$"
VARIABLE = r"^[A-Z][A-Z0-9_]*$"


class SourceLocation(BaseModel):
    """A source: where it lives (an Airflow connection id, a database URL, an environment variable that holds one, or a
    folder), and how its tables map onto the input tables."""

    model_config = ConfigDict(extra="forbid")

    connection: str | None = None
    url: str | None = None
    url_from: str | None = Field(default=None, pattern=VARIABLE)
    path: str | None = None
    label_en: str | None = None
    label_zh: str | None = None
    zone: str | None = None
    """Time zone of times without an offset; the company's by default."""
    missing: tuple[str, ...] = ()
    """Texts by which the source says that there is no value, such as ? or N/A."""
    tables: dict[str, TableMapping] = Field(min_length=1)

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        return known_timezone(value) if value else value

    @model_validator(mode="after")
    def _one_place(self) -> SourceLocation:
        if sum(value is not None for value in (self.connection, self.url, self.url_from, self.path)) != 1:
            raise ValueError("give exactly one of connection, url, url_from, path")
        return self

    def mistakes(self) -> Iterator[Mistake]:
        """What the input tables do not know, or the place of the source does not have."""
        for name, item in self.tables.items():
            yield from ((("tables", *where), message) for where, message in check_columns(name, item))
            if (item.files is None) == (self.path is not None):
                place = "files (it lies in a folder)" if self.path is not None else "table or query (it is a database)"
                yield ("tables", name), f"say {place}"


def known_timezone(value: str) -> str:
    """The name itself. Raises ``ValueError`` when there is no such zone."""
    if value not in available_timezones():
        raise ValueError(f"unknown time zone {value!r}; use a name such as Asia/Shanghai")
    return value


class SampleCompany(BaseModel):
    """Ask for the embedded sample company to be generated under ``var/<profile>/source``."""

    model_config = ConfigDict(extra="forbid")

    customers: int = 400
    years: int = 3
    until: date | None = None
    seed: int | None = None
    dirt: float = 1.0


class Channel(BaseModel):
    """A notification channel: an Apprise URL, or an Airflow connection that holds one."""

    model_config = ConfigDict(extra="forbid")

    connection: str | None = None
    url: str | None = None
    timeout: float = Field(default=10, gt=0, le=120)
    """Seconds to wait for the connection, and for each answer."""
    tries: int = Field(default=3, ge=1, le=10)
    """Tries within one night's step."""
    digest: bool | None = None
    """One letter per recipient; default: yes, except where programs read (``jsonl``)."""

    def model_post_init(self, _context: object, /) -> None:
        if (self.connection is None) == (self.url is None):
            raise ValueError("give exactly one of connection, url")


class PostgresTarget(BaseModel):
    """A Postgres that gets a copy of the marts: an Airflow connection, or an environment variable that holds a URL."""

    model_config = ConfigDict(extra="forbid")

    connection: str | None = None
    url_from: str | None = Field(default=None, pattern=VARIABLE)
    schema_name: str | None = Field(default=None, alias="schema", pattern=r"^[a-z][a-z0-9_]{0,47}$")
    """Schema of the marts, made and replaced as a whole; ``<profile>_marts`` by default."""
    read_role: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")
    """Role that may read, granted again with every load."""

    def model_post_init(self, _context: object, /) -> None:
        if (self.connection is None) == (self.url_from is None):
            raise ValueError("give exactly one of connection, url_from")

    def schema_of(self, profile_name: str) -> str:
        return self.schema_name or f"{profile_name}_marts"


class Profile(BaseModel):
    """One company. Money is in ``currency``; days are days of ``timezone``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=NAME)
    label_en: str
    label_zh: str
    timezone: str
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    headline_scheme: str
    data_begins: date | None = None
    """The first day of business in the data. Orders, payments and the like of earlier days (placeholders, leftovers of
    an older system) are told and kept out."""
    schedule: str = "0 2 * * *"
    deadline: str | None = Field(default=None, pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")
    """Local time HH:MM at which a scheduled night has to be published; operators are told when it is not."""
    sources: dict[Annotated[str, Field(pattern=SOURCE_NAME)], SourceLocation] = Field(min_length=1)
    sample_company: SampleCompany | None = None
    channels: dict[str, Channel] = Field(default_factory=dict)
    alerts: AlertSettings = Field(default_factory=AlertSettings)
    postgres_target: PostgresTarget | None = None
    keep_snapshots: int = Field(default=7, ge=2)
    keep_reports: int = Field(default=30, ge=1)
    """How many run folders stay under ``reports/``."""
    catch_up_nights: int = Field(default=92, ge=0)
    """How many missed nights are computed with the next one, at most."""
    language: Literal["en", "zh"] = "en"
    release: ReleaseLimits = ReleaseLimits()
    """How far a night may lie from the last accepted one before a person has to look."""

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        return known_timezone(value)

    @field_validator("deadline", mode="before")
    @classmethod
    def _clock_time(cls, value: object) -> object:
        if isinstance(value, int) and not isinstance(value, bool):
            return f"{value // 60:02}:{value % 60:02}"  # YAML reads 18:00 as 1080
        return value

    @field_validator("deadline")
    @classmethod
    def _deadline_of_daily_nights(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and not re.fullmatch(r"\d+ \d+ \* \* \*", info.data.get("schedule", "")):
            raise ValueError("a deadline needs a schedule of one time every day, such as 0 2 * * *")
        return value

    @model_validator(mode="after")
    def _known_channels(self) -> Profile:
        if unknown := sorted(self.alerts.channel_names() - set(self.channels)):
            raise ValueError(f"alerts name channels that there are not: {unknown}; there are {sorted(self.channels)}")
        return self

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def workspace(self) -> Workspace:
        return Workspace.of(self.name)

    @property
    def folder(self) -> Path:
        """Where the profile's own files (seed overrides) lie."""
        return profiles_folder() / self.name

    def all_sources(self) -> list[MappedSource]:
        return [self.source(name) for name in self.sources]

    def source(self, name: str) -> MappedSource:
        """A source of the company, as it is extracted and gated."""
        configured = self.sources[name]
        return mapped_source(
            name,
            configured.tables,
            label_en=configured.label_en or name,
            label_zh=configured.label_zh or configured.label_en or name,
            missing=configured.missing,
            zone=configured.zone or self.timezone,
            business_zone=self.timezone,
            data_begins=str(self.data_begins) if self.data_begins else None,
        )

    def resolve_location(self, source: str) -> str:
        """Path or URL of a source with its placeholders filled in.

        ``{workspace}`` is ``var/<profile>``; ``{data}`` is the folder given as ``DATA=`` (``TIERING_DATA``).
        Raises ``ProfileError`` when ``{data}`` is needed and was not given.
        """
        location = self.sources[source]
        if location.connection:
            return _airflow_connection_uri(location.connection)
        if location.url_from:
            return self._from_environment(location.url_from, f"source {source}")
        return self.fill_placeholders(location.path or location.url or "", what=f"source {source}")

    def resolve_channel(self, channel: str) -> str:
        """The Apprise URL of a channel."""
        configured = self.channels[channel]
        if configured.connection:
            return _airflow_connection_uri(configured.connection)
        return self.fill_placeholders(configured.url or "", what=f"channel {channel}", quoted=True)

    def resolve_postgres(self) -> str:
        """The URL of ``postgres_target``. Raises ``ProfileError`` when its place is empty; never says what is there."""
        target = self.postgres_target
        if target is None:
            raise ProfileError(f"profile {self.name} names no postgres_target", "add one, see docs/bi.md, Postgres")
        if target.connection:
            return _airflow_connection_uri(target.connection)
        return self._from_environment(target.url_from or "", "postgres_target")

    def _from_environment(self, variable: str, what: str) -> str:
        url = os.environ.get(variable, "")
        if not url:
            raise ProfileError(
                f"profile {self.name}: {what} reads {variable}, and that variable is not set",
                f"export {variable}=postgresql://user:password@host:5432/database where the nights run",
            )
        return url

    def fill_placeholders(self, text: str, *, what: str, quoted: bool = False) -> str:
        """Put folders in place of ``{workspace}`` and ``{data}``; ``quoted`` for use inside a URL's path."""
        data = os.environ.get("TIERING_DATA", "")
        if "{data}" in text and not data:
            raise ProfileError(
                f"profile {self.name}: {what} lies under {{data}}, and no data folder was given",
                f"say where the files are: make run PROFILE={self.name} DATA=<folder>",
            )
        workspace = str(self.workspace.root)
        if quoted:
            workspace, data = quote(workspace), quote(data)
        return text.replace("{workspace}", workspace).replace("{data}", data)


def _airflow_connection_uri(connection_id: str) -> str:
    """URI of an Airflow connection (secrets stay in Airflow's own store)."""
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        connection = Connection.get(connection_id)
    except AirflowNotFoundException as error:
        raise ProfileError(
            f"Airflow has no connection {connection_id}",
            f"add it in Airflow (Admin, Connections), or set AIRFLOW_CONN_{connection_id.upper()}",
        ) from error
    return str(connection.extra_dejson.get("url") or connection.get_uri())


def profiles_folder() -> Path:
    return Path(os.environ.get("TIERING_PROFILES", project_root() / "profiles"))


def profile_names() -> list[str]:
    """Names of the profiles that exist, sorted."""
    return sorted(path.stem for path in profiles_folder().glob("*.yml"))


def load_profile(name: str) -> Profile:
    """Read and check ``profiles/<name>.yml``.

    Raises ``ProfileError`` naming the profile, the key and what is expected.
    """
    if name not in profile_names():
        raise ProfileError(
            f"unknown profile {name!r}; there are: {', '.join(profile_names()) or 'none'}",
            f"use one of them, or set the company up: tiering init {name} --from <file, folder or database URL>",
        )
    path = profiles_folder() / f"{name}.yml"
    text = path.read_bytes()
    mistakes: list[Mistake] = []
    try:
        raw = load_yaml(text) or {}
        if not isinstance(raw, dict):
            raise ProfileError(f"profile {name}: {path.name} is not a mapping of keys to values", "correct the file")
        profile = Profile.model_validate({"name": name, **_filled_in(raw)})
        for source, location in profile.sources.items():
            mistakes += ((("sources", source, *where), message) for where, message in location.mistakes())
    except yaml.YAMLError as error:
        raise ProfileError(f"profile {name}: {path.name} is not valid YAML: {error}", "correct the file") from error
    except ValidationError as error:
        mistakes = of_validation(error, Profile.model_json_schema())
    if mistakes:
        raise ProfileError(f"profile {name}, {path.name}: {told(mistakes, text)}", "correct the file")
    return profile


def _filled_in(raw: dict[str, Any]) -> dict[str, Any]:
    """The content of a profile, with what its sources take from those that they are ``like`` (profile.source)."""
    sources = raw.get("sources")
    if not isinstance(sources, dict):
        return raw
    filled = {
        name: _like(item) if isinstance(item, dict) and "like" in item else item for name, item in sources.items()
    }
    return raw | {"sources": filled}


def _like(source: dict[str, Any]) -> dict[str, Any]:
    profile, _, name = str(source["like"]).partition(".")
    path = profiles_folder() / f"{profile}.yml"
    known = (load_yaml(path.read_bytes()) or {}).get("sources", {}) if path.is_file() else {}
    if name not in known:
        raise ProfileError(
            f"like: {source['like']} names no source of another profile",
            "write <profile>.<source>, as in like: online_retail.online_retail",
        )
    model = {key: value for key, value in known[name].items() if key not in ("connection", "url", "path")}
    own = {key: value for key, value in source.items() if key != "like"}
    return model | own | {"tables": model.get("tables", {}) | own.get("tables", {})}
