"""Opens files without end."""

from pathlib import Path

if __name__ == "__main__":
    held = [Path("/dev/null").open() for _ in range(1000)]  # noqa: SIM115 - to be held is their purpose
