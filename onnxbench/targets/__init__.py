"""Where a worker runs: bundles, supervised child processes, this machine, the measuring lock."""
