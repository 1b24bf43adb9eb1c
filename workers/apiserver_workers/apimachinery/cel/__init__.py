"""CEL as in Kubernetes: see docs/cel.md."""
