"""Letters on what is given back: written in the transaction of what they tell, sent later by the batch of notices, each once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import make_msgid

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from agreements.errors import RegisterUnavailable
from agreements.model import Agreement
from agreements.record import Contact
from geoserver_app.contributions.mailing import connected, has_address, sent_by
from geoserver_app.database import from_database, utc, writing
from geoserver_app.giving.tables import letters_table
from geoserver_app.mail_server import MailServer
from geoserver_app.messages import CHINESE, ENGLISH, sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """`code` and `detail` name its sentence, which is told in both languages; `recipients` are addresses."""

    letter_id: int
    agency: str
    code: str
    detail: Mapping[str, str]
    recipients: tuple[str, ...]
    written: datetime
    taken: datetime | None = None

    def told(self, language: str) -> str:
        return sentence(self.code, self.detail, language)


def contacts_of(agreement: Agreement, agency: str) -> tuple[Contact, ...]:
    """Whom an agency named in an agreement."""
    return tuple(contact for party in agreement.record.parties if party.agency == agency for contact in party.contacts)


def write_letter(
    connection: sa.Connection, *, agency: str, code: str, detail: Mapping[str, object], contacts: Iterable[Contact], at: datetime,
) -> None:
    """As part of the transaction of what it tells. Without an address among the contacts it is kept all the same, and told on the pages alone."""
    recipients = sorted({one.email for one in contacts if has_address(one)})
    connection.execute(letters_table.insert().values(
        agency=agency, code=code, detail={name: str(value) for name, value in detail.items()}, recipients=recipients, written=utc(at), taken=None,
    ))


def letters(database: sa.Engine, *, agency: str | None = None, untaken: bool = False) -> list[Letter]:
    """The newest first. Raises RegisterUnavailable."""
    query = sa.select(letters_table).order_by(letters_table.c.letter_id.desc())
    if agency is not None:
        query = query.where(letters_table.c.agency == agency)
    if untaken:
        query = query.where(letters_table.c.taken.is_(None))
    try:
        with database.connect() as connection:
            return [_letter(row) for row in connection.execute(query)]
    except SQLAlchemyError as error:
        raise RegisterUnavailable("the letters can't be read") from error


def mail_letters(database: sa.Engine, server: MailServer, sender: str, link: str, at: datetime) -> int:
    """Sends every letter that has an address and that no mailer has taken; returns how many. One that can't be sent may be taken again.

    Raises
    ------
    MailUnavailable
        With what the server answered; what was sent before stays sent.
    """
    waiting = [one for one in reversed(letters(database, untaken=True)) if one.recipients]
    if not waiting:
        return 0
    count = 0
    with connected(server) as mail:
        for letter in waiting:
            if not _mark(database, letter, None, at):
                continue                                       # another mailer is at it
            try:
                sent_by(mail, server, _message(letter, sender, link))
            except BaseException:
                _mark(database, letter, at, None)
                raise
            count += 1
    return count


def _message(letter: Letter, sender: str, link: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = sender, ", ".join(letter.recipients)
    message["Subject"] = sentence("letter-subject", {}, CHINESE)
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2] or "localhost")
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n".join([letter.told(CHINESE), "", letter.told(ENGLISH), "", link]) + "\n")
    return message


def _mark(database: sa.Engine, letter: Letter, before: datetime | None, after: datetime | None) -> bool:
    column = letters_table.c.taken
    was = column.is_(None) if before is None else column.is_not(None)
    with writing(database) as connection:
        found = connection.execute(letters_table.update().where(letters_table.c.letter_id == letter.letter_id, was).values(taken=utc(after)))
        return found.rowcount > 0


def _letter(row: sa.Row) -> Letter:
    return Letter(
        letter_id=row.letter_id, agency=row.agency, code=row.code, detail=row.detail, recipients=tuple(row.recipients),
        written=from_database(row.written), taken=from_database(row.taken),
    )
