"""Kubernetes' expression language, CEL: docs/cel.md."""
