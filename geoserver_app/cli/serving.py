"""`geoshare serve` and `geoshare demo`."""



import click
from rich.console import Console

from geoserver_app.cli.base import tell
from geoserver_app.settings import Settings, check_public_address


@click.command()
@click.option("--bind", help="Address to listen on; 0.0.0.0 in a container.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--workers", type=click.IntRange(1), help="Processes.")
@click.pass_obj
def serve(settings: Settings, bind, port, workers):
    """Serve the catalogue. What a container or a bureau starts."""
    from geoserver_app.database import migrate
    from geoserver_app.server import serve as run

    changes = {name: value for name, value in (("bind", bind), ("port", port), ("workers", workers)) if value is not None}
    if ({"bind", "port"} & changes.keys()) and settings.public_base_url == f"http://{settings.bind}:{settings.port}":
        changes["public_base_url"] = f"http://{bind or settings.bind}:{port or settings.port}"
    settings = settings.replaced(**changes)
    check_public_address(settings)
    migrate(settings)
    tell(f"serving at {settings.public_base_url}")
    run(settings)


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True, help="Port to listen on.")
@click.option("--build-only", is_flag=True, help="Build the demo and stop.")
@click.pass_obj
def demo(settings: Settings, port, build_only):
    """Build the model county and its 22 agencies once, then serve them."""
    from geoserver_app.demo import build_demo, print_addresses, start_what_moves
    from geoserver_app.server import check_port
    from geoserver_app.server import serve as run

    settings = settings.replaced(port=port, public_base_url=f"http://{settings.bind}:{port}", demo=True)
    if not build_only:
        check_port(settings)
    console = Console(stderr=True)
    description = build_demo(settings, console)
    print_addresses(description, console)
    if not build_only:
        start_what_moves(settings)
        run(settings)
