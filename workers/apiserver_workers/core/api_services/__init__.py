"""What keeps APIServices in step with what is served and with what answers: once a server, by its post-start hooks."""
