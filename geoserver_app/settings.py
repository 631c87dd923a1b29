"""config/service.yaml and GEOSHARE_* -> one frozen Settings; every fault told at once."""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from ruamel.yaml import YAML, YAMLError

from geoserver_app.mail_server import MailServer

ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds config/."""

EVERY_ADDRESS = ("0.0.0.0", "::")

QUOTA_STORES = ("files", "database")

CLASSIFICATIONS = ("public", "internal", "secret", "confidential", "top-secret")


class SettingsInvalid(Exception):
    """The settings hold faults; the message lists them all."""

    def __init__(self, faults: list[str]):
        super().__init__(f"config/service.yaml: {len(faults)} fault{'s' if len(faults) != 1 else ''}\n" + "\n".join(f"  {f}" for f in faults))
        self.faults = faults


class PortInUse(Exception):
    """Another process listens where this one should."""

    def __init__(self, bind: str, port: int):
        super().__init__(f"{bind}:{port} is in use: stop what listens there, or take another port (PORT=8090 make run, or geoshare serve --port 8090)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How this instance runs. Folders are absolute once loaded."""

    bind: str = "127.0.0.1"
    port: int = 8080
    public_base_url: str = ""
    workers: int = 2
    threads: int = 4
    live_viewers: int = 100                              # streams of live layers a worker, each a thread of its own
    data: Path = ROOT / "var"
    database_url: str = ""
    features_url: str = field(default="", repr=False)    # may hold a password
    store: Path = Path()
    cache: Path = Path()
    decisions: Path = Path()
    metering: Path = Path()
    quota_store: str = "files"
    ceiling: str = "secret"
    max_pixels: int = 4096 * 4096
    max_layers: int = 20
    recheck_seconds: float = 0.5
    trust_seconds: float = 2.0
    clock_skew_seconds: float = 2.0
    emergency_hours: float = 72.0
    trusted_proxies: str = ""
    audit_keep_days: int = 0
    package_days: int = 7
    package_workers: int = 1
    overlay_megabytes: int = 512
    overlay_seconds: int = 300
    overlay_memory_megabytes: int = 1536
    correction_days: int = 10
    session_idle_minutes: int = 30
    session_hours: int = 12
    contact_name: str = ""
    contact_email: str = ""
    smtp_url: str = field(default="", repr=False)        # may hold a password
    smtp_sender: str = ""
    demo: bool = False
    config: Path = ROOT / "config"

    @classmethod
    def at(cls, data: Path, **others) -> "Settings":
        """Settings with everything under one folder, the rest at its default: what the command line and the tests use."""
        data = Path(data).resolve()
        places = {
            "database_url": f"sqlite:///{data / 'geoshare.sqlite'}",
            "store": data / "store",
            "cache": data / "cache",
            "decisions": data / "decisions",
            "metering": data / "metering",
        }
        settings = cls(data=data, **{**places, **others})
        return settings if settings.public_base_url else settings.replaced(public_base_url=f"http://{settings.bind}:{settings.port}")

    def replaced(self, **changes) -> "Settings":
        return type(self)(**{f.name: getattr(self, f.name) for f in fields(self)} | changes)


def check_public_address(settings: Settings) -> None:
    """Raises SettingsInvalid where capabilities would print an address that no other machine can follow."""
    if any(f"//{address}" in settings.public_base_url for address in EVERY_ADDRESS):
        raise SettingsInvalid([
            f"public_base_url: say what clients call this server, since it listens on every address (`{settings.bind}`): "
            "GEOSHARE_PUBLIC_BASE_URL=https://maps.example.gov geoshare serve --bind 0.0.0.0"
        ])


def load_settings(environ: Mapping[str, str] | None = None, path: Path | None = None) -> Settings:
    """Read the file, then the environment over it.

    Raises
    ------
    SettingsInvalid
        With every fault: unknown names, wrong types, values out of range.
    """
    environ = os.environ if environ is None else environ
    path = path or Path(environ.get("GEOSHARE_SETTINGS", ROOT / "config" / "service.yaml"))
    given, faults = _read(path), []
    known = {f.name: f for f in fields(Settings)}
    for name in given.keys() - known.keys():
        faults.append(f"{name}: no such setting; there are {', '.join(sorted(known))}")
    for name in known:
        if (text := environ.get(f"GEOSHARE_{name.upper()}")) is not None:
            given[name] = text
    values = {}
    for name, value in given.items():
        if name in known and value not in ("", None):
            try:
                values[name] = _typed(known[name].type, value)
            except ValueError as error:
                faults.append(f"{name}: {error}")
    faults += _out_of_range(values)
    if faults:
        raise SettingsInvalid(faults)
    return _placed(values, path.parent.parent)


def _read(path: Path) -> dict:
    try:
        content = YAML(typ="safe").load(path.read_text("utf-8")) if path.exists() else {}
    except YAMLError as error:
        raise SettingsInvalid([f"is not YAML: {' '.join(str(error).split())}"]) from error
    if not isinstance(content or {}, dict):
        raise SettingsInvalid(["must be a list of `name: value`"])
    return dict(content or {})


def _typed(kind: type, value):
    if kind is bool:
        if str(value).lower() not in ("true", "false", "1", "0", "yes", "no"):
            raise ValueError(f"must be true or false, got `{value}`")
        return str(value).lower() in ("true", "1", "yes")
    if kind in (int, float):
        try:
            return kind(value)
        except (TypeError, ValueError):
            raise ValueError(f"must be a number, got `{value}`") from None
    return Path(value) if kind is Path else str(value)


def _out_of_range(values: dict) -> list[str]:
    faults = []
    if not 1 <= values.get("port", 8080) <= 65535:
        faults.append(f"port: must be 1 to 65535, got `{values['port']}`")
    for name in ("workers", "threads", "max_pixels", "max_layers", "overlay_megabytes", "overlay_seconds", "overlay_memory_megabytes", "correction_days", "session_idle_minutes", "session_hours"):
        if values.get(name, 1) < 1:
            faults.append(f"{name}: must be at least 1, got `{values[name]}`")
    if values.get("ceiling", "secret") not in CLASSIFICATIONS:
        faults.append(f"ceiling: must be one of {', '.join(CLASSIFICATIONS)}, got `{values['ceiling']}`")
    if (kept := values.get("quota_store", "files")) not in QUOTA_STORES:
        faults.append(f"quota_store: must be one of {', '.join(QUOTA_STORES)}, got `{kept}`")
    elif kept == "database" and not values.get("database_url", "").startswith("postgresql"):
        faults.append("quota_store: counting in the database needs PostgreSQL: see `database_url`, or leave it at `files`")
    if (kept := values.get("features_url", "")) and not kept.startswith("postgresql"):
        faults.append("features_url: must be an address of PostgreSQL with PostGIS, postgresql+psycopg://..., or empty")
    for block in values.get("trusted_proxies", "").split():
        try:
            ipaddress.ip_network(block)
        except ValueError:
            faults.append(f"trusted_proxies: `{block}` is not a block of addresses: give CIDR blocks such as 10.0.0.0/24, separated by spaces")
    if values.get("audit_keep_days", 0) < 0:
        faults.append(f"audit_keep_days: must be 0 (for ever) or more, got `{values['audit_keep_days']}`")
    if values.get("package_days", 7) < 1:
        faults.append(f"package_days: must be at least 1, got `{values['package_days']}`")
    if not 0 <= values.get("live_viewers", 100) <= 2000:
        faults.append(f"live_viewers: must be 0 to 2000, got `{values['live_viewers']}`")
    if not 0 <= values.get("package_workers", 1) <= 16:
        faults.append(f"package_workers: must be 0 to 16, got `{values['package_workers']}`")
    url = values.get("public_base_url", "")
    if url and not url.startswith(("http://", "https://")):
        faults.append(f"public_base_url: must begin with http:// or https://, got `{url}`")
    if mail := values.get("smtp_url", ""):
        try:
            MailServer.parse(mail)
        except ValueError as error:
            faults.append(f"smtp_url: {error}")
    return faults


def _placed(values: dict, root: Path) -> Settings:
    places = {name: (root / values.pop(name)).resolve() for name in ("store", "cache", "decisions", "metering", "config") if name in values}
    data = (root / values.pop("data", "var")).resolve()
    if "public_base_url" in values:
        values["public_base_url"] = values["public_base_url"].rstrip("/")
    return Settings.at(data, **values, **places)
