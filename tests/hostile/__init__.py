"""Attacks from outside on a whole server: what they cost other clients, and what is left when they end."""
