"""Who acts: a person, who proves it by login and password, or the operator at the shell of the machine."""

import sys

import click

from agreements.life.lifecycle import OPERATOR, Actor
from geoserver_app.cli.base import InputInvalid
from geoserver_app.cli.people import accounts_of, told
from geoserver_app.settings import Settings

TERMINAL = "127.0.0.1"
"""Where guesses at a terminal come from."""

as_option = click.option("--as", "login", required=True, help="Your login; the password is asked for.")
perhaps_as_option = click.option("--as", "login", help="Your login; without it, the operator of this machine does it.")
stdin_option = click.option("--password-stdin", "from_stdin", is_flag=True, help="Read the password from standard input, for scripts.")


def acting(settings: Settings, login: str | None, from_stdin: bool = False) -> Actor:
    """The person who acts, once the password was right.

    Raises
    ------
    InputInvalid
        Login or password is wrong, or there were too many guesses, or the person has to choose a password first.
    """
    if login is None:
        return OPERATOR
    password = sys.stdin.readline().rstrip("\r\n") if from_stdin else click.prompt(f"Password of {login}", hide_input=True, err=True)
    person = told(accounts_of(settings).check_password, login, password, TERMINAL)
    if person.must_change:
        raise InputInvalid(f"`{person.login}` has to choose a password of his own first: sign in to the pages")
    return Actor(login=person.login, roles=person.roles, agency=person.agency)
