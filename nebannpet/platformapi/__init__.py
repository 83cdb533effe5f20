"""The platform API: what all its views share, and where they are (docs/platform-api.md, requirement I2).

Views stand in apps/<app>/api. Nothing here is imported by another process than the site, since Django REST framework
costs each of them a quarter of a second.
"""
