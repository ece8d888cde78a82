"""What a node can do on this machine: benchmarks that need nothing but a temporary folder."""
