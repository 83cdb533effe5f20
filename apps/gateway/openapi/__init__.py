"""The trading API described: an OpenAPI 3.1 document and the texts of the API page, from the one registry."""
