"""Stands in for the checking child and tells what it was given."""

import json
import os
import sys
from pathlib import Path

answer = {
    "message": json.dumps({"environ": dict(os.environ), "files": sorted(map(str, Path().iterdir()))}),
    "errors": [],
}
json.dump(answer, sys.stdout)
