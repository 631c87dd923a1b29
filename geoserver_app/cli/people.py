"""`geoshare person`: accounts of people. The first administrator is made here."""

import sys
from datetime import datetime

import click

from agreements.life.lifecycle import Role
from agreements.model import BUREAU
from geoserver_app.cli.base import InputInvalid, counted, json_option, last_day, noted, opened, table, tell
from geoserver_app.messages import ENGLISH, sentence
from geoserver_app.settings import Settings

ROLES = click.Choice(["administrator", "approver", "auditor", "data_manager", "member"])

password_option = click.option("--password-stdin", "from_stdin", is_flag=True, help="Read the password from standard input, for scripts.")
temporary_option = click.option("--temporary", is_flag=True, help="The person has to choose another at the first sign-in.")


@click.group()
def person():
    """People who sign in: add, list, close, give passwords and tokens."""


@person.command("add")
@click.argument("login")
@click.option("--role", "roles", type=ROLES, multiple=True, required=True, help="May be given several times; `member` for people of an agency.")
@click.option("--agency", "agency_id", default=BUREAU, show_default=True, help="Whose person it is.")
@click.option("--name", default="", help="Name as others see it; default the login.")
@password_option
@temporary_option
@click.pass_obj
def person_add(settings: Settings, login, roles, agency_id, name, from_stdin, temporary):
    """Add a person. The password is asked for on the terminal."""
    from geoserver_app.people.accounts import Person

    accounts = accounts_of(settings)
    one = Person(login=login, name=name or login, roles=frozenset(map(Role, roles)), agency=agency_id, must_change=temporary)
    told(accounts.add, one, password_of(from_stdin))
    noted(settings, "people.add", login)
    click.echo(f"{login}: {', '.join(sorted(roles))} of {agency_id}")


@person.command("list")
@json_option
@click.pass_obj
def person_list(settings: Settings, as_json):
    """Everybody with an account."""
    rows = [
        [one.login, one.name, one.agency, ", ".join(sorted(one.roles)), one.is_active, one.must_change, one.created]
        for one in accounts_of(settings).people()
    ]
    table(["login", "name", "agency", "roles", "active", "must change password", "since"], rows, as_json)


@person.command("disable")
@click.argument("login")
@click.pass_obj
def person_disable(settings: Settings, login):
    """Close an account: its sessions and tokens end at once."""
    told(accounts_of(settings).change, login, is_active=False)
    noted(settings, "people.change", login)
    click.echo(f"{login} closed")


@person.command("enable")
@click.argument("login")
@click.pass_obj
def person_enable(settings: Settings, login):
    """Open an account again. Its tokens stay ended."""
    told(accounts_of(settings).change, login, is_active=True)
    noted(settings, "people.change", login)
    click.echo(f"{login} open")


@person.command("roles")
@click.argument("login")
@click.argument("roles", nargs=-1, required=True, type=ROLES)
@click.pass_obj
def person_roles(settings: Settings, login, roles):
    """Give a person these roles and no others."""
    told(accounts_of(settings).change, login, roles=list(map(Role, roles)))
    noted(settings, "people.change", login)
    click.echo(f"{login}: {', '.join(sorted(roles))}")


@person.command("password")
@click.argument("login")
@password_option
@temporary_option
@click.pass_obj
def person_password(settings: Settings, login, from_stdin, temporary):
    """Set another password: all sessions of the person end, with --temporary also the tokens."""
    told(accounts_of(settings).set_password, login, password_of(from_stdin), must_change=temporary)
    noted(settings, "people.password", login)
    click.echo(f"{login} has another password")


@person.command("token")
@click.argument("login")
@click.option("--role", "roles", type=ROLES, multiple=True, required=True, help="Of the person's own; may be given several times.")
@click.option("--expires", required=True, type=click.DateTime(["%Y-%m-%d"]), callback=last_day, help="Last day (Asia/Shanghai), within a year.")
@click.option("--label", default="", help="What it is for.")
@click.pass_obj
def person_token(settings: Settings, login, roles, expires: datetime, label):
    """Issue a token for a person's scripts. It is printed once and kept only as a digest."""
    token, secret = told(accounts_of(settings).issue_token, login, label, list(map(Role, roles)), expires)
    noted(settings, "session.tokens.issue", token.token_id)
    tell(f"{token.token_id} for {login} ({counted(len(roles), 'role')}); keep it now, it is not shown again:")
    click.echo(secret)


def accounts_of(settings: Settings):
    from geoserver_app.database import connect
    from geoserver_app.people.accounts import Accounts
    from geoserver_app.people.guessing import instance_secret

    opened(settings)
    return Accounts(connect(settings.database_url), instance_secret(settings.data / "instance-secret"))


def told(function, *arguments, **named):
    """What `function` gives; what it refuses, in a sentence. Never with the password in it."""
    from geoserver_app.people.accounts import AccountsError

    try:
        return function(*arguments, **named)
    except AccountsError as error:
        raise InputInvalid(sentence(error.code, error.detail, ENGLISH)) from error


def password_of(from_stdin: bool) -> str:
    """From standard input where that is asked, else typed twice without being shown."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
