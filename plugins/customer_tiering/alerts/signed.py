"""A webhook with signed requests: the receiver can tell who sent them, that they are whole, and how old they are.

``hmacs://:secret@host[:port]/path`` posts JSON over HTTPS, ``hmac://`` over HTTP (one machine, a private network).
docs/alerts.md has the receiver's side.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import requests

from customer_tiering.alerts.messages import Letter, as_json
from customer_tiering.alerts.outcome import NO_ANSWER, SENT, Outcome

_SHORTEST_SECRET = 16


@dataclass(frozen=True)
class SignedWebhook:
    """Redirects are not followed: the answer of one server must not lead to another."""

    url: str
    secret: bytes = field(repr=False)
    timeout: float
    room: int = 1_000_000

    @classmethod
    def of(cls, url: str, timeout: float) -> SignedWebhook | None:
        """The webhook of a URL, or None when host or secret is missing or the secret is short."""
        parts = urlsplit(url)
        secret = unquote(parts.password or "").encode()
        if not parts.hostname or len(secret) < _SHORTEST_SECRET:
            return None
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        address = f"{host}:{parts.port}" if parts.port else host
        query = f"?{parts.query}" if parts.query else ""
        protocol = "https" if parts.scheme == "hmacs" else "http"
        return cls(f"{protocol}://{address}{parts.path or '/'}{query}", secret, timeout)

    def send(self, letter: Letter) -> Outcome:
        body = json.dumps(as_json(letter), ensure_ascii=False).encode()
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "X-Tiering-Message": letter.letter_id,
            "X-Tiering-Timestamp": timestamp,
            "X-Tiering-Signature": "sha256=" + sign(self.secret, timestamp, body),
        }
        try:
            with requests.post(
                self.url, data=body, headers=headers, timeout=self.timeout, allow_redirects=False, stream=True
            ) as answer:
                status = answer.status_code
        except requests.ConnectTimeout:
            return Outcome("failed", "the server cannot be reached (time ran out)")
        except requests.Timeout:
            return NO_ANSWER
        except requests.exceptions.SSLError:
            return Outcome("failed", "no secure connection: check the certificate")
        except requests.ConnectionError as error:
            return Outcome("failed", "the server refuses connections") if _refused(error) else NO_ANSWER
        except requests.RequestException as error:
            return Outcome("failed", f"the request could not be made ({type(error).__name__})")
        return SENT if 200 <= status < 300 else Outcome("failed", f"the server answered {status}")


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 of ``<timestamp>.<body>`` in hexadecimal."""
    return hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _refused(error: requests.ConnectionError) -> bool:
    """No connection came about, so nothing arrived; a connection that broke leaves that open."""
    return "NewConnectionError" in repr(error) or "NameResolutionError" in repr(error)
