"""Requests that workers send to others: webhooks and token issuers. Nothing here blocks the event loop."""
