"""Ends as it is told to: with an exit code, or by a signal where the number is below zero."""

import os
import sys

if __name__ == "__main__":
    how = int(sys.stdin.read())
    if how < 0:
        os.kill(os.getpid(), -how)
    sys.exit(how)
