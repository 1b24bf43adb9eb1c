"""HTTP handlers of the API verbs: options, negotiation, decoding, patching, field management."""
