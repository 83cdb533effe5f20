"""Pages of this app: landing, sign-up and log-in, account, API keys; and the ticket for trading sockets."""
