"""The one thing pyproject.toml cannot say: the top-level models.yaml goes into the package."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

CATALOGUE = "models.yaml"


class BuildWithCatalogue(build_py):
    """Copies models.yaml beside the modules; an editable install reads the clone's own."""

    def run(self) -> None:
        """Build, then copy."""
        super().run()
        if not self.editable_mode:
            self.copy_file(CATALOGUE, str(Path(self.build_lib, "onnxbench", CATALOGUE)))

    def get_source_files(self) -> list[str]:
        """Return what an sdist must hold for a wheel to be built from it."""
        return [*super().get_source_files(), CATALOGUE]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return what `run` makes."""
        made = Path(self.build_lib, "onnxbench", CATALOGUE)
        return [*super().get_outputs(include_bytecode), str(made)]


setup(cmdclass={"build_py": BuildWithCatalogue})
