"""docs/cli.md from `geoshare --help`, so that the two never differ: `make docs` writes it, tests/docs/test_cli_page.py holds it to it."""

from collections.abc import Iterator
from pathlib import Path

import click

from geoserver_app.cli import main

PAGE = Path(__file__).resolve().parent / "cli.md"

HEAD = """# The commands

Written by `make docs` from `geoshare --help`: change it there. Results go to stdout, talk to stderr; `--json` is for scripts. Settings are those of
`config/service.yaml`, each also as `GEOSHARE_...` in the environment.

| exit code | |
| --- | --- |
| 0 | done; of `explain`: permitted, or permitted in part |
| 1 | failed: nothing is wrong with what was typed. Try again, or see to the machine |
| 2 | denied; `explain` alone |
| 3 | what was typed, or a file it names, is invalid; stderr says what is wrong and how to mend it |
"""


def page() -> str:
    return HEAD + "".join(f"\n## {' '.join(words)}\n\n{_help(command, words)}" for command, words in _commands(main, ("geoshare",)))


def _commands(command: click.Command, words: tuple[str, ...]) -> Iterator[tuple[click.Command, tuple[str, ...]]]:
    """Every command that does something, as it is typed; groups are only the way there."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield command, words
    for name, one in (inner or {}).items():
        yield from _commands(one, (*words, name))


def _help(command: click.Command, words: tuple[str, ...]) -> str:
    context = click.Context(command, info_name=" ".join(words), max_content_width=120, terminal_width=120)
    return f"```text\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
