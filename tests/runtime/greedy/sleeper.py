"""Tells who it is, and then does nothing for longer than anybody waits."""

import os
import time
from pathlib import Path

Path("pid").write_text(str(os.getpid()))
time.sleep(120)
