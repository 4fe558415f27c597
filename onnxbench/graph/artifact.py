"""An Artifact as a document, for the way from the pre-flight child to its parent."""

from __future__ import annotations

import dataclasses

from onnxbench.types import Artifact, ArtifactFile, JsonObject, TensorSpec


def artifact_document(artifact: Artifact) -> JsonObject:
    """Return ``artifact`` as a JSON object."""
    return dataclasses.asdict(artifact)


def artifact_from(document: JsonObject) -> Artifact:
    """Return the artifact that `artifact_document` made ``document`` of, also after JSON.

    Raises KeyError or TypeError if it was made by something else.
    """
    return Artifact(
        **{
            **document,
            "files": tuple(ArtifactFile(**file) for file in document["files"]),
            "inputs": tuple(_spec(each) for each in document["inputs"]),
            "outputs": tuple(_spec(each) for each in document["outputs"]),
            "notes": tuple(document["notes"]),
        }
    )


def _spec(document: JsonObject) -> TensorSpec:
    shape = document["shape"]
    return TensorSpec(**{**document, "shape": None if shape is None else tuple(shape)})
