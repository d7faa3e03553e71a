"""Wants a gigabyte."""

if __name__ == "__main__":
    held = bytearray(1 << 30)
