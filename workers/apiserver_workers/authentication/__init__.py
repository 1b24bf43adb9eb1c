"""Who asks: authenticators in upstream's order, from certificates and tokens to UserInfo."""
