"""Python environments of their own for runtimes and frameworks whose pins clash.

`RECIPES` says what can be installed, `install` makes it, `interpreter_for` and
`runtime_interpreter` say which Python an exporter or a runtime runs in: this one, or that of an
environment. See docs/decisions/0006.
"""

from onnxbench.environments.choice import Interpreter, interpreter_for, normal, runtime_interpreter
from onnxbench.environments.install import install, uninstall
from onnxbench.environments.installed import (
    Installed,
    all_installed,
    existing,
    home,
    installed,
    names,
    why_unusable,
)
from onnxbench.environments.interpreters import obstacle
from onnxbench.environments.recipes import RECIPES, Recipe, find

__all__ = [
    "RECIPES",
    "Installed",
    "Interpreter",
    "Recipe",
    "all_installed",
    "existing",
    "find",
    "home",
    "install",
    "installed",
    "interpreter_for",
    "names",
    "normal",
    "obstacle",
    "runtime_interpreter",
    "uninstall",
    "why_unusable",
]
