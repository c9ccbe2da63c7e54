"""The command `pyproxy`, also as `python -m proxy`."""

from proxy.cli.root import command


def main() -> None:
    """Run the command line, and end the process with its exit code."""
    command(prog_name="pyproxy")


if __name__ == "__main__":
    main()
