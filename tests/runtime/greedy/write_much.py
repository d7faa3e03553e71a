"""Writes two megabytes."""

from pathlib import Path

if __name__ == "__main__":
    Path("much").write_bytes(bytes(2 << 20))
