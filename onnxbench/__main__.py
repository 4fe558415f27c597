"""``python -m onnxbench`` is the ``onnxbench`` command."""

from onnxbench.cli.main import main

if __name__ == "__main__":
    main()
