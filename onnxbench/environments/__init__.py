"""Python environments of their own for frameworks whose pins clash.

`RECIPES` says what can be installed, `install` makes it, `interpreter_for` says which Python an
exporter runs in: this one, or that of an environment. See docs/decisions/0006.
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
    "runtime_interpreter",
    "uninstall",
    "why_unusable",
]
