"""Parts of the kinds that CustomResourceDefinitions make; custom_kind.py puts them together."""
