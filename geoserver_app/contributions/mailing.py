"""Notices by mail: a batch of its own, never while anybody waits for an answer. Without the setting `smtp_url` nothing in here runs."""

import smtplib
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import make_msgid

from agreements.record import Contact
from geoserver_app.contributions.book import ContributionBook, GivenNotice
from geoserver_app.mail_server import MailServer
from geoserver_app.messages import CHINESE, ENGLISH, sentence

SECONDS = 30
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class MailUnavailable(OSError):
    """The mail server can't be reached, or won't have us; one sentence, without user or password."""


def messages(notices: Iterable[GivenNotice], sender: str, link: str) -> Iterator[tuple[EmailMessage, tuple[GivenNotice, ...]]]:
    """One message to each set of people, with all that is for them, in Chinese and English. Notices for nobody with an address are left out."""
    by_people: dict[tuple[str, ...], list[GivenNotice]] = {}
    for notice in notices:
        people = tuple(sorted({contact.email for contact in notice.contacts if _is_address(contact.email)}))
        if people:
            by_people.setdefault(people, []).append(notice)
    for people, theirs in by_people.items():
        message = EmailMessage()
        message["From"], message["To"] = sender, ", ".join(people)
        message["Subject"] = sentence("mail-subject", {"count": str(len(theirs))}, CHINESE)
        message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2] or "localhost")
        message["Auto-Submitted"] = "auto-generated"
        text = [*(notice.told(CHINESE) for notice in theirs), "", *(notice.told(ENGLISH) for notice in theirs), "", link]
        message.set_content("\n".join(text) + "\n")
        yield message, tuple(theirs)


def _is_address(text: str) -> bool:
    return "@" in text and not any(character.isspace() or character in ",;<>\"" for character in text)


def mail_notices(book: ContributionBook, server: MailServer, sender: str, link: str) -> int:
    """Sends every notice that no mailer has taken; returns how many. Those that can't be sent may be taken again.

    Raises
    ------
    MailUnavailable
        With what the server answered; what was sent before stays sent.
    """
    sent = 0
    waiting = list(messages(book.notices(untaken=True), sender, link))
    if not waiting:
        return 0
    with connected(server) as connection:
        for message, notices in waiting:
            taken = book.take(notices)
            if len(taken) < len(notices):
                book.give_back(taken)                          # another mailer is at it
                continue
            try:
                sent_by(connection, server, message)
            except MailUnavailable:
                book.give_back(taken)
                raise
            sent += len(taken)
    return sent


def sent_by(connection: smtplib.SMTP, server: MailServer, message: EmailMessage) -> None:
    """Raises MailUnavailable."""
    try:
        connection.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise MailUnavailable(_told(server, error)) from None


def has_address(contact: Contact) -> bool:
    return _is_address(contact.email)


@contextmanager
def connected(server: MailServer) -> Iterator[smtplib.SMTP]:
    """Signed in, and never with a password where anybody may read it. Raises MailUnavailable."""
    try:
        context = ssl.create_default_context()
        make = (lambda: smtplib.SMTP_SSL(server.host, server.port, timeout=SECONDS, context=context)) if server.is_tls else (
            lambda: smtplib.SMTP(server.host, server.port, timeout=SECONDS)
        )
        with make() as connection:
            connection.ehlo_or_helo_if_needed()
            if not server.is_tls and connection.has_extn("starttls"):
                connection.starttls(context=context)
                connection.ehlo()
            elif not server.is_tls and server.user and server.host not in LOOPBACK:
                raise MailUnavailable(f"the mail server {server.host}:{server.port} offers no TLS: no password is sent to it; use smtps://")
            if server.user:
                connection.login(server.user, server.password)
            yield connection
    except MailUnavailable:
        raise
    except (OSError, smtplib.SMTPException) as error:
        raise MailUnavailable(_told(server, error)) from None          # smtplib puts what it was told into its errors


def _told(server: MailServer, error: Exception) -> str:
    code = getattr(error, "smtp_code", None)
    return f"the mail server {server.host}:{server.port} did not take the mail ({type(error).__name__}{f' {code}' if code else ''}): see `smtp_url`"
