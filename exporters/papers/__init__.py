"""Networks that no package installs, each a short torch module written from its paper.

A catalogue entry names one as ``torch:onnxbench.exporters.papers.MODULE:FUNCTION``; the entry's
``arguments`` go to the function. Every function returns a classifier of 3×224×224 pictures into
1000 classes; outputs are logits. Dropout is left out: it changes nothing at inference.
"""
