"""The mail server of the setting `smtp_url`."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

PORTS = {"smtp": 25, "smtps": 465}


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Of `smtp://user:password@host:port`, or `smtps://...` for TLS from the first byte."""

    host: str
    port: int
    is_tls: bool
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"MailServer({self.host}:{self.port})"

    @classmethod
    def parse(cls, url: str) -> "MailServer":
        """Raises ValueError with a sentence that does not repeat the address: it may hold a password."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in PORTS or not parts.hostname or parts.path not in ("", "/"):
            raise ValueError("is not the address of a mail server: give smtp://user:password@host:587 or smtps://user:password@host:465")
        return cls(
            host=parts.hostname, port=port or PORTS[parts.scheme], is_tls=parts.scheme == "smtps", user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
        )
