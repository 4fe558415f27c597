"""Sphinx reads this: MyST Markdown, no extension that runs code."""

from importlib.metadata import version as installed

project = "onnxbench"
author = "the onnxbench developers"
release = version = installed("onnxbench")

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "decisions/template.md"]

html_theme = "furo"
html_title = f"onnxbench {release}"
