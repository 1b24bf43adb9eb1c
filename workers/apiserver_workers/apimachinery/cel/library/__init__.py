"""The functions of CEL in Kubernetes: a function's overload is one row of a table (row.py, table.py)."""
