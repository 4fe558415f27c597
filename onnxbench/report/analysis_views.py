"""What ``onnxbench analyze`` prints: one profile, one view, four formats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from onnxbench.report.analysis import sheet

if TYPE_CHECKING:
    from onnxbench.graph.profile import GraphProfile
    from onnxbench.report.analysis import Bounds, Sheet, View
    from onnxbench.types import JsonObject

Format = Literal["text", "csv", "markdown", "json"]
FORMATS: dict[str, Format] = {".csv": "csv", ".md": "markdown", ".json": "json"}
"""By the suffix of a file."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """What is shown: the summary, or a ``view`` of it.

    ``artifact``: sha256 and bytes of all files, where they were hashed. ``cross_check``: what
    `onnxbench.crosscheck` found. ``bounds``: the least time on what is calibrated here.
    """

    profile: GraphProfile
    view: View | None = None
    artifact: JsonObject | None = None
    cross_check: JsonObject | None = None
    bounds: Bounds | None = None

    def render(self, form: Format, width: int = 80) -> str:
        """Return it in one format, ending in a line break; ``width``: of a text, in cells."""
        text = {"csv": self._csv, "json": self._json}.get(form)
        if text is not None:
            return text()
        return self._text(width) if form == "text" else self._markdown()

    def document(self) -> JsonObject:
        """Return it as ``--json`` gives it."""
        from onnxbench.report.analysis_document import analysis_document  # noqa: PLC0415

        return analysis_document(
            self.profile,
            self.view,
            artifact=self.artifact,
            cross_check=self.cross_check,
            bounds=self.bounds,
        )

    def _json(self) -> str:
        from onnxbench.report.document import dumps  # noqa: PLC0415 - the summary needs no json

        # A row for each of 100,000 nodes is read by programs only.
        return dumps(self.document(), indent=None if self.view == "nodes" else 2) + "\n"

    def _csv(self) -> str:
        from onnxbench.report.analysis_document import sheet_csv, summary_csv  # noqa: PLC0415

        if self.view is None:
            return summary_csv(self.document())
        return sheet_csv(self._sheet(self.view))

    def _text(self, width: int) -> str:
        from onnxbench.report.analysis_summary import headline, summary_text  # noqa: PLC0415

        parts = []
        if self.view is None:
            parts.append(summary_text(self.profile, width, self._sha256(), self.bounds))
        else:
            from onnxbench.report.analysis_table import sheet_text  # noqa: PLC0415

            parts += [headline(self.profile), sheet_text(self._sheet(self.view), width)]
        if self.cross_check is not None:
            from onnxbench.report.analysis_crosscheck import cross_check_text  # noqa: PLC0415

            parts.append(cross_check_text(self.document(), width))
        return "\n\n".join(parts) + "\n"

    def _markdown(self) -> str:
        from onnxbench.report.analysis_summary import summary_markdown  # noqa: PLC0415

        parts = [summary_markdown(self.profile, self._sha256(), self.bounds)]
        if self.view is not None:
            from onnxbench.report.analysis_table import sheet_markdown  # noqa: PLC0415

            parts.append(sheet_markdown(self._sheet(self.view)))
        if self.cross_check is not None:
            from onnxbench.report.analysis_crosscheck import cross_check_markdown  # noqa: PLC0415

            parts.append(cross_check_markdown(self.document()))
        return "\n".join(parts)

    def _sheet(self, view: View) -> Sheet:
        return sheet(self.profile, view, self.bounds.ceilings if self.bounds else None)

    def _sha256(self) -> str | None:
        return None if self.artifact is None else self.artifact["sha256"]
