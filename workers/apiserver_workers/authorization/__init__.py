"""Who may do what: attributes of a request, authorizers by mode, and the union that asks them in order."""
