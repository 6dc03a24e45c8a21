from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "_ext")]

import pixelboot  # noqa: E402

project = "pixelboot"
author = "pixelboot developers"
copyright = "2026, pixelboot developers"
release = version = pixelboot.__version__

extensions = ["routes", "settings"]
exclude_patterns: list[str] = []
nitpicky = True
default_role = "any"
root_doc = "index"

html_theme = "alabaster"
html_theme_options = {"description": "Machines boot from pictures", "page_width": "60em", "fixed_sidebar": True}
html_copy_source = False
