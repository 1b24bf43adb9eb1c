"""What the front, which passes requests on to aggregated servers, and the core, which checks them, have in common."""
