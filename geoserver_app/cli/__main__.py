"""`python -m geoserver_app.cli`: the commands, for processes that start one of them."""

from geoserver_app.cli import main

if __name__ == "__main__":
    main()
