"""The password of every user that tests make."""

PASSWORD = "correct horse battery"
