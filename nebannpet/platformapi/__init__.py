"""The platform API as a whole: the addresses of all apps, their description, and the pages about them.

What its views share is apps/web/api; they stand in apps/<app>/api.
"""
