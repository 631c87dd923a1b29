"""Notices by mail: one message to each set of people, each notice once, and no password in what is told."""

import socketserver
import threading
from dataclasses import dataclass, field

import pytest

from agreements.life.ledger import Check
from geoserver_app.contributions.mailing import MailUnavailable, mail_notices
from geoserver_app.mail_server import MailServer
from geoserver_app.settings import Settings
from tests.agreements.small_world import at
from tests.app.reciprocity import DIKES, open_office


@dataclass
class Box:
    """What a mail server took, and how it behaves."""

    address: str = ""
    mails: list[str] = field(default_factory=list)
    refuses: bool = False


class _Conversation(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as smtplib speaks."""

    def handle(self) -> None:
        box: Box = self.server.box
        self._say("220 here")
        while line := self.rfile.readline().decode().strip():
            word = line.split(":")[0].upper()
            if word == "DATA":
                self._say("354 go on")
                text = b""
                while not text.endswith(b"\r\n.\r\n"):
                    text += self.rfile.readline()
                box.mails.append(text.decode())
            self._say("550 no" if box.refuses and word.startswith("RCPT") else "221 bye" if word == "QUIT" else "250 well")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@pytest.fixture
def box():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Conversation) as server:
        server.daemon_threads = True
        server.box = Box(f"smtp://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.box
        server.shutdown()
        thread.join(30)


@pytest.fixture
def office(tmp_path):
    office = open_office(tmp_path)
    office.now = at(2026, 5, 4)
    office.book().give_notices()
    yield office
    office.database.dispose()


def mail(office, box) -> int:
    return mail_notices(office.book(), MailServer.parse(box.address), "sharing@bureau.test", "http://maps.test")


def test_each_set_of_people_gets_one_message_with_all_that_is_for_them_and_only_once(office, box):
    waiting = office.book().notices(untaken=True)
    assert mail(office, box) == len(waiting)
    assert len(box.mails) == 3 and mail(office, box) == 0
    to_water = next(text for text in box.mails if "liaison@water.test" in text)
    assert "transport" not in to_water and "sharing@bureau.test" in to_water


def test_what_the_server_does_not_take_may_be_sent_again(office, box):
    waiting = len(office.book().notices(untaken=True))
    box.refuses = True
    with pytest.raises(MailUnavailable, match="did not take the mail"):
        mail(office, box)
    assert len(office.book().notices(untaken=True)) == waiting
    box.refuses = False
    assert mail(office, box) == waiting


def test_a_notice_for_nobody_with_an_address_is_left_for_people_to_see(office, box):
    mail(office, box)
    office.agree("water", DIKES, agreement_id="AG-N", parties=())
    office.now = at(2026, 6, 23)
    office.book().give_notices()
    mail(office, box)
    assert {notice.agreement_id for notice in office.book().notices(untaken=True)} == {"AG-N"}


def test_nothing_is_sent_where_nothing_waits_and_no_server_is_asked(office):
    office.book().take(office.book().notices(untaken=True))
    assert mail_notices(office.book(), MailServer.parse("smtp://127.0.0.1:9"), "a@b.test", "") == 0


def test_a_server_that_is_not_there_is_told_without_user_or_password(office):
    server = MailServer.parse("smtp://clerk:s3cret-word@127.0.0.1:9")
    with pytest.raises(MailUnavailable) as caught:
        mail_notices(office.book(), server, "a@b.test", "")
    assert "127.0.0.1:9" in str(caught.value) and "s3cret" not in f"{caught.value!r} {server!r}" and "clerk" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://mail.test", "smtp://", "mail.test:25", "smtp://u:s3cret-word@mail.test:none", "smtp://mail.test/box"])
def test_an_address_that_is_none_is_told_without_repeating_it(url):
    with pytest.raises(ValueError) as caught:
        MailServer.parse(url)
    assert "s3cret" not in str(caught.value)


def test_settings_do_not_show_the_address_of_the_mail_server(tmp_path):
    assert "s3cret" not in repr(Settings.at(tmp_path, smtp_url="smtp://u:s3cret-word@mail.test"))


def test_a_returned_delivery_is_mailed_with_its_findings(office, box):
    book = office.book()
    mail(office, box)
    office.now = at(2026, 6, 20)
    book.check(book.receive("AG-W", "dikes", by="water").delivery_id, Check.PASSED)
    book.check(book.receive("AG-W", "dikes", by="water").delivery_id, Check.RETURNED, "no vertical datum")
    office.now = at(2026, 6, 24)
    book.give_notices()
    box.mails.clear()
    mail(office, box)
    (to_water,) = [text for text in box.mails if "liaison@water.test" in text]
    assert "base64" in to_water or "no vertical datum" in to_water

