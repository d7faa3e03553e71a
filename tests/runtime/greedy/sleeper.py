"""Tells who it is, and then does nothing for longer than anybody waits."""

import os
import time
from pathlib import Path

if __name__ == "__main__":
    Path("pid").write_text(str(os.getpid()))
    time.sleep(120)
