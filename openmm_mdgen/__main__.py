"""The command ``openmm-mdgen``, also as ``python -m openmm_mdgen``."""

import sys


def main() -> None:
    """Run the command; Ctrl-C while it is being loaded is a line too."""
    try:
        from openmm_mdgen.commands.main import main as command
    except KeyboardInterrupt:
        print("stopped by Ctrl-C: nothing was begun; to begin, give the same command", file=sys.stderr)
        sys.exit(130)
    command()


if __name__ == "__main__":
    main()
