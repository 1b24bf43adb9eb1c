"""What keeps the status of definitions right, by one worker of a server."""
