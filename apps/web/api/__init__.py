"""What all views of the platform API share (docs/platform-api.md, requirement I2). The views stand in apps/<app>/api.

Nothing here is imported by another process than the site, since Django REST framework costs each of them a quarter of
a second.
"""
