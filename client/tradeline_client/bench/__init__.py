"""What a client can do on this machine: benchmarks in temporary folders, nodes on loopback."""
