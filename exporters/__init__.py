"""Sources of ONNX files. Installed as ``onnxbench.exporters``; found through entry points."""
