"""The commands of `apiserver-supervisor`, one module for those that belong together."""
