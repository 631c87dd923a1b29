"""`geoshare agreement schema | export | digest | odrl | text`: what others read of an agreement."""

import json
from pathlib import Path

import click

from agreements.model import Agreement
from geoserver_app.cli.agreements import agreement
from geoserver_app.cli.base import opened, tell
from geoserver_app.settings import Settings

which = click.argument("agreement_id")
version_option = click.option("--version", type=click.IntRange(1), help="Which version; the newest unless one is named.")
out_option = click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file instead of standard output.")


@agreement.command("schema")
@out_option
def agreement_schema(out):
    """Print the JSON Schema of agreement documents."""
    from agreements.document.schema import schema_text

    _give(schema_text(), out)


@agreement.command("export")
@which
@version_option
@click.option("--format", "form", type=click.Choice(["yaml", "json", "original"]), default="yaml", show_default=True,
              help="`original` is the text that was registered, comments and all.")
@out_option
@click.pass_obj
def agreement_export(settings: Settings, agreement_id, version, form, out):
    """Print an agreement as a document, which `register` reads again."""
    from agreements.document import document_of, write_document

    _, register = opened(settings)
    if form == "original":
        _give(register.document(agreement_id, version), out)
        return
    held = register.registered(agreement_id, version)
    _give(write_document(held) if form == "yaml" else json.dumps(document_of(held), ensure_ascii=False, indent=2) + "\n", out)


@agreement.command("digest")
@which
@version_option
@click.option("--form", "is_form", is_flag=True, help="Print the canonical form itself, of which the digest is the SHA-256.")
@click.pass_obj
def agreement_digest(settings: Settings, agreement_id, version, is_form):
    """Print the digest that stands on every page of the signed text."""
    from agreements.document.canonical import canonical_digest, canonical_form

    held = _registered(settings, agreement_id, version)
    click.echo(canonical_form(held) if is_form else canonical_digest(held), nl=not is_form)


@agreement.command("odrl")
@which
@version_option
@out_option
@click.pass_obj
def agreement_odrl(settings: Settings, agreement_id, version, out):
    """Print an agreement in ODRL 2.2, as JSON-LD."""
    from agreements.document.odrl import odrl_agreement

    held = _registered(settings, agreement_id, version)
    _give(json.dumps(odrl_agreement(held), ensure_ascii=False, indent=2) + "\n", out)


@agreement.command("text")
@which
@version_option
@click.option("--format", "form", type=click.Choice(["html", "pdf"]), default="html", show_default=True)
@out_option
@click.pass_obj
def agreement_text(settings: Settings, agreement_id, version, form, out):
    """Write out the Chinese text that the parties sign, with the clauses and the digest of the agreement."""
    from geoserver_app.agreement_text import registered_text
    from geoserver_app.papers import html, pdf

    catalogue, register = opened(settings)
    paper = registered_text(catalogue, register, settings.config, agreement_id, version)
    _give(html.render(paper) if form == "html" else pdf.render(paper), out)


def _registered(settings: Settings, agreement_id: str, version: int | None) -> Agreement:
    _, register = opened(settings)
    return register.registered(agreement_id, version)


def _give(content: str | bytes, out: Path | None) -> None:
    """To a file, or as it is to standard output."""
    if out is None:
        click.echo(content, nl=False)
        return
    out.write_bytes(content.encode() if isinstance(content, str) else content)
    tell(f"written: {out.name}")
