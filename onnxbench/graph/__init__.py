"""What an ONNX file says about itself, read without a runtime and without its weights."""
